//! ListOffsets.

use crate::client::ALL;
use crate::world::World;
use broker::batch::{Producer, Record};
use broker::protocol::OffsetSpec;
use broker::{Batch, ErrorCode, Tp};

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
