//! The quorum's state: epoch (u32) and vote (u32; 0 none), little-endian, with a CRC-32C. On the platter before a vote is told.

use super::super::Controller;
use super::super::log::DiskOp;
use crate::coordinator::ReplyTo;
use crate::protocol::{NodeId, Response};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;

pub(in super::super) const FILE: &str = "__cluster_metadata/quorum-state";

/// What waits for the platter.
#[derive(Debug)]
pub(super) enum Then {
    /// This voter's own candidacy in an epoch.
    AskForVotes(u32),
    Reply(ReplyTo, Response),
}

/// Writes in flight, oldest first, each with what waits for it.
#[derive(Default)]
pub(super) struct Writes(VecDeque<Option<Then>>);

fn encode(epoch: u32, voted: Option<NodeId>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(12);
    bytes.put_u32_le(epoch);
    bytes.put_u32_le(voted.unwrap_or(0));
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    bytes.freeze()
}

fn decode(bytes: &Bytes) -> Option<(u32, Option<NodeId>)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (epoch, voted, crc) = (word(0)?, word(4)?, word(8)?);
    (crc == crc32c::crc32c(&bytes[..8])).then_some((epoch, (voted != 0).then_some(voted)))
}

impl Controller {
    pub(in super::super) fn recover_state(&mut self, bytes: &Bytes) {
        let (epoch, voted) = decode(bytes).expect("the file is replaced whole: it is never torn");
        let quorum = self.voter();
        (quorum.epoch, quorum.voted) = (epoch, voted);
    }

    pub(super) fn write_state(&mut self, then: Option<Then>) {
        let quorum = self.quorum.as_mut().expect("a voter");
        quorum.writes.0.push_back(then);
        self.io.replace(FILE, encode(quorum.epoch, quorum.voted), DiskOp::State);
    }

    pub(in super::super) fn state_written(&mut self) {
        match self.voter().writes.0.pop_front().expect("writes end in order") {
            Some(Then::AskForVotes(epoch)) => self.ask_for_votes(epoch),
            Some(Then::Reply(to, response)) => self.reply(to, response),
            None => {}
        }
    }
}
