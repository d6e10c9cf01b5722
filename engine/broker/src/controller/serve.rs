//! Entries from an offset on, by long poll, one of each node: `FetchMetadata` gives brokers what counts, `FetchQuorum` gives voters all there is.

use super::{Controller, Timer};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, NodeId, Response};
use std::collections::BTreeMap;

struct ParkedFetch {
    of: Poll,
    to: ReplyTo,
    from: u64,
    expires_ms: u64,
    serial: u64,
}

/// Who asks, and so what he is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poll {
    Broker,
    Voter,
}

#[derive(Default)]
pub(super) struct Parked {
    last: u64,
    fetches: BTreeMap<NodeId, ParkedFetch>,
}

impl Controller {
    pub(super) fn fetch_metadata(&mut self, to: ReplyTo, broker: NodeId, from: u64, wait_ms_max: u32) {
        self.end_fetch(broker);
        self.send_or_park(Poll::Broker, to, broker, from, wait_ms_max);
    }

    /// Answers at once what is there, else when there is something or the time is over.
    pub(super) fn send_or_park(&mut self, of: Poll, to: ReplyTo, node: NodeId, from: u64, wait_ms_max: u32) {
        if from < self.end_for(of) || wait_ms_max == 0 {
            return self.send(of, to, from);
        }
        self.parked.last += 1;
        let serial = self.parked.last;
        let expires_ms = self.io.now.monotonic_ms + u64::from(wait_ms_max);
        self.io.set_timer(expires_ms, Timer::FetchExpires(node, serial));
        self.parked.fetches.insert(node, ParkedFetch { of, to, from, expires_ms, serial });
    }

    fn end_for(&self, of: Poll) -> u64 {
        match of {
            Poll::Broker => self.log.committed(),
            Poll::Voter => self.log.end(),
        }
    }

    fn send(&mut self, of: Poll, to: ReplyTo, from: u64) {
        match of {
            Poll::Broker => {
                let records = self.log.committed_from(from);
                self.reply(to, Response::FetchMetadata { from, records, end: self.log.committed() });
            }
            Poll::Voter => self.send_entries(to, from),
        }
    }

    pub(super) fn wake_fetches(&mut self) {
        let behind: Vec<NodeId> = self.parked.fetches.iter().filter(|(_, fetch)| fetch.from < self.end_for(fetch.of)).map(|(&node, _)| node).collect();
        behind.into_iter().for_each(|node| self.end_fetch(node));
    }

    pub(super) fn fetch_expired(&mut self, node: NodeId, serial: u64) {
        if self.parked.fetches.get(&node).is_some_and(|fetch| fetch.serial == serial) {
            self.end_fetch(node);
        }
    }

    /// This controller leads no more.
    pub(super) fn refuse_fetches(&mut self) {
        for (node, fetch) in std::mem::take(&mut self.parked.fetches) {
            self.io.cancel_timer(fetch.expires_ms, Timer::FetchExpires(node, fetch.serial));
            match fetch.of {
                Poll::Broker => self.reply(fetch.to, Response::Error(ErrorCode::NotController)),
                Poll::Voter => self.describe_quorum(fetch.to),
            }
        }
    }

    pub(super) fn end_fetch(&mut self, node: NodeId) {
        if let Some(fetch) = self.parked.fetches.remove(&node) {
            self.io.cancel_timer(fetch.expires_ms, Timer::FetchExpires(node, fetch.serial));
            self.send(fetch.of, fetch.to, fetch.from);
        }
    }
}
