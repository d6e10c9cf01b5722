//! Transactions of version 2 (KIP-890), A42: what its coordinator decides. The leader's half is in `cluster/rows/a42_transactions_v2.rs`.

mod coordinator_driver;

use broker::Note;
use broker::protocol::{ErrorCode, ProducerEpoch, ProducerId, Request, Response};
use coordinator_driver::{Driver, tp};

type Producer = (ProducerId, ProducerEpoch);

fn init(driver: &mut Driver) -> Producer {
    match driver.call(Request::InitProducerId { transactional_id: Some("t".into()), transaction_timeout_ms: 5_000 }) {
        Response::InitProducerIdTv2 { producer_id, producer_epoch } => (producer_id, producer_epoch),
        other => panic!("{other:?}"),
    }
}

fn add((producer_id, producer_epoch): Producer, partitions: &[u32]) -> Request {
    let partitions = partitions.iter().map(|&n| tp(n)).collect();
    Request::AddPartitionsToTxn { transactional_id: "t".into(), producer_id, producer_epoch, partitions, verify_only: false }
}

fn end((producer_id, producer_epoch): Producer, commit: bool) -> Request {
    Request::Tv2(Box::new(Request::EndTxn { transactional_id: "t".into(), producer_id, producer_epoch, commit }))
}

fn ended((producer_id, producer_epoch): Producer) -> Response {
    Response::EndTxnTv2 { producer_id, producer_epoch }
}

fn v2() -> Driver {
    let mut driver = Driver::transactions();
    driver.cluster.transaction_version = 2;
    driver
}

/// Writes the markers that are asked for; returns their epochs.
fn write_markers(driver: &mut Driver) -> Vec<ProducerEpoch> {
    let mut epochs = Vec::new();
    while let Some((_, _, request)) = driver.asks.first().cloned() {
        let Request::Tv2(request) = request else { panic!("a marker of version 2: {request:?}") };
        let Request::WriteTxnMarkers { producer_epoch, partitions, .. } = *request else { panic!("{request:?}") };
        epochs.push(producer_epoch);
        driver.answer(Some(Response::WriteTxnMarkers { partitions: partitions.into_iter().map(|tp| (tp, Ok(()))).collect() }));
    }
    epochs
}

#[test]
fn a42_every_end_raises_the_epoch_and_the_markers_carry_it() {
    let mut driver = v2();
    let first = init(&mut driver);
    let second = (first.0, first.1 + 1);
    driver.call(add(first, &[1, 2]));
    assert_eq!(driver.call(end(first, true)), ended(second));
    assert_eq!(driver.call(end(first, true)), Response::Error(ErrorCode::ConcurrentTransactions), "a retry while markers are written");
    assert_eq!(driver.call(end(first, false)), Response::Error(ErrorCode::InvalidTxnState), "it is decided");
    assert_eq!(driver.call(add(second, &[1])), Response::Error(ErrorCode::ConcurrentTransactions), "visible later than answered (A40)");
    assert!(write_markers(&mut driver).iter().all(|epoch| *epoch == second.1));
    assert_eq!(driver.call(end(first, true)), ended(second), "a retry of a lost answer, told who it is now");

    // A41's delayed request: the next transaction is open.
    driver.call(add(second, &[1]));
    assert_eq!(driver.call(end(first, true)), Response::Error(ErrorCode::ProducerFenced), "a delayed EndTxn decides no later transaction (KAFKA-17754)");
    assert_eq!(driver.call(end(second, false)), ended((first.0, second.1 + 1)));
    write_markers(&mut driver);
    let decided: Vec<bool> = driver.notes.iter().filter_map(|note| if let Note::TxnCompleted { commit, .. } = note { Some(*commit) } else { None }).collect();
    assert_eq!(decided, [true, false]);
}

#[test]
fn a42_an_empty_transaction_may_be_aborted_and_not_committed() {
    let mut driver = v2();
    let first = init(&mut driver);
    assert_eq!(driver.call(end(first, true)), Response::Error(ErrorCode::InvalidTxnState));
    assert_eq!(driver.call(end(first, false)), ended((first.0, first.1 + 1)), "the client cannot know whether a leader added anything");
}

#[test]
fn a42_a_coordinator_that_takes_over_knows_the_raise_and_the_retry() {
    for before_markers in [true, false] {
        let mut driver = v2();
        let first = init(&mut driver);
        let second = (first.0, first.1 + 1);
        driver.call(add(first, &[1]));
        assert_eq!(driver.call(end(first, true)), ended(second));
        if !before_markers {
            write_markers(&mut driver);
        }
        driver.fail_over(usize::MAX);
        if before_markers {
            assert_eq!(driver.call(end(first, true)), Response::Error(ErrorCode::ConcurrentTransactions));
            assert_eq!(write_markers(&mut driver), [second.1]);
        }
        assert_eq!(driver.call(end(first, true)), ended(second));
        assert_eq!(driver.call(end(first, false)), Response::Error(ErrorCode::InvalidTxnState));
    }
}

#[test]
fn a42_when_the_epochs_are_used_up_the_end_gives_a_new_producer_id() {
    let mut driver = v2();
    let mut producer = init(&mut driver);
    let id = producer.0;
    // An empty abort raises it too: the quick way up.
    while producer.1 < ProducerEpoch::MAX - 1 {
        let Response::EndTxnTv2 { producer_id, producer_epoch } = driver.call(end(producer, false)) else { panic!("raised") };
        producer = (producer_id, producer_epoch);
    }
    assert_eq!(producer.0, id);
    driver.call(add(producer, &[1]));
    let Response::EndTxnTv2 { producer_id, producer_epoch: 0 } = driver.call(end(producer, true)) else { panic!("a new id") };
    assert_ne!(producer_id, id);
    assert_eq!(write_markers(&mut driver), [ProducerEpoch::MAX], "the last epoch of the old id is its markers'");
    assert_eq!(driver.call(end(producer, true)), ended((producer_id, 0)), "a retry under the old id");
    driver.call(add((producer_id, 0), &[1]));
    assert_eq!(driver.call(end((producer_id, 0), true)), ended((producer_id, 1)));
}

#[test]
fn a42_both_versions_side_by_side_each_by_its_clients_requests() {
    let mut driver = v2();
    let first = init(&mut driver);
    let (producer_id, producer_epoch) = first;
    driver.call(add(first, &[1]));
    assert_eq!(driver.call(Request::EndTxn { transactional_id: "t".into(), producer_id, producer_epoch, commit: true }), Response::EndTxn);
    assert!(matches!(driver.asks[0].2, Request::WriteTxnMarkers { producer_epoch: 0, .. }), "nothing is raised for a client of version 1");
}
