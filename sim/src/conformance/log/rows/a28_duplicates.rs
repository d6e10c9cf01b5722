//! A28: a partition remembers the last five batches of a producer. One of them sent again is answered with its first offset and not written; all else
//! that is not the next is out of order. A30: of a producer that it does not know, it takes any sequence.

use super::super::Bench;
use super::super::asked::{ErrorCode, Request, Response, Tp, batch, leader, produce, topic};
use super::super::support::{began, texts};
use super::verdict_in_words;
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
        let again = produce(&*bench, &name, tp, batch, None).await;
        bench.answered("A28", "one of a producer's newest five batches, again", if again == Ok(offset) { "its first offset" } else { "something else" });
        assert_eq!(again, Ok(offset), "one of the newest five");
    }
    let sixth = produce(&*bench, &name, tp, &batches[1], None).await;
    bench.answered("A28", "its sixth-oldest batch, again", &verdict_in_words(&sixth));
    let another = produce(&*bench, &name, tp, &batch(&["value 5", "value 6"], session, 5, false), None).await;
    bench.answered("A28", "the same records in another batch", &verdict_in_words(&another));
    let gap = produce(&*bench, &name, tp, &batch(&["gap"], session, 8, false), None).await;
    bench.answered("A28", "a batch after a gap", &verdict_in_words(&gap));
    assert_eq!([sixth, another, gap], [Err(ErrorCode::OutOfOrderSequenceNumber); 3], "the sixth-oldest, another batch, a gap");
    let stranger = produce(&*bench, &name, tp, &batch(&["stranger"], (producer_id + 1_000_000, 0), 42, false), None).await;
    bench.answered("A30", "a producer that is not known, at sequence 42", &verdict_in_words(&stranger));
    assert_eq!(stranger, Ok(7));
    let wanted: Vec<String> = values.into_iter().chain(["stranger".to_owned()]).collect();
    assert_eq!(texts(&log, info.tp(0), Isolation::ReadCommitted).await, wanted);
}
