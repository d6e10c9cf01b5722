//! A41, KAFKA-17754: a transaction has no name but its producer's id and epoch. An end that was sent twice because its first answer was late decides, the
//! second time, whatever is open by then: half of a younger transaction is committed that its owner aborts. That is why exactly-once does not rest on
//! transactions alone, and why a producer is destroyed after an end without an answer: the next one has another epoch, and the late end is refused.

use super::super::Bench;
use super::super::asked::{ErrorCode, Request, Session, Tp, batch, once_free, produce, session, topic};
use super::super::support::{PATIENCE_MS, began, settled, soon};
use super::verdict_in_words;
use runtime::time::{monotonic_ms, sleep};
use std::sync::Arc;
use std::time::Duration;

fn end(id: &str, (producer_id, producer_epoch): Session, commit: bool) -> Request {
    Request::EndTxn { transactional_id: id.to_owned(), producer_id, producer_epoch, commit }
}

fn add(id: &str, (producer_id, producer_epoch): Session, partitions: Vec<Tp>) -> Request {
    Request::AddPartitionsToTxn { transactional_id: id.to_owned(), producer_id, producer_epoch, partitions, verify_only: false }
}

pub async fn an_end_that_comes_late_decides_a_younger_transaction_of_the_same_epoch<B: Bench>(bench: Arc<B>) {
    let (log, info) = began(&*bench, 2).await;
    let id = bench.fresh("id");
    let id_of_topic = topic(&*bench, &info.name).await.id;
    let [first, second] = [0, 1].map(|partition| Tp { topic: id_of_topic, partition });
    let session = session(&*bench, &id).await;
    once_free(&*bench, &id, add(&id, session, vec![first])).await.expect("it is added");
    produce(&*bench, &info.name, first, &batch(&["elder"], session, 0, true), Some(&id)).await.expect("it is written");
    once_free(&*bench, &id, end(&id, session, true)).await.expect("it commits");
    // The younger one, and amid it the elder's end a second time.
    once_free(&*bench, &id, add(&id, session, vec![first])).await.expect("it is added");
    produce(&*bench, &info.name, first, &batch(&["younger, first half"], session, 1, true), Some(&id)).await.expect("it is written");
    let twice = once_free(&*bench, &id, end(&id, session, true)).await;
    bench.answered("A41", "an end a second time, amid the next transaction of the same epoch", &verdict_in_words(&twice));
    twice.expect("it is taken for the younger one's end");
    let refused = unadded(&*bench, &info.name, second, &batch(&["younger, second half"], session, 0, true), &id).await;
    bench.answered("A43", "a record to a partition that was not added to its transaction", &format!("{refused:?}"));
    assert_eq!(refused, ErrorCode::InvalidTxnState, "the leader asks the coordinator, who knows of no transaction (A43)");
    let abort = once_free(&*bench, &id, end(&id, session, false)).await;
    bench.answered("A41", "an abort of what was committed so", &verdict_in_words(&abort));
    assert_eq!(abort, Err(ErrorCode::InvalidTxnState), "it is too late to abort");
    assert_eq!(settled(&log, info.tp(0)).await, ["elder", "younger, first half"], "torn");
    assert_eq!(settled(&log, info.tp(1)).await, [""; 0]);
}

/// Produces to a partition that was not added. Until the end before is carried out the leader only learns that it has to wait.
async fn unadded<B: Bench>(bench: &B, name: &str, tp: Tp, batch: &super::super::asked::Batch, id: &str) -> ErrorCode {
    let by_ms = soon(PATIENCE_MS);
    loop {
        match produce(bench, name, tp, batch, Some(id)).await.expect_err("it was not added") {
            ErrorCode::NotEnoughReplicas | ErrorCode::ConcurrentTransactions => assert!(monotonic_ms() < by_ms, "the end before is carried out"),
            why => return why,
        }
        sleep(Duration::from_millis(20)).await;
    }
}

pub async fn an_end_that_comes_late_is_refused_once_a_younger_session_is_there<B: Bench>(bench: Arc<B>) {
    let (log, info) = began(&*bench, 1).await;
    let id = bench.fresh("id");
    let tp = Tp { topic: topic(&*bench, &info.name).await.id, partition: 0 };
    let elder = session(&*bench, &id).await;
    once_free(&*bench, &id, add(&id, elder, vec![tp])).await.expect("it is added");
    produce(&*bench, &info.name, tp, &batch(&["elder"], elder, 0, true), Some(&id)).await.expect("it is written");
    once_free(&*bench, &id, end(&id, elder, true)).await.expect("it commits");
    let younger = session(&*bench, &id).await;
    assert!(younger.0 != elder.0 || younger.1 > elder.1, "{younger:?} after {elder:?}");
    once_free(&*bench, &id, add(&id, younger, vec![tp])).await.expect("it is added");
    produce(&*bench, &info.name, tp, &batch(&["younger"], younger, 0, true), Some(&id)).await.expect("it is written");
    let late = once_free(&*bench, &id, end(&id, elder, true)).await;
    bench.answered("A39", "an end of an elder session", &verdict_in_words(&late));
    assert!(matches!(late, Err(ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch)), "{late:?}");
    let zombie = produce(&*bench, &info.name, tp, &batch(&["zombie"], elder, 1, true), Some(&id)).await;
    bench.answered("A29", "a record of an elder session", &verdict_in_words(&zombie));
    assert_eq!(zombie, Err(ErrorCode::InvalidProducerEpoch));
    once_free(&*bench, &id, end(&id, younger, false)).await.expect("it aborts");
    assert_eq!(settled(&log, info.tp(0)).await, ["elder"]);
}
