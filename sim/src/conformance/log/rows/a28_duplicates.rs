//! A28: a partition remembers the last five batches of a producer. One of them sent again is answered with its first offset and not written; all else
//! that is not the next is out of order. A30: of a producer that it does not know, it takes any sequence.

use super::super::Bench;
use super::super::asked::{ErrorCode, Request, Response, Tp, batch, leader, produce, topic};
use super::super::support::{began, texts};
use ::log::Isolation;
use std::sync::Arc;

pub async fn the_five_newest_batches_are_told_again_and_an_older_one_is_out_of_order<B: Bench>(bench: Arc<B>) {
    let (log, info) = began(&*bench, 1).await;
    let name = info.name.clone();
    let tp = Tp { topic: topic(&*bench, &name).await.id, partition: 0 };
    let asked = leader(&*bench, &name, 0, Request::InitProducerId { transactional_id: None, transaction_timeout_ms: 5_000 }).await;
    let Response::InitProducerId { producer_id, producer_epoch } = asked else { panic!("{asked:?}") };
    let session = (producer_id, producer_epoch);
    let values: Vec<String> = (0..7).map(|n| format!("value {n}")).collect();
    let batches: Vec<_> = (0..).zip(&values).map(|(sequence, value)| batch(&[value], session, sequence, false)).collect();
    for (offset, batch) in (0..).zip(&batches) {
        assert_eq!(produce(&*bench, &name, tp, batch, None).await, Ok(offset));
    }
    for (offset, batch) in (2..).zip(&batches[2..]) {
        assert_eq!(produce(&*bench, &name, tp, batch, None).await, Ok(offset), "one of the newest five");
    }
    let out_of_order = Err(ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(produce(&*bench, &name, tp, &batches[1], None).await, out_of_order, "the sixth-oldest");
    assert_eq!(produce(&*bench, &name, tp, &batch(&["value 5", "value 6"], session, 5, false), None).await, out_of_order, "the same records in another batch");
    assert_eq!(produce(&*bench, &name, tp, &batch(&["gap"], session, 8, false), None).await, out_of_order, "a gap");
    let stranger = (producer_id + 1_000_000, 0);
    assert_eq!(produce(&*bench, &name, tp, &batch(&["stranger"], stranger, 42, false), None).await, Ok(7), "a producer that is not known");
    let wanted: Vec<String> = values.into_iter().chain(["stranger".to_owned()]).collect();
    assert_eq!(texts(&log, info.tp(0), Isolation::ReadCommitted).await, wanted);
}
