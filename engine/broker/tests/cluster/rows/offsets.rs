//! ListOffsets, and positions that are not there (A61).

use super::a07_a11_high_watermark::three_brokers;
use crate::client::{ALL, batch};
use crate::world::World;
use broker::batch::{Producer, Record};
use broker::protocol::{Isolation, OffsetSpec};
use broker::{Batch, ErrorCode, Request, Response, Tp};

fn at(timestamps_ms: &[i64]) -> Batch {
    let records: Vec<Record> = timestamps_ms.iter().map(|&timestamp_ms| Record { offset: 0, timestamp_ms, key: None, value: None }).collect();
    Batch::build(&records, Producer::NONE, false)
}

#[test]
fn a_time_finds_the_first_record_at_or_after_it() {
    let mut world = World::new(1, 1);
    let tp = Tp { topic: world.create_topic("orders", 1, 1, 1), partition: 0 };
    for batch in [at(&[10, 20, 30]), at(&[40, 35, 60]), at(&[70])] {
        world.produce(tp, &batch, ALL).expect("acked");
    }
    for (timestamp_ms, offset) in [(0, 0), (10, 0), (11, 1), (30, 2), (31, 3), (41, 5), (61, 6), (70, 6), (71, 7)] {
        assert_eq!(world.list_offset(1, tp, OffsetSpec::Timestamp(timestamp_ms), None), Ok(offset), "at {timestamp_ms} ms");
    }
    assert_eq!(world.list_offset(1, tp, OffsetSpec::Earliest, None), Ok(0));
    assert_eq!(world.list_offset(1, tp, OffsetSpec::Latest, None), Ok(7));
    let unknown = Tp { partition: 9, ..tp };
    assert_eq!(world.list_offset(1, unknown, OffsetSpec::Latest, None), Err(ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn a61_without_a_commit_there_is_no_position_and_outside_the_log_a_fetch_says_so() {
    let (mut world, tp, leader, _) = three_brokers(92);
    world.produce(tp, &batch(&["a", "b"]), ALL).expect("acked");
    // What a reader then does is its own policy: nothing here jumps for it.
    for (offset, error, high_watermark) in [(-1, Some(ErrorCode::OffsetOutOfRange), -1), (0, None, 2), (2, None, 2), (3, Some(ErrorCode::OffsetOutOfRange), -1)]
    {
        let fetched = world.fetch_at(leader, tp, offset, Isolation::ReadUncommitted);
        assert_eq!((fetched.error, fetched.high_watermark), (error, high_watermark), "offset {offset}");
    }
    let asked = Request::OffsetFetch { group: "nobody".into(), partitions: vec![tp], require_stable: true };
    let answers: Vec<_> = (1..=3).filter_map(|node| world.call(node, asked.clone())).collect();
    assert!(answers.contains(&Response::OffsetFetch { partitions: vec![(tp, Ok(None))] }), "{answers:?}");
}

#[test]
fn a64_a_time_finds_nothing_that_was_deleted() {
    let mut world = World::new(64, 1);
    let tp = Tp { topic: world.create_topic("orders", 1, 1, 1), partition: 0 };
    for batch in [at(&[10, 20]), at(&[30, 40, 50])] {
        world.produce(tp, &batch, ALL).expect("acked");
    }
    for (start, expected) in [(2, [2, 2, 3]), (3, [3, 3, 3]), (5, [5, 5, 5])] {
        let deleted = world.call(1, Request::DeleteRecords { partitions: vec![(tp, start)] });
        assert_eq!(deleted, Some(Response::DeleteRecords { partitions: vec![(tp, Ok(start))] }));
        let found = [0, 30, 31].map(|timestamp_ms| world.list_offset(1, tp, OffsetSpec::Timestamp(timestamp_ms), None));
        assert_eq!(found, expected.map(Ok), "the log starts at {start}: what is before it cannot be read");
    }
}
