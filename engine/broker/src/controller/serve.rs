//! `FetchMetadata`: committed entries from an offset on, by long poll; one of each broker.

use super::{Controller, Timer};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, NodeId, Response};
use std::collections::BTreeMap;

struct ParkedFetch {
    to: ReplyTo,
    from: u64,
    expires_ms: u64,
    serial: u64,
}

#[derive(Default)]
pub(super) struct Parked {
    last: u64,
    fetches: BTreeMap<NodeId, ParkedFetch>,
}

impl Controller {
    pub(super) fn fetch_metadata(&mut self, to: ReplyTo, broker: NodeId, from: u64, wait_ms_max: u32) {
        self.end_fetch(broker);
        if from < self.log.committed() || wait_ms_max == 0 {
            return self.send_metadata(to, from);
        }
        self.parked.last += 1;
        let serial = self.parked.last;
        let expires_ms = self.io.now.monotonic_ms + u64::from(wait_ms_max);
        self.io.set_timer(expires_ms, Timer::FetchExpires(broker, serial));
        self.parked.fetches.insert(broker, ParkedFetch { to, from, expires_ms, serial });
    }

    fn send_metadata(&mut self, to: ReplyTo, from: u64) {
        let records = self.log.committed_from(from);
        self.reply(to, Response::FetchMetadata { from, records, end: self.log.committed() });
    }

    pub(super) fn wake_fetches(&mut self) {
        let behind: Vec<NodeId> = self.parked.fetches.iter().filter(|(_, fetch)| fetch.from < self.log.committed()).map(|(&broker, _)| broker).collect();
        behind.into_iter().for_each(|broker| self.end_fetch(broker));
    }

    pub(super) fn fetch_expired(&mut self, broker: NodeId, serial: u64) {
        if self.parked.fetches.get(&broker).is_some_and(|fetch| fetch.serial == serial) {
            self.end_fetch(broker);
        }
    }

    /// This controller leads no more.
    pub(super) fn end_fetches(&mut self) {
        for fetch in std::mem::take(&mut self.parked.fetches).into_values() {
            self.reply(fetch.to, Response::Error(ErrorCode::NotController));
        }
    }

    fn end_fetch(&mut self, broker: NodeId) {
        if let Some(fetch) = self.parked.fetches.remove(&broker) {
            self.io.cancel_timer(fetch.expires_ms, Timer::FetchExpires(broker, fetch.serial));
            self.send_metadata(fetch.to, fetch.from);
        }
    }
}
