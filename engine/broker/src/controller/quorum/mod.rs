//! A controller among three: who leads (KIP-595, with the pre-vote of KIP-996 and a leader that gives up in time), and what counts.
//!
//! A voter promises one vote an epoch, and keeps it on the platter before it says so. A leader's first entry names its epoch; what came before it counts
//! when that entry does. A voter fetches entries, syncs them, and says with its next fetch how far it is.

mod replication;
mod state;
mod votes;

use super::{Controller, Outcome, Phase, Timer};
use crate::config::QuorumConfig;
use crate::coordinator::ReplyTo;
use crate::io::{Output, RequestId};
use crate::metadata::{Image, MetadataRecord};
use crate::note::Note;
use crate::protocol::{ErrorCode, NodeId, Request, Response};
use std::collections::{BTreeMap, BTreeSet};

pub(super) use state::FILE;

/// What this voter is in its epoch.
#[derive(Debug)]
enum Role {
    /// `leader`: unknown at first, and again when it was silent for too long.
    Follower {
        leader: Option<NodeId>,
    },
    /// Would be elected? Asks without an epoch of its own.
    Prospective {
        votes: BTreeSet<NodeId>,
    },
    Candidate {
        votes: BTreeSet<NodeId>,
    },
    /// `first`: the entry that names this epoch.
    Leader {
        first: u64,
        followers: BTreeMap<NodeId, Follower>,
    },
}

/// Another voter, as its leader knows it.
#[derive(Debug, Clone, Copy)]
struct Follower {
    /// What is on its platter.
    end: u64,
    heard_ms: u64,
}

/// What a request to another voter was for.
#[derive(Debug)]
enum Asked {
    Vote { epoch: u32, pre: bool },
    Begin,
    Fetch { leader: NodeId, epoch: u32 },
}

/// A voter's part in the quorum.
pub(super) struct Quorum {
    config: QuorumConfig,
    epoch: u32,
    voted: Option<NodeId>,
    role: Role,
    /// Drawn from at every timeout.
    chance: u64,
    /// When this voter's patience ends, or a leader reminds the others.
    timer_at_ms: u64,
    next_request: RequestId,
    asked: BTreeMap<RequestId, (NodeId, Asked)>,
    /// The fetch that is out: its leader and epoch. One to a former leader does not count.
    fetching: Option<(NodeId, u32)>,
    writes: state::Writes,
}

impl Quorum {
    pub fn new(config: QuorumConfig) -> Self {
        Quorum {
            config,
            epoch: 0,
            voted: None,
            role: Role::Follower { leader: None },
            chance: 0,
            timer_at_ms: 0,
            next_request: 0,
            asked: BTreeMap::new(),
            fetching: None,
            writes: state::Writes::default(),
        }
    }

    fn leader(&self) -> Option<NodeId> {
        match self.role {
            Role::Leader { .. } => Some(self.config.node),
            Role::Follower { leader } => leader,
            _ => None,
        }
    }

    fn others(&self) -> Vec<NodeId> {
        self.config.voters.into_iter().filter(|&voter| voter != self.config.node).collect()
    }

    fn is_majority(&self, voters: usize) -> bool {
        voters > self.config.voters.len() / 2
    }

    /// 0 to `below`, by the life's own stream.
    fn draw(&mut self, below: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ self.chance >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) % below.max(1)
    }
}

impl Controller {
    fn voter(&mut self) -> &mut Quorum {
        self.quorum.as_mut().expect("only a voter comes here")
    }

    /// True of a controller that is alone, and of the leader.
    pub(super) fn is_active(&self) -> bool {
        self.quorum.as_ref().is_none_or(|quorum| matches!(quorum.role, Role::Leader { .. }))
    }

    /// Draws differ between voters and between lives.
    pub(super) fn seed_quorum(&mut self, incarnation: u64) {
        if let Some(quorum) = &mut self.quorum {
            quorum.chance = incarnation ^ u64::from(quorum.config.node) << 32;
        }
    }

    /// Every file is read.
    pub(super) fn begin_voting(&mut self) {
        let last = self.log.epoch_before(self.log.end());
        let quorum = self.voter();
        if last > quorum.epoch {
            (quorum.epoch, quorum.voted) = (last, None);
        }
        self.wait_for_leader();
    }

    pub(super) fn handle_quorum(&mut self, to: ReplyTo, request: Request) {
        match request {
            Request::DescribeQuorum => self.describe_quorum(to),
            Request::Vote { candidate, epoch, last_epoch, end, pre } => self.vote(to, votes::Candidacy { candidate, epoch, last_epoch, end, pre }),
            Request::BeginQuorumEpoch { leader, epoch } => {
                self.hear_of(epoch, Some(leader));
                self.describe_quorum(to);
            }
            Request::FetchQuorum { voter, epoch, from, last_epoch, wait_ms_max } => {
                self.serve_voter(to, replication::Wanted { voter, epoch, from, last_epoch, wait_ms_max });
            }
            _ => self.reply(to, Response::Error(ErrorCode::NotController)),
        }
    }

    pub(super) fn describe_quorum(&mut self, to: ReplyTo) {
        let quorum = self.voter();
        let response = Response::Quorum { epoch: quorum.epoch, leader: quorum.leader() };
        self.reply(to, response);
    }

    fn ask_voter(&mut self, to: NodeId, lane: u8, request: Request, asked: Asked) {
        let quorum = self.voter();
        quorum.next_request += 1;
        let id = quorum.next_request;
        quorum.asked.insert(id, (to, asked));
        self.io.out.push(Output::Request { to, lane, id, request });
    }

    pub(super) fn take_quorum_response(&mut self, id: RequestId, response: Option<Response>) {
        let Some((from, asked)) = self.voter().asked.remove(&id) else { return };
        if let Some(Response::Quorum { epoch, leader } | Response::Vote { epoch, leader, .. }) = response {
            // Of this epoch's leader only itself is believed: two voters that tell each other of one that is gone would wait for it in turns for ever
            // (`tests/cluster/random.rs`, seed 25).
            let known = epoch > self.voter().epoch || leader == Some(from);
            self.hear_of(epoch, leader.filter(|_| known));
        }
        match asked {
            Asked::Vote { epoch, pre } => {
                if let Some(Response::Vote { granted: true, .. }) = response {
                    self.vote_granted(from, epoch, pre);
                }
            }
            Asked::Begin => {}
            Asked::Fetch { leader, epoch } => self.entries_fetched(leader, epoch, response),
        }
    }

    /// Somebody told who leads which epoch.
    fn hear_of(&mut self, epoch: u32, leader: Option<NodeId>) {
        let quorum = self.voter();
        let news = epoch > quorum.epoch || epoch == quorum.epoch && quorum.leader().is_none() && leader.is_some();
        // A leader that no longer leads, without a later epoch, is this voter in a former life, or one that gave up.
        if !news || leader == Some(quorum.config.node) && epoch == quorum.epoch {
            return;
        }
        if epoch > quorum.epoch {
            (quorum.epoch, quorum.voted) = (epoch, None);
            self.step_down();
            self.write_state(None);
        }
        match leader.filter(|&leader| leader != self.voter().config.node) {
            Some(leader) => self.follow(leader),
            None => self.wait_for_leader(),
        }
    }

    /// No leader is known: one will be heard of, or this voter asks to be it.
    fn wait_for_leader(&mut self) {
        self.voter().role = Role::Follower { leader: None };
        self.restart_election_timer();
    }

    fn restart_election_timer(&mut self) {
        let quorum = self.voter();
        let (base_ms, spread_ms) = match quorum.role {
            Role::Follower { leader: Some(_) } => (quorum.config.fetch_timeout_ms, quorum.config.fetch_timeout_ms / 2),
            _ => (quorum.config.election_timeout_ms, quorum.config.election_timeout_ms),
        };
        let delay_ms = base_ms + quorum.draw(spread_ms);
        self.set_quorum_timer(delay_ms);
    }

    fn set_quorum_timer(&mut self, delay_ms: u64) {
        let at_ms = self.io.now.monotonic_ms + delay_ms;
        let former_ms = std::mem::replace(&mut self.voter().timer_at_ms, at_ms);
        self.io.cancel_timer(former_ms, Timer::Quorum);
        self.io.set_timer(at_ms, Timer::Quorum);
    }

    pub(super) fn quorum_timer(&mut self) {
        match self.voter().role {
            Role::Leader { .. } => self.remind_voters(),
            _ => self.become_prospective(),
        }
    }

    fn become_leader(&mut self) {
        let now_ms = self.io.now.monotonic_ms;
        let (first, quorum) = (self.log.end(), self.quorum.as_mut().expect("a voter"));
        let (epoch, leader) = (quorum.epoch, quorum.config.node);
        let followers = quorum.others().into_iter().map(|voter| (voter, Follower { end: 0, heard_ms: now_ms })).collect();
        quorum.role = Role::Leader { first, followers };
        // Decisions stand on everything that is here: what of it does not count yet will, with this epoch's first entry.
        self.image = Image::default();
        for entry in self.log.decoded() {
            self.image.apply(&entry);
        }
        assert!(self.outcomes.is_empty(), "nobody waits for a controller that does not lead");
        self.io.note(Note::ControllerElected { epoch, end: first });
        self.decide(vec![MetadataRecord::ControllerElected { epoch, leader }], Vec::new());
        self.finalise_features();
        self.restate_isrs();
        self.begin_sessions();
        self.begin_rebalancing();
        for voter in self.voter().others() {
            self.ask_voter(voter, 0, Request::BeginQuorumEpoch { leader, epoch }, Asked::Begin);
        }
        let tick_ms = self.voter().config.fetch_timeout_ms / 2;
        self.set_quorum_timer(tick_ms);
    }

    /// Before every input: a leader that heard no majority for as long as voters wait for it leads no more. It stood still, or is cut off, and the next
    /// one may have begun; whatever it did from here on would be told after what the next one did.
    pub(super) fn give_up_late(&mut self) {
        let now_ms = self.io.now.monotonic_ms;
        let Some(quorum) = &self.quorum else { return };
        let Role::Leader { followers, .. } = &quorum.role else { return };
        let heard = followers.values().filter(|follower| now_ms - follower.heard_ms < quorum.config.fetch_timeout_ms).count();
        if !quorum.is_majority(1 + heard) {
            self.step_down();
            self.wait_for_leader();
        }
    }

    /// A voter that was not heard for a while is told again who leads.
    fn remind_voters(&mut self) {
        let now_ms = self.io.now.monotonic_ms;
        let quorum = self.voter();
        let (epoch, leader, tick_ms) = (quorum.epoch, quorum.config.node, quorum.config.fetch_timeout_ms / 2);
        let Role::Leader { followers, .. } = &quorum.role else { return };
        let silent: Vec<NodeId> = followers.iter().filter(|(_, follower)| now_ms - follower.heard_ms >= tick_ms).map(|(&voter, _)| voter).collect();
        for voter in silent {
            self.ask_voter(voter, 0, Request::BeginQuorumEpoch { leader, epoch }, Asked::Begin);
        }
        self.set_quorum_timer(tick_ms);
    }

    /// Leads no more, if it did: whoever waits is told to ask elsewhere. What was decided may count in the end, or never.
    fn step_down(&mut self) {
        if !self.is_active() {
            return;
        }
        self.voter().role = Role::Follower { leader: None };
        for (_, outcome) in std::mem::take(&mut self.outcomes) {
            if let Outcome::Reply(to, _) = outcome {
                self.reply(to, Response::Error(ErrorCode::NotController));
            }
        }
        self.refuse_fetches();
        self.end_sessions();
        self.end_rebalancing();
    }

    /// A voter does not hand over: the others miss it soon.
    pub(super) fn leave_quorum(&mut self) {
        self.phase = Phase::Stopped;
        self.io.out.push(Output::Stopped);
    }
}
