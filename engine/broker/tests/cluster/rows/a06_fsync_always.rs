//! One node on a real disk, `FsyncPolicy::Always` (A6): what is acknowledged survives a power loss at any moment.

use crate::client::{batch, produce_request, value_of};
use crate::world::World;
use broker::protocol::Isolation;
use broker::{Batch, BrokerConfig, ControllerConfig, FsyncPolicy, Request, Response, Tp};

fn one_node(seed: u64) -> (World, Tp) {
    let config = BrokerConfig { fsync: FsyncPolicy::Always, segment_bytes: 2_000, ..BrokerConfig::new(1, "unset") };
    let mut world = World::with_configs(seed, 1, config, ControllerConfig::single_node());
    let topic = world.create_topic("orders", 1, 1, 1);
    (world, Tp { topic, partition: 0 })
}

#[test]
fn a06_what_is_acknowledged_or_read_survives_a_power_loss_at_any_moment() {
    for seed in 0..60 {
        let (mut world, tp) = one_node(seed);
        let (mut acknowledged, mut sent) = (Vec::new(), 0);
        for _ in 0..3 {
            let mut tickets = Vec::new();
            for _ in 0..30 {
                let value = sent.to_string();
                let acks = if world.rng.chance(2) { -1 } else { 1 };
                tickets.push((value.clone(), world.send_request(1, produce_request(tp, &batch(&[&value]), acks))));
                sent += 1;
                let ms = world.rng.below(4);
                world.run_ms(ms);
            }
            let read = world.send_request(1, crate::client::fetch_request(tp, 0, Isolation::ReadUncommitted, 0));
            let ms = world.rng.below(10);
            world.run_ms(ms);
            for (value, ticket) in tickets {
                if let Some(Some(Response::Produce { partitions })) = world.answers.remove(&ticket)
                    && let Ok(offset) = partitions[0].1
                {
                    acknowledged.push((offset, value));
                }
            }
            if let Some(Some(Response::Fetch { partitions })) = world.answers.remove(&read) {
                for batch in Batch::split(partitions[0].records.clone()).expect("whole") {
                    acknowledged.extend(batch.records().expect("whole").iter().map(|record| (record.offset, value_of(record))));
                }
            }
            if world.rng.chance(4) {
                world.kill(1)
            } else {
                world.power_loss(1)
            }
            if world.rng.chance(3) {
                world.power_loss(0);
                world.start(0);
            }
            world.bring_back(1, tp, 1);
            world.run_ms(50);
        }
        let log = world.read_all(tp);
        for (offset, value) in acknowledged {
            assert_eq!(log.get(offset as usize), Some(&(offset, value)), "seed {seed}");
        }
    }
}

#[test]
fn a06_the_partitions_of_one_request_share_a_round() {
    let (mut world, tp) = one_node(1);
    let topic = world.create_topic("events", 8, 1, 1);
    let before = world.syncs;
    let values = (0..8).map(|partition| (Tp { topic, partition }, batch(&["one"]).bytes().clone()));
    let partitions = values.chain([(tp, batch(&["one"]).bytes().clone())]).collect();
    let answer = world.call(1, Request::Produce { acks: -1, timeout_ms: 3_000, transactional_id: None, partitions });
    let Some(Response::Produce { partitions }) = answer else { panic!("{answer:?}") };
    assert!(partitions.len() == 9 && partitions.iter().all(|(_, result)| result.is_ok()), "{partitions:?}");
    assert_eq!(world.syncs - before, 1);
}

#[test]
fn a06_one_sync_round_covers_all_that_was_appended_meanwhile() {
    let (mut world, tp) = one_node(1);
    let before = world.syncs;
    let tickets: Vec<_> = (0..100).map(|nth| world.send_request(1, produce_request(tp, &batch(&[&nth.to_string()]), -1))).collect();
    for ticket in tickets {
        world.answer_to(ticket);
    }
    let rounds = world.syncs - before;
    assert!(rounds < 20, "{rounds} rounds for 100 batches");
}
