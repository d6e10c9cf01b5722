//! The controllers' quorum (KIP-595): one leads, what counts is on two platters, and a vote is kept.

use crate::client::spec;
use crate::world::{VOTERS, World};
use broker::{BrokerConfig, Controller, ControllerConfig, Core, DiskAnswer, ErrorCode, Input, NodeId, Note, Now, Output, QuorumConfig, Request, Response};

fn cluster(seed: u64) -> World {
    let config = BrokerConfig { controllers: VOTERS.to_vec(), ..BrokerConfig::new(1, "unset") };
    World::with_configs(seed, 3, config, ControllerConfig::default())
}

/// Who was elected last.
fn leading(world: &World) -> NodeId {
    let elected = world.notes.iter().rev().find(|(_, note)| matches!(note, Note::ControllerElected { .. }));
    elected.expect("somebody leads").0
}

fn await_other(world: &mut World, old: NodeId) -> NodeId {
    world.run_until("another controller is elected", 10_000, |world| leading(world) != old);
    leading(world)
}

#[test]
fn another_controller_goes_on_with_what_counted() {
    let mut world = cluster(1);
    let topic = world.create_topic("orders", 2, 3, 2);
    let old = leading(&world);
    world.power_loss(old);
    await_other(&mut world, old);
    assert_eq!(world.create_topic("trades", 1, 3, 2).0, topic.0 + 1, "it knows the topics that there were");
    world.start(old);
    world.run_ms(3_000);
    assert!(world.is_unfenced(1) && world.is_unfenced(2) && world.is_unfenced(3), "brokers live on under it");
    crate::invariants::check(&world.notes);
}

#[test]
fn a_controller_without_a_majority_decides_nothing_and_what_it_wished_is_cut() {
    let mut world = cluster(2);
    world.create_topic("orders", 1, 3, 2);
    let old = leading(&world);
    for voter in VOTERS.into_iter().filter(|&voter| voter != old) {
        world.cut(old, voter);
        world.cut(voter, old);
    }
    // Straight to it, as a broker that has not heard of another would.
    let wish = world.send_request(old, Request::CreateTopics { topics: vec![spec("wished", 1, 3, 2)] });
    let new = await_other(&mut world, old);
    world.run_ms(2_000);
    assert_eq!(world.answer_to(wish), Some(Response::Error(ErrorCode::NotController)), "it gave up and says so");
    world.create_topic("trades", 1, 3, 2);
    world.heal();
    world.run_ms(5_000);
    // The same name anew: had the wish counted, the topic would exist.
    world.create_topic("wished", 1, 3, 2);
    let told = |node: NodeId| world.notes.iter().filter(|(of, note)| *of == node && matches!(note, Note::MetadataCommitted { .. })).count();
    assert!(told(old) + 2 >= told(new), "{old} has caught up with {new}: {} of {}", told(old), told(new));
    crate::invariants::check(&world.notes);
}

#[test]
fn a_voter_that_was_cut_off_does_not_depose_a_leader_that_the_others_hear() {
    let mut world = cluster(3);
    world.create_topic("orders", 1, 3, 2);
    let leader = leading(&world);
    let lonely = VOTERS.into_iter().find(|&voter| voter != leader).expect("three");
    world.isolate(lonely);
    world.run_ms(8_000);
    world.heal();
    world.run_ms(3_000);
    assert_eq!(leading(&world), leader, "its pre-votes were refused");
}

/// A controller driven by hand.
struct Voter {
    core: Controller,
    /// The quorum's state as it is on the platter.
    state: Option<bytes::Bytes>,
}

impl Voter {
    fn start(state: Option<bytes::Bytes>) -> Self {
        let config = ControllerConfig { quorum: Some(QuorumConfig::new(901, VOTERS)), ..ControllerConfig::default() };
        let mut voter = Voter { core: Controller::new(config), state };
        let listing = voter.state.iter().map(|bytes| ("__cluster_metadata/quorum-state".to_owned(), bytes.len() as u64)).collect();
        voter.step(Input::Start { listing, incarnation: 1 });
        voter
    }

    /// Steps, executes what is for the disk, and gives the replies.
    fn step(&mut self, input: Input) -> Vec<Response> {
        let (mut inputs, mut replies) = (vec![input], Vec::new());
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.core.step(Now { monotonic_ms: 5, wall_ms: 5 }, input, &mut out);
            for output in out {
                match output {
                    Output::Replace { op, bytes, .. } => {
                        self.state = Some(bytes);
                        inputs.push(Input::DiskDone { op, result: Ok(DiskAnswer::Done) });
                    }
                    Output::Read { op, .. } => {
                        let bytes = self.state.clone().expect("it was listed");
                        inputs.push(Input::DiskDone { op, result: Ok(DiskAnswer::Bytes(bytes)) });
                    }
                    Output::Reply { response, .. } => replies.push(response),
                    _ => {}
                }
            }
        }
        replies
    }

    fn votes_for(&mut self, candidate: NodeId, epoch: u32) -> bool {
        let request = Request::Vote { candidate, epoch, last_epoch: 0, end: 0, pre: false };
        match self.step(Input::Request { connection: 1, correlation: 1, request }).as_slice() {
            [Response::Vote { granted, .. }] => *granted,
            other => panic!("a vote is answered once: {other:?}"),
        }
    }
}

#[test]
fn a_vote_is_kept_over_a_restart() {
    let mut voter = Voter::start(None);
    assert!(voter.votes_for(902, 7));
    let mut voter = Voter::start(voter.state);
    assert!(!voter.votes_for(903, 7), "it voted for 902");
    assert!(voter.votes_for(902, 7), "and says so again");
    assert!(!voter.votes_for(903, 6), "an epoch that is over");
    assert!(voter.votes_for(903, 8), "a new epoch, a new vote");
}

#[test]
fn a_vote_is_not_told_before_it_is_on_the_platter() {
    let mut voter = Voter::start(None);
    let request = Request::Vote { candidate: 902, epoch: 1, last_epoch: 0, end: 0, pre: false };
    let mut out = Vec::new();
    voter.core.step(Now { monotonic_ms: 5, wall_ms: 5 }, Input::Request { connection: 1, correlation: 1, request }, &mut out);
    assert!(out.iter().any(|output| matches!(output, Output::Replace { .. })), "it is being written");
    assert!(!out.iter().any(|output| matches!(output, Output::Reply { .. })), "and not told yet");
}
