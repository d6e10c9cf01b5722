//! Entries from the leader to the voters, and how far they count.

use super::super::serve::Poll;
use super::super::{Controller, Timer};
use super::{Asked, Role};
use crate::coordinator::ReplyTo;
use crate::metadata::decode_entry;
use crate::protocol::{NodeId, Request, Response};

/// Most entries in one answer.
const ENTRIES_MAX: usize = 500;
/// Pause after a fetch that failed.
const RETRY_MS: u64 = 50;

/// A voter's fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub voter: NodeId,
    pub epoch: u32,
    pub from: u64,
    pub last_epoch: u32,
    pub wait_ms_max: u32,
}

impl Controller {
    // follower

    pub(super) fn follow(&mut self, leader: NodeId) {
        self.voter().role = Role::Follower { leader: Some(leader) };
        self.restart_election_timer();
        self.fetch_entries();
    }

    /// One fetch at a time, and none before everything here is on the platter: the fetch says so.
    pub(in super::super) fn fetch_entries(&mut self) {
        let from = self.log.end();
        let quorum = self.quorum.as_mut().expect("a voter");
        let Role::Follower { leader: Some(leader) } = quorum.role else { return };
        let (voter, epoch) = (quorum.config.node, quorum.epoch);
        if quorum.fetching == Some((leader, epoch)) || self.log.synced() < from {
            return;
        }
        quorum.fetching = Some((leader, epoch));
        let wait_ms_max = u32::try_from(quorum.config.fetch_timeout_ms / 2).expect("a timeout is short");
        let request = Request::FetchQuorum { voter, epoch, from, last_epoch: self.log.epoch_before(from), wait_ms_max };
        self.ask_voter(leader, 1, request, Asked::Fetch { leader, epoch });
    }

    pub(super) fn entries_fetched(&mut self, leader: NodeId, epoch: u32, response: Option<Response>) {
        let quorum = self.voter();
        if quorum.fetching != Some((leader, epoch)) {
            return;
        }
        quorum.fetching = None;
        if quorum.epoch != epoch || quorum.leader() != Some(leader) {
            return self.fetch_entries();
        }
        match response {
            Some(Response::FetchQuorum { diverging, entries, committed, .. }) => {
                self.restart_election_timer();
                if let Some((epoch, end)) = diverging {
                    let (_, own_end) = self.log.end_of(epoch);
                    self.cut(end.min(own_end));
                }
                for body in entries {
                    let entry = decode_entry(&body).expect("the leader wrote it");
                    self.append_body(&entry, body);
                }
                let counts = committed.min(self.log.end()).max(self.log.committed());
                self.commit_to(counts);
                self.fetch_entries();
            }
            _ => self.io.set_timer_in(RETRY_MS, Timer::QuorumFetch),
        }
    }

    /// What was appended is on the platter: a follower says so, a leader counts it.
    pub(in super::super) fn voter_synced(&mut self) {
        self.fetch_entries();
        self.advance();
    }

    // leader

    pub(super) fn serve_voter(&mut self, to: ReplyTo, wanted: Wanted) {
        self.hear_of(wanted.epoch, None);
        let now_ms = self.io.now.monotonic_ms;
        let quorum = self.quorum.as_mut().expect("a voter");
        let epoch = quorum.epoch;
        let Role::Leader { followers, .. } = &mut quorum.role else { return self.describe_quorum(to) };
        if wanted.epoch != epoch {
            return self.describe_quorum(to);
        }
        let follower = followers.get_mut(&wanted.voter).expect("only voters fetch");
        follower.heard_ms = now_ms;
        let (last_epoch, end) = self.log.end_of(wanted.last_epoch);
        if last_epoch != wanted.last_epoch || wanted.from > end {
            let response = Response::FetchQuorum { epoch, diverging: Some((last_epoch, end)), entries: Vec::new(), committed: self.log.committed() };
            return self.reply(to, response);
        }
        follower.end = wanted.from;
        self.end_fetch(wanted.voter);
        self.advance();
        self.send_or_park(Poll::Voter, to, wanted.voter, wanted.from, wanted.wait_ms_max);
    }

    pub(in super::super) fn send_entries(&mut self, to: ReplyTo, from: u64) {
        let (epoch, entries) = (self.voter().epoch, self.log.entries_from(from, ENTRIES_MAX));
        self.reply(to, Response::FetchQuorum { epoch, diverging: None, entries, committed: self.log.committed() });
    }

    /// An entry counts when a majority has it on the platter, and of an epoch before this one only together with one of this.
    fn advance(&mut self) {
        let quorum = self.quorum.as_ref().expect("a voter");
        let Role::Leader { first, followers } = &quorum.role else { return };
        let mut ends: Vec<u64> = followers.values().map(|follower| follower.end).chain([self.log.synced()]).collect();
        ends.sort_unstable();
        let majority = ends[(ends.len() - 1) / 2];
        if majority > *first && majority > self.log.committed() {
            self.commit_to(majority);
            self.committed();
        }
    }
}
