//! A31, A64–A68: what a log forgets, and what it refuses.

use super::a43_a44_transactions;
use crate::client::{ALL, batch, idempotent, spec, value_of};
use crate::world::World;
use broker::batch::{Producer, Record};
use broker::protocol::{Isolation, OffsetSpec, TimestampType, TopicConfig, TopicSpec};
use broker::{Batch, BrokerConfig, ControllerConfig, ErrorCode, NodeId, Note, Request, Response, Tp};
use bytes::Bytes;

/// A short life for everything: segments of two or three records, looks every half second.
fn small() -> TopicConfig {
    TopicConfig { segment_bytes: Some(260), dirty_percent_min: 10, ..TopicConfig::default() }
}

fn world(seed: u64, brokers: u32) -> World {
    let config = BrokerConfig { retention_check_ms: 500, cleaner_backoff_ms: 500, ..BrokerConfig::new(1, "unset") };
    let controller = if brokers < 3 { ControllerConfig::single_node() } else { ControllerConfig::default() };
    World::with_configs(seed, brokers, config, controller)
}

fn configure(world: &mut World, name: &str, config: TopicConfig) {
    let answer = world.call(1, Request::AlterConfigs { topics: vec![(name.to_owned(), config)] });
    assert_eq!(answer, Some(Response::AlterConfigs { results: vec![(name.to_owned(), Ok(()))] }));
    world.run_ms(100);
}

fn topic(world: &mut World, name: &str, replication: u32, compacted: bool, config: TopicConfig) -> Tp {
    // The helper knows how to wait for the cluster; the topic itself is asked for here.
    if !world.notes.iter().any(|(_, note)| matches!(note, Note::TopicCreated { name, .. } if name == "first")) {
        world.create_topic("first", 1, replication, 1);
    }
    let wanted = TopicSpec { compacted, ..spec(name, 1, replication, 1) };
    let Some(Response::CreateTopics { results }) = world.call(1, Request::CreateTopics { topics: vec![wanted] }) else { panic!("no answer") };
    let tp = Tp { topic: results[0].1.expect("a new name"), partition: 0 };
    world.await_full_isr(tp, replication as usize);
    configure(world, name, config);
    tp
}

fn wall_ms(world: &World) -> i64 {
    1_700_000_000_000 + world.now_ms() as i64
}

fn now_record(world: &World, key: Option<&str>, value: Option<&str>) -> Record {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Record { offset: 0, timestamp_ms: wall_ms(world), key: key.map(bytes), value: value.map(bytes) }
}

fn put(world: &mut World, tp: Tp, key: &str, value: Option<&str>) -> i64 {
    let record = now_record(world, Some(key), value);
    world.produce(tp, &Batch::build(&[record], Producer::NONE, false), ALL).expect("accepted")
}

fn put_plain(world: &mut World, tp: Tp, count: usize) {
    for nth in 0..count {
        let record = now_record(world, None, Some(&format!("v{nth}")));
        world.produce(tp, &Batch::build(&[record], Producer::NONE, false), ALL).expect("accepted");
    }
}

fn earliest(world: &mut World, node: NodeId, tp: Tp) -> i64 {
    world.list_offset(node, tp, OffsetSpec::Earliest, None).expect("known")
}

/// (offset, key, value) of everything readable from the log start on.
fn table(world: &mut World, node: NodeId, tp: Tp) -> Vec<(i64, String, Option<String>)> {
    let mut offset = earliest(world, node, tp);
    let mut read = Vec::new();
    loop {
        let fetched = world.fetch_at(node, tp, offset, Isolation::ReadUncommitted);
        assert_eq!(fetched.error, None);
        let batches = Batch::split(fetched.records).expect("whole batches");
        let Some(last) = batches.last() else { return read };
        offset = last.header().next_offset();
        for batch in batches.iter().filter(|batch| batch.header().control.is_none()) {
            for record in batch.records().expect("whole") {
                let key = String::from_utf8(record.key.clone().expect("keyed").to_vec()).expect("text");
                read.push((record.offset, key, record.value.as_ref().map(|_| value_of(&record))));
            }
        }
    }
}

fn has_segment(world: &mut World, node: NodeId, tp: Tp, base: i64) -> bool {
    world.disk(node).bytes(&format!("{}-0/{base:020}.log", tp.topic.0)).is_some()
}

fn await_compacted(world: &mut World, node: NodeId, tp: Tp, to: i64) {
    world.run_until("compacted", 30_000, |world| {
        world.notes.iter().any(|(at, note)| *at == node && matches!(note, Note::Compacted { tp: of, end, .. } if *of == tp && *end >= to))
    });
}

#[test]
fn a64_old_segments_go_on_every_replica_and_a_reader_before_the_start_is_out_of_range() {
    let mut world = world(64, 3);
    let tp = topic(&mut world, "ticks", 3, false, TopicConfig { retention_ms: Some(5_000), ..small() });
    put_plain(&mut world, tp, 10);
    let leader = world.leader(tp).expect("a leader");
    assert_eq!(earliest(&mut world, leader, tp), 0, "all is young");
    world.run_ms(4_000);
    put_plain(&mut world, tp, 2);
    world.run_ms(3_000);

    let start = earliest(&mut world, leader, tp);
    assert!((1..=10).contains(&start), "whole segments went, the young records stayed: {start}");
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadUncommitted).error, Some(ErrorCode::OffsetOutOfRange));
    let fetched = world.fetch_at(leader, tp, start, Isolation::ReadUncommitted);
    assert_eq!((fetched.error, fetched.log_start), (None, start));
    for node in 1..=3 {
        assert!(!has_segment(&mut world, node, tp, 0), "broker {node} still has the first segment");
    }

    world.run_ms(10_000);
    assert_eq!(earliest(&mut world, leader, tp), 12, "the active segment goes too when all of it is old");
    put_plain(&mut world, tp, 1);
    assert_eq!(world.list_offset(leader, tp, OffsetSpec::Latest, None), Ok(13));

    // A start that follows from the files survives any restart.
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    assert_eq!(earliest(&mut world, next, tp), 12);
    world.bring_back(leader, tp, 3);
}

#[test]
fn a64_by_size_the_oldest_segments_go_while_enough_is_left() {
    let mut world = world(65, 1);
    let tp = topic(&mut world, "ticks", 1, false, TopicConfig { retention_bytes: Some(500), ..small() });
    put_plain(&mut world, tp, 20);
    world.run_ms(2_000);
    let start = earliest(&mut world, 1, tp);
    let kept = 20 - start;
    // A record is 64 + 22 bytes or one more, a segment holds three at most.
    assert!((6..=9).contains(&kept), "{kept} records are left of 20");
}

#[test]
fn a64_a_follower_that_was_away_for_longer_than_the_retention_goes_on_at_the_leaders_start() {
    let mut world = world(66, 3);
    let tp = topic(&mut world, "ticks", 3, false, TopicConfig { retention_ms: Some(5_000), ..small() });
    put_plain(&mut world, tp, 4);
    let leader = world.leader(tp).expect("a leader");
    let away = if leader == 3 { 2 } else { 3 };
    world.kill(away);
    world.run_until("without it", 20_000, |world| world.isr(tp).len() == 2);
    put_plain(&mut world, tp, 8);
    world.run_ms(8_000);
    put_plain(&mut world, tp, 2);
    let leader = world.leader(tp).expect("a leader");
    assert!(earliest(&mut world, leader, tp) > 4, "what it has, and more, is gone");
    world.bring_back(away, tp, 3);
    let others: Vec<NodeId> = (1..=3).filter(|&node| node != away).collect();
    others.into_iter().for_each(|node| world.kill(node));
    world.start(if away == 1 { 2 } else { 1 });
    world.run_ms(10);
    // Whoever leads now, what is read is the same.
    world.run_until("a leader", 20_000, |world| world.leader(tp).is_some());
    let leader = world.leader(tp).expect("just seen");
    assert_eq!(world.list_offset(leader, tp, OffsetSpec::Latest, None), Ok(14));
}

#[test]
fn a64_deleted_records_come_back_if_their_end_was_not_written_down() {
    let mut world = world(67, 1);
    let tp = topic(&mut world, "ticks", 1, false, TopicConfig { segment_bytes: Some(1 << 16), ..small() });
    put_plain(&mut world, tp, 10);
    let delete = |before: i64| Request::DeleteRecords { partitions: vec![(tp, before)] };
    assert_eq!(world.call(1, delete(11)), Some(Response::DeleteRecords { partitions: vec![(tp, Err(ErrorCode::OffsetOutOfRange))] }));
    assert_eq!(world.call(1, delete(4)), Some(Response::DeleteRecords { partitions: vec![(tp, Ok(4))] }));
    assert_eq!(world.fetch_at(1, tp, 3, Isolation::ReadUncommitted).error, Some(ErrorCode::OffsetOutOfRange));
    // The batch of offset 4 is the first that is answered.
    assert_eq!(Batch::split(world.fetch_at(1, tp, 4, Isolation::ReadUncommitted).records).expect("whole")[0].header().base_offset, 4);

    world.kill(1);
    world.bring_back(1, tp, 1);
    assert_eq!(earliest(&mut world, 1, tp), 0, "killed before the checkpoint: they are back (A4)");

    assert_eq!(world.call(1, delete(-1)), Some(Response::DeleteRecords { partitions: vec![(tp, Ok(10))] }));
    world.run_ms(61_000);
    world.kill(1);
    world.bring_back(1, tp, 1);
    assert_eq!(earliest(&mut world, 1, tp), 10);
    put_plain(&mut world, tp, 1);
    assert_eq!(world.list_offset(1, tp, OffsetSpec::Latest, None), Ok(11));
}

#[test]
fn a31_retention_does_not_forget_a_producer_but_a_day_of_silence_does() {
    let mut world = world(31, 1);
    world.broker_config.producer_id_expiration_ms = 60_000;
    world.broker_config.producer_id_expiration_check_ms = 1_000;
    world.kill(1);
    world.start(1);
    let tp = topic(&mut world, "ticks", 1, false, TopicConfig { retention_ms: Some(5_000), ..small() });
    let of_producer = |world: &World, sequence: i32| {
        let record = now_record(world, None, Some("v"));
        Batch::build(&[record], Producer { id: 7, epoch: 0, first_sequence: sequence }, false)
    };
    let mut last = of_producer(&world, 0);
    for sequence in 0..8 {
        last = of_producer(&world, sequence);
        assert_eq!(world.produce(tp, &last, ALL), Ok(i64::from(sequence)));
    }
    world.run_ms(10_000);
    assert_eq!(earliest(&mut world, 1, tp), 8, "nothing of it is left");
    assert_eq!(world.produce(tp, &last, ALL), Ok(7), "a retry of its last batch is known");
    world.kill(1);
    world.bring_back(1, tp, 1);
    assert_eq!(world.produce(tp, &last, ALL), Ok(7), "after a restart too (KAFKA-7190)");
    let gap = of_producer(&world, 20);
    assert_eq!(world.produce(tp, &gap, ALL), Err(ErrorCode::OutOfOrderSequenceNumber));
    world.run_ms(60_000);
    assert_eq!(world.produce(tp, &last, ALL), Ok(8), "forgotten: a very late retry is written a second time");
}

#[test]
fn a65_compaction_keeps_the_last_record_of_each_key_at_its_offset() {
    let mut world = world(650, 3);
    let tp = topic(&mut world, "snapshots", 3, true, small());
    for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("a", "3"), ("b", "2"), ("d", "1")] {
        put(&mut world, tp, key, Some(value));
    }
    let end = put(&mut world, tp, "last", Some("active")) + 1;
    for node in 1..=3 {
        await_compacted(&mut world, node, tp, 3);
    }
    let leader = world.leader(tp).expect("a leader");
    let after = table(&mut world, leader, tp);
    let newest = |key: &str| after.iter().rev().find(|(_, of, _)| of == key).cloned().expect("every key is there");
    assert_eq!(newest("a"), (4, "a".to_owned(), Some("3".to_owned())));
    assert_eq!(newest("b"), (5, "b".to_owned(), Some("2".to_owned())));
    assert_eq!(newest("c"), (3, "c".to_owned(), Some("1".to_owned())));
    assert!(!after.iter().any(|(offset, ..)| *offset == 0), "the first value of a is gone: {after:?}");
    assert_eq!(earliest(&mut world, leader, tp), 0, "compaction does not move the start");
    assert_eq!(world.list_offset(leader, tp, OffsetSpec::Latest, None), Ok(end));

    // A restart, and a leader that copied the cleaned log from the start, show the same.
    let away = if leader == 3 { 2 } else { 3 };
    world.power_loss(away);
    world.run_until("without it", 20_000, |world| world.isr(tp).len() == 2);
    world.bring_back(away, tp, 3);
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    let there = table(&mut world, next, tp);
    for key in ["a", "b", "c", "d"] {
        assert_eq!(there.iter().rev().find(|(_, of, _)| of == key), Some(&newest(key)));
    }
    world.bring_back(leader, tp, 3);
    assert_eq!(put(&mut world, tp, "e", Some("1")), end, "the next offset follows the last");
}

#[test]
fn a65_a_tombstone_stays_until_its_horizon_and_then_its_key_is_gone() {
    let mut world = world(651, 1);
    let tp = topic(&mut world, "snapshots", 1, true, TopicConfig { delete_retention_ms: 20_000, ..small() });
    put(&mut world, tp, "a", Some("1"));
    put(&mut world, tp, "b", Some("1"));
    put(&mut world, tp, "a", None);
    for nth in 0..4 {
        put(&mut world, tp, "filler", Some(&nth.to_string()));
    }
    await_compacted(&mut world, 1, tp, 3);
    let has = |rows: &[(i64, String, Option<String>)], key: &str| rows.iter().any(|(_, of, _)| of == key);
    let rows = table(&mut world, 1, tp);
    assert!(rows.contains(&(2, "a".to_owned(), None)), "who comes now must hear of the deletion: {rows:?}");
    assert!(!rows.contains(&(0, "a".to_owned(), Some("1".to_owned()))));

    world.run_ms(21_000);
    let before = world.notes.len();
    for nth in 0..6 {
        put(&mut world, tp, "filler", Some(&nth.to_string()));
    }
    world.run_until("compacted again", 30_000, |world| world.notes[before..].iter().any(|(_, note)| matches!(note, Note::Compacted { .. })));
    let rows = table(&mut world, 1, tp);
    assert!(!has(&rows, "a"), "who was away for longer than that never hears of it: {rows:?}");
    assert!(has(&rows, "b"));
}

#[test]
fn a65_a_producers_next_batch_is_still_its_next_though_nothing_of_the_last_is_left() {
    let mut world = world(652, 1);
    let tp = topic(&mut world, "snapshots", 1, true, TopicConfig { delete_retention_ms: 0, ..small() });
    let write = |world: &mut World, sequence: i32, key: &str| {
        let record = now_record(world, Some(key), Some("v"));
        let batch = Batch::build(&[record], Producer { id: 9, epoch: 0, first_sequence: sequence }, false);
        world.produce(tp, &batch, ALL)
    };
    assert_eq!(write(&mut world, 0, "a"), Ok(0));
    assert_eq!(write(&mut world, 1, "a"), Ok(1));
    for nth in 0..9 {
        put(&mut world, tp, "a", Some(&nth.to_string()));
    }
    await_compacted(&mut world, 1, tp, 6);
    let rows = table(&mut world, 1, tp);
    assert!(rows.iter().all(|(offset, ..)| *offset > 1), "both are overwritten: {rows:?}");
    for round in 0..2 {
        assert_eq!(write(&mut world, 1, "a"), Ok(1), "its last batch is known though no record of it is left, round {round}");
        assert_eq!(write(&mut world, 5, "a"), Err(ErrorCode::OutOfOrderSequenceNumber));
        world.kill(1);
        world.bring_back(1, tp, 1);
    }
    assert!(write(&mut world, 2, "a").is_ok());
    assert_eq!(world.produce(tp, &batch(&["no key"]), ALL), Err(ErrorCode::InvalidRecord), "a record without a key could never be compacted");
    let delete = Request::DeleteRecords { partitions: vec![(tp, 1)] };
    assert_eq!(world.call(1, delete), Some(Response::DeleteRecords { partitions: vec![(tp, Err(ErrorCode::InvalidTopic))] }));
}

#[test]
fn a65_what_was_aborted_counts_for_nothing_and_its_marker_stays_until_its_horizon() {
    let mut world = world(654, 1);
    let tp = topic(&mut world, "snapshots", 1, true, TopicConfig { delete_retention_ms: 20_000, ..small() });
    put(&mut world, tp, "a", Some("kept"));
    let mut transact = |key: &str, value: &str, sequence: i32, commit: bool| {
        let txn = a43_a44_transactions::begin(&mut world);
        a43_a44_transactions::add(&mut world, &txn, tp);
        let record = now_record(&world, Some(key), Some(value));
        let batch = Batch::build(&[record], Producer { id: txn.producer_id, epoch: txn.producer_epoch, first_sequence: sequence }, true);
        a43_a44_transactions::write(&mut world, tp, &batch).expect("written");
        a43_a44_transactions::end(&mut world, &txn, commit);
        world.run_ms(500);
    };
    transact("a", "aborted", 0, false);
    transact("b", "committed", 0, true);
    for nth in 0..6 {
        put(&mut world, tp, "filler", Some(&nth.to_string()));
    }
    await_compacted(&mut world, 1, tp, 5);
    let markers = |world: &mut World| {
        let (mut offset, mut found) = (0, Vec::new());
        loop {
            let batches = Batch::split(world.fetch_at(1, tp, offset, Isolation::ReadUncommitted).records).expect("whole batches");
            let Some(last) = batches.last() else { return found };
            offset = last.header().next_offset();
            found.extend(batches.iter().filter(|batch| batch.header().control.is_some()).map(|batch| batch.header().base_offset));
        }
    };
    let rows = table(&mut world, 1, tp);
    assert_eq!(rows.iter().take(2).map(|(offset, key, _)| (*offset, key.as_str())).collect::<Vec<_>>(), [(0, "a"), (3, "b")], "{rows:?}");
    assert_eq!(markers(&mut world), [2, 4], "who comes now is still to hear how they ended");

    world.run_ms(21_000);
    let before = world.notes.len();
    for nth in 0..6 {
        put(&mut world, tp, "filler", Some(&nth.to_string()));
    }
    world.run_until("compacted again", 30_000, |world| world.notes[before..].iter().any(|(_, note)| matches!(note, Note::Compacted { .. })));
    assert_eq!(markers(&mut world), [4], "of the committed one a record is left");
    let rows = table(&mut world, 1, tp);
    assert_eq!(rows.iter().take(2).map(|(offset, key, _)| (*offset, key.as_str())).collect::<Vec<_>>(), [(0, "a"), (3, "b")], "{rows:?}");
    world.kill(1);
    world.bring_back(1, tp, 1);
    let fetched = world.fetch_at(1, tp, 0, Isolation::ReadCommitted);
    assert_eq!(fetched.last_stable_offset, fetched.high_watermark, "an aborted transaction without its marker holds nobody back");
}

/// A compacted batch tells of times whose records are gone.
#[test]
fn a65_a_time_finds_the_first_record_that_is_left() {
    let mut world = world(653, 1);
    let tp = topic(&mut world, "snapshots", 1, true, small());
    let now_ms = wall_ms(&world);
    let write = |world: &mut World, records: &[(&str, i64)]| {
        let record = |&(key, after_ms): &(&str, i64)| Record { timestamp_ms: now_ms + after_ms, ..now_record(world, Some(key), Some("v")) };
        let records: Vec<Record> = records.iter().map(record).collect();
        world.produce(tp, &Batch::build(&records, Producer::NONE, false), ALL).expect("accepted")
    };
    // The newest of each of these batches goes, of the second everything.
    write(&mut world, &[("a", 10), ("x", 90)]);
    write(&mut world, &[("x", 91), ("y", 92)]);
    write(&mut world, &[("b", 20), ("y", 93), ("x", 21)]);
    let y = write(&mut world, &[("c", 22), ("y", 30)]) + 1;
    for nth in 0..6 {
        write(&mut world, &[("filler", 200 + nth)]);
    }
    await_compacted(&mut world, 1, tp, y + 1);
    let rows = table(&mut world, 1, tp);
    assert_eq!(rows.iter().take(5).map(|(offset, key, _)| (*offset, key.as_str())).collect::<Vec<_>>(), [(0, "a"), (4, "b"), (6, "x"), (7, "c"), (8, "y")]);
    for (after_ms, offset) in [(0, 0), (11, 4), (21, 6), (25, 8), (31, rows[5].0), (93, rows[5].0)] {
        assert_eq!(world.list_offset(1, tp, OffsetSpec::Timestamp(now_ms + after_ms), None), Ok(offset), "{after_ms} ms after: {rows:?}");
    }
}

#[test]
fn a65_a_crash_at_any_moment_of_a_cleaning_loses_no_key() {
    let (mut before, mut between) = (0, 0);
    for seed in 0..40 {
        let mut world = world(6_530 + seed, 1);
        // Many small segments, merged into one file.
        let config = TopicConfig { segment_ms: Some(20), segment_bytes: Some(1 << 16), ..small() };
        let tp = topic(&mut world, "snapshots", 1, true, config);
        let mut newest = std::collections::BTreeMap::new();
        for nth in 0..30 {
            let key = ["a", "b", "c", "d", "e"][world.rng.below(5) as usize];
            newest.insert(key.to_owned(), (put(&mut world, tp, key, Some(&nth.to_string())), nth.to_string()));
            world.run_ms(10);
        }
        let first = format!("{}-0/{:020}.log", tp.topic.0, 0);
        let len = world.disk(1).bytes(&first).expect("the first segment").len();
        let snapshot = format!("{}-0/producers.snapshot", tp.topic.0);
        match seed % 3 {
            // Nothing is written yet but what is known of producers.
            0 => world.run_until("a cleaning begins", 10_000, |world| world.disk(1).bytes(&snapshot).is_some()),
            // The merged file is there, those merged into it are too.
            1 => world.run_until("a file is replaced", 10_000, |world| world.disk(1).bytes(&first).is_some_and(|bytes| bytes.len() != len)),
            _ => await_compacted(&mut world, 1, tp, 3),
        }
        let segments = |world: &mut World| world.disk(1).listing().iter().filter(|(name, _)| name.starts_with(&format!("{}-0/0", tp.topic.0))).count();
        let files = segments(&mut world);
        world.kill(1);
        world.bring_back(1, tp, 1);
        before += usize::from(seed % 3 == 0 && files > 5);
        between += usize::from(seed % 3 == 1 && segments(&mut world) < files);
        world.run_ms(3_000);
        let rows = table(&mut world, 1, tp);
        for (key, (offset, value)) in &newest {
            assert!(rows.contains(&(*offset, key.clone(), Some(value.clone()))), "seed {seed}: {key} lost its last value: {rows:?}");
        }
        assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "seed {seed}: offsets rise");
        assert!(rows.len() < 20, "seed {seed}: compacted in the end: {rows:?}");
    }
    assert!(before >= 10 && between >= 10, "the crashes came when they should: {before}, {between}");
}

#[test]
fn a66_duplicates_of_a_key_are_normal_until_age_and_dirt_ask_for_cleaning() {
    let mut world = world(66, 1);
    let config = TopicConfig { compaction_lag_ms_min: 15_000, ..small() };
    let tp = topic(&mut world, "snapshots", 1, true, config);
    for nth in 0..12 {
        put(&mut world, tp, "a", Some(&nth.to_string()));
    }
    world.run_ms(10_000);
    assert_eq!(table(&mut world, 1, tp).len(), 12, "all are too young");
    world.run_ms(10_000);
    assert!(table(&mut world, 1, tp).len() <= 5, "old enough now; the active segment never is");

    // Half of the bytes must be dirty, Kafka's default.
    let tp = topic(&mut world, "offsets", 1, true, TopicConfig { dirty_percent_min: 90, ..small() });
    for nth in 0..30 {
        put(&mut world, tp, &format!("k{nth}"), Some("first"));
    }
    world.run_ms(3_000);
    let compactions = |world: &World| world.notes.iter().filter(|(_, note)| matches!(note, Note::Compacted { tp: of, .. } if *of == tp)).count();
    let before = compactions(&world);
    for _ in 0..6 {
        put(&mut world, tp, "k1", Some("again"));
    }
    world.run_ms(5_000);
    assert_eq!(compactions(&world), before, "little is dirty beside what is clean");
    assert!(table(&mut world, 1, tp).iter().filter(|(_, key, _)| key == "k1").count() >= 6);
}

#[test]
fn a67_timestamps_are_the_producers_or_the_leaders_and_may_be_refused() {
    let mut world = world(67, 1);
    let tp = topic(&mut world, "ticks", 1, false, TopicConfig::default());
    let at = |timestamp_ms: i64| Batch::build(&[Record { offset: 0, timestamp_ms, key: None, value: Some(Bytes::from_static(b"v")) }], Producer::NONE, false);
    for timestamp_ms in [50, 20, 80] {
        world.produce(tp, &at(timestamp_ms), ALL).expect("any time");
    }
    let first_from = |world: &mut World, timestamp_ms: i64| world.list_offset(1, tp, OffsetSpec::Timestamp(timestamp_ms), None);
    assert_eq!(first_from(&mut world, 20), Ok(0), "the first at or after, not the oldest: producers' clocks are not monotone");
    assert_eq!(first_from(&mut world, 60), Ok(2));

    let hour_ms = 3_600_000;
    let bounded = TopicConfig { timestamp_after_ms_max: Some(hour_ms), timestamp_before_ms_max: Some(hour_ms), ..TopicConfig::default() };
    configure(&mut world, "ticks", bounded);
    let now_ms = wall_ms(&world);
    assert_eq!(world.produce(tp, &at(now_ms + 2 * hour_ms as i64), ALL), Err(ErrorCode::InvalidTimestamp), "from the future");
    assert_eq!(world.produce(tp, &at(now_ms - 2 * hour_ms as i64), ALL), Err(ErrorCode::InvalidTimestamp), "from the past");
    assert_eq!(world.produce(tp, &at(now_ms), ALL), Ok(3));

    configure(&mut world, "ticks", TopicConfig { timestamps: TimestampType::LogAppend, ..bounded });
    assert_eq!(world.produce(tp, &at(7), ALL), Ok(4), "whatever its producer's clock says");
    let stored = Batch::split(world.fetch_at(1, tp, 4, Isolation::ReadUncommitted).records).expect("whole");
    assert!(stored[0].header().log_append_time);
    let stamped_ms = stored[0].records().expect("whole")[0].timestamp_ms;
    assert!((now_ms..=wall_ms(&world)).contains(&stamped_ms), "the leader's clock");
}

#[test]
fn a68_a_batch_too_large_is_refused_for_good_and_a_large_one_is_always_fetched() {
    let mut world = world(68, 1);
    let tp = topic(&mut world, "ticks", 1, false, TopicConfig { message_bytes_max: Some(2_000), ..TopicConfig::default() });
    let large = "x".repeat(3_000);
    assert_eq!(world.produce(tp, &batch(&[&large]), ALL), Err(ErrorCode::MessageTooLarge));
    assert_eq!(world.list_offset(1, tp, OffsetSpec::Latest, None), Ok(0), "definite: nothing was written");
    let fits = "x".repeat(1_800);
    assert_eq!(world.produce(tp, &idempotent(&[&fits], 3, 0, 0), ALL), Ok(0));
    let partition = broker::protocol::FetchPartition { tp, offset: 0, current_leader_epoch: None, last_fetched_epoch: None, bytes_max: 10 };
    let fetch =
        Request::Fetch { replica: None, wait_ms_max: 0, bytes_min: 1, bytes_max: 10, isolation: Isolation::ReadUncommitted, partitions: vec![partition] };
    let Some(Response::Fetch { partitions }) = world.call(1, fetch) else { panic!("no answer") };
    assert!(partitions[0].records.len() > 1_800, "one batch comes however large (KIP-74)");
}

#[test]
fn a65_under_kills_pauses_and_cuts_every_key_keeps_a_value_that_is_not_older_than_the_last_acknowledged() {
    let (mut compactions, mut acknowledged) = (0, 0);
    for seed in 0..30 {
        let mut world = world(65_000 + seed, 3);
        let tp = topic(&mut world, "snapshots", 3, true, TopicConfig { delete_retention_ms: 1_000, ..small() });
        let keys = ["a", "b", "c", "d", "e", "f"];
        // By key: the number of the last acknowledged write.
        let mut last = std::collections::BTreeMap::new();
        for nth in 0..150_u32 {
            match world.rng.below(24) {
                0 => {
                    let node = world.rng.below(4) as NodeId;
                    if world.is_up(node) { world.kill(node) } else { world.start(node) }
                }
                1 => {
                    let node = world.rng.below(4) as NodeId;
                    world.pause(node);
                }
                2 => (0..4).for_each(|node| world.resume(node)),
                3 => {
                    let node = world.rng.below(4) as NodeId;
                    world.isolate(node);
                }
                4 => world.heal(),
                5 | 6 => (0..4).for_each(|node| {
                    if !world.is_up(node) {
                        world.start(node)
                    }
                }),
                _ => {}
            }
            let key = keys[world.rng.below(6) as usize];
            let record = now_record(&world, Some(key), Some(&nth.to_string()));
            let batch = Batch::build(&[record], Producer::NONE, false);
            let Some(leader) = world.leader(tp) else {
                world.run_ms(100);
                continue;
            };
            let ticket = world.send_request(leader, crate::client::produce_request(tp, &batch, ALL));
            world.run_ms(60);
            if let Some(Some(Response::Produce { partitions })) = world.answers.remove(&ticket)
                && partitions[0].1.is_ok()
            {
                last.insert(key, nth);
                acknowledged += 1;
            }
        }
        world.heal();
        for node in 0..4 {
            world.resume(node);
            if !world.is_up(node) {
                world.start(node);
            }
        }
        world.await_full_isr(tp, 3);
        world.run_ms(3_000);
        compactions += world.notes.iter().filter(|(_, note)| matches!(note, Note::Compacted { tp: of, .. } if *of == tp)).count();
        // Every replica, made the leader in turn, shows the same table.
        let leader = world.leader(tp).expect("a leader");
        let newest = |rows: &[(i64, String, Option<String>)], key: &str| rows.iter().rev().find(|(_, of, _)| of == key).cloned();
        let rows = table(&mut world, leader, tp);
        for (key, acked) in &last {
            let (_, _, value) = newest(&rows, key).unwrap_or_else(|| panic!("seed {seed}: {key} is gone"));
            let value: u32 = value.expect("no tombstones here").parse().expect("a number");
            assert!(value >= *acked, "seed {seed}: {key} went back from {acked} to {value}");
        }
        world.kill(leader);
        let next = world.await_other_leader(tp, leader);
        world.run_ms(1_000);
        let there = table(&mut world, next, tp);
        for key in last.keys() {
            assert_eq!(newest(&there, key), newest(&rows, key), "seed {seed}: {key} on another replica");
        }
    }
    assert!(compactions > 100 && acknowledged > 1_000, "the dice reach too little: {compactions} compactions, {acknowledged} acknowledged");
}

#[test]
fn a68_who_does_not_lead_says_that_first_and_not_that_a_batch_is_too_large() {
    let mut world = world(69, 3);
    let mut wide = |name: &str| topic(&mut world, name, 1, false, TopicConfig { message_bytes_max: Some(3 << 20), ..TopicConfig::default() });
    let tp = wide("wide");
    let leader = world.leader(tp).expect("a leader");
    let large = batch(&[&"x".repeat(2 << 20)]);
    for node in (1..=3).filter(|&node| node != leader) {
        assert_eq!(world.produce_at(node, tp, &large, ALL), Err(ErrorCode::NotLeaderOrFollower), "broker {node} has no replica; its own bound is 1 MiB");
    }
    assert_eq!(world.produce_at(leader, tp, &large, ALL), Ok(0));
}
