//! Elections.

use super::super::Controller;
use super::state::Then;
use super::{Asked, Role};
use crate::coordinator::ReplyTo;
use crate::protocol::{NodeId, Request, Response};
use std::collections::BTreeSet;

/// What a candidate says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidacy {
    pub candidate: NodeId,
    pub epoch: u32,
    pub last_epoch: u32,
    pub end: u64,
    pub pre: bool,
}

impl Controller {
    /// Asks whether it would be elected, so that a voter that was cut off does not depose a leader that all others hear.
    pub(super) fn become_prospective(&mut self) {
        let quorum = self.voter();
        let node = quorum.config.node;
        quorum.role = Role::Prospective { votes: BTreeSet::from([node]) };
        self.restart_election_timer();
        self.send_votes(true);
    }

    fn become_candidate(&mut self) {
        let quorum = self.voter();
        let node = quorum.config.node;
        quorum.epoch += 1;
        quorum.voted = Some(node);
        quorum.role = Role::Candidate { votes: BTreeSet::from([node]) };
        let epoch = quorum.epoch;
        self.restart_election_timer();
        self.write_state(Some(Then::AskForVotes(epoch)));
    }

    /// Its own vote is on the platter.
    pub(super) fn ask_for_votes(&mut self, epoch: u32) {
        let quorum = self.voter();
        if quorum.epoch == epoch && matches!(quorum.role, Role::Candidate { .. }) {
            self.send_votes(false);
        }
    }

    fn send_votes(&mut self, pre: bool) {
        let (end, quorum) = (self.log.end(), self.quorum.as_ref().expect("a voter"));
        let (epoch, candidate, last_epoch) = (quorum.epoch, quorum.config.node, self.log.epoch_before(end));
        for voter in quorum.others() {
            self.ask_voter(voter, 0, Request::Vote { candidate, epoch, last_epoch, end, pre }, Asked::Vote { epoch, pre });
        }
    }

    pub(super) fn vote(&mut self, to: ReplyTo, candidacy: Candidacy) {
        self.hear_of(candidacy.epoch, None);
        let own = (self.log.epoch_before(self.log.end()), self.log.end());
        let quorum = self.voter();
        let complete = (candidacy.last_epoch, candidacy.end) >= own && candidacy.epoch == quorum.epoch;
        let free = match &quorum.role {
            Role::Leader { .. } | Role::Follower { leader: Some(_) } => false,
            _ if candidacy.pre => true,
            _ => quorum.voted.is_none_or(|voted| voted == candidacy.candidate),
        };
        let granted = complete && free;
        let response = Response::Vote { epoch: quorum.epoch, leader: quorum.leader(), granted };
        if !granted || candidacy.pre {
            return self.reply(to, response);
        }
        quorum.voted = Some(candidacy.candidate);
        self.wait_for_leader();
        self.write_state(Some(Then::Reply(to, response)));
    }

    pub(super) fn vote_granted(&mut self, voter: NodeId, asked: u32, pre: bool) {
        let quorum = self.voter();
        if asked != quorum.epoch {
            return;
        }
        let votes = match (&mut quorum.role, pre) {
            (Role::Prospective { votes }, true) | (Role::Candidate { votes }, false) => votes,
            _ => return,
        };
        votes.insert(voter);
        let count = votes.len();
        match (quorum.is_majority(count), pre) {
            (true, true) => self.become_candidate(),
            (true, false) => self.become_leader(),
            (false, _) => {}
        }
    }
}
