//! A69: who writes or reads too fast is answered and then not listened to; brokers among themselves are not counted.

use super::a07_a11_high_watermark::three_brokers_with;
use crate::client::{ALL, batch, fetch_request, value_of};
use crate::world::World;
use broker::protocol::{Isolation, NodeId, Response};
use broker::{Batch, BrokerConfig, ControllerConfig, Note, Tp};

const BYTES_PER_S: u64 = 1_000;

/// What a connection may have at once.
const WINDOW_BYTES: usize = 10_000;

fn world(seed: u64) -> (World, Tp, NodeId) {
    let config = BrokerConfig { client_bytes_per_s: Some(BYTES_PER_S), ..BrokerConfig::new(1, "unset") };
    let (world, tp, leader, _) = three_brokers_with(seed, config, ControllerConfig::default());
    (world, tp, leader)
}

/// Some 3 kB.
fn thick(name: &str) -> Batch {
    batch(&[&name.repeat(3_000 / name.len())])
}

/// Bytes of records that a fetch from `offset` gives.
fn fetched(world: &mut World, leader: NodeId, tp: Tp, offset: i64) -> usize {
    world.fetch_at(leader, tp, offset, Isolation::ReadCommitted).records.len()
}

#[test]
fn a69_a_client_that_writes_too_fast_is_answered_and_muted_until_its_rate_is_back() {
    let (mut world, tp, leader) = world(69);
    let size = thick("aa").bytes().len();
    for nth in 0..3 {
        assert_eq!(world.produce(tp, &thick("aa"), ALL), Ok(nth));
    }
    assert_eq!(world.muted, [], "three are within the window of ten seconds: {}", 3 * size);
    assert_eq!(world.produce(tp, &thick("aa"), ALL), Ok(3), "over it, it is written and answered all the same");
    let &[(node, mute_ms)] = &world.muted[..] else { panic!("{:?}", world.muted) };
    let over_ms = ((4 * size - WINDOW_BYTES) * 1_000) as u64 / BYTES_PER_S;
    assert!(node == leader && (over_ms - 500..=over_ms + 1).contains(&mute_ms), "{mute_ms} ms for {over_ms}, of which some had passed");
    assert!(world.notes.iter().any(|(by, note)| *by == leader && *note == Note::Throttled { mute_ms }));

    // A mean of 3 kB in four seconds is within the bound, however long it goes on.
    world.run_ms(mute_ms + 10_000);
    for nth in 4..12 {
        assert_eq!(world.produce(tp, &thick("aa"), ALL), Ok(nth));
        world.run_ms(4_000);
    }
    assert_eq!(world.muted.len(), 1, "{:?}", world.muted);
}

#[test]
fn a69_a_client_that_reads_too_fast_gets_nothing_and_the_same_when_it_may() {
    let (mut world, tp, leader) = world(70);
    for nth in 0..4 {
        assert_eq!(world.produce(tp, &thick("bb"), ALL), Ok(nth));
        world.run_ms(4_000);
    }
    assert_eq!(world.muted, [], "nobody wrote too fast, and no follower who copied it was counted");
    let size = fetched(&mut world, leader, tp, 0);
    assert!(size > WINDOW_BYTES, "the whole log, {size} bytes: a full bucket gives more than it holds, or a larger batch could never be read");
    let muted = world.muted.len();
    assert_eq!((muted, fetched(&mut world, leader, tp, 0)), (1, 0), "nothing is left for the next");
    let (_, mute_ms) = *world.muted.last().expect("it was muted again");
    assert!(mute_ms > 10_000, "{mute_ms}: so much takes longer than a window");
    world.run_ms(mute_ms);
    assert_eq!(fetched(&mut world, leader, tp, 0), size, "what was refused was not charged");
}

#[test]
fn a69_a_second_connection_has_its_own_bucket_and_one_that_is_gone_has_none() {
    let (mut world, tp, leader) = world(71);
    assert_eq!(world.produce(tp, &thick("cc"), ALL), Ok(0));
    let other = 1_000_000;
    for _ in 0..4 {
        fetched(&mut world, leader, tp, 0);
    }
    assert_eq!(world.muted.len(), 1, "{:?}", world.muted);
    let ticket = world.send_as(other, leader, fetch_request(tp, 0, Isolation::ReadCommitted, 0));
    let Some(Response::Fetch { partitions }) = world.answer_to(ticket) else { panic!("no answer") };
    let batches = Batch::split(partitions[0].records.clone()).expect("whole");
    assert!(value_of(&batches[0].records().expect("whole")[0]).starts_with("cc"));
}
