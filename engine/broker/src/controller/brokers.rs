//! Brokers: registration (A16), sessions by heartbeat, fencing, controlled shutdown (A20), blocks of producer ids.

use super::{Controller, Timer};
use crate::coordinator::ReplyTo;
use crate::metadata::{MetadataRecord, Registration};
use crate::note::Note;
use crate::protocol::{ErrorCode, NodeId, Response};
use std::collections::BTreeMap;

/// When each live broker's session ends. Only unfenced brokers have one.
#[derive(Default)]
pub(super) struct Sessions {
    ends_ms: BTreeMap<NodeId, u64>,
    /// When the check is due that was asked for.
    check_at_ms: Option<u64>,
}

/// A broker's word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heartbeat {
    pub broker: NodeId,
    pub broker_epoch: u64,
    pub metadata_offset: u64,
    pub want_fence: bool,
    pub want_shut_down: bool,
}

impl Controller {
    /// Sessions begin in full: after a start, and after this controller itself stood still, when nobody's silence was heard.
    pub(super) fn begin_sessions(&mut self) {
        let alive = self.image.brokers.iter().filter(|(_, broker)| !broker.fenced).map(|(&node, _)| node);
        let ends_ms = self.io.now.monotonic_ms + self.config.session_timeout_ms;
        self.sessions.ends_ms = alive.map(|node| (node, ends_ms)).collect();
        self.watch_sessions();
    }

    /// Nobody's silence counts any more.
    pub(super) fn end_sessions(&mut self) {
        if let Some(check_at_ms) = self.sessions.check_at_ms.take() {
            self.io.cancel_timer(check_at_ms, Timer::Sessions);
        }
        self.sessions.ends_ms.clear();
    }

    /// A resident's former life ended with the controller's own: nobody needs to wait until its silence says so.
    pub(super) fn fence_former_resident(&mut self) {
        if let Some(resident) = self.config.resident
            && self.image.brokers.get(&resident).is_some_and(|broker| !broker.fenced)
        {
            self.fence(resident);
        }
    }

    fn touch_session(&mut self, broker: NodeId) {
        self.sessions.ends_ms.insert(broker, self.io.now.monotonic_ms + self.config.session_timeout_ms);
        self.watch_sessions();
    }

    /// One timer for all: it fires when the earliest known end is due and looks again.
    fn watch_sessions(&mut self) {
        if self.sessions.check_at_ms.is_none()
            && let Some(&first) = self.sessions.ends_ms.values().min()
        {
            self.sessions.check_at_ms = Some(first);
            self.io.set_timer(first, Timer::Sessions);
        }
    }

    pub(super) fn check_sessions(&mut self) {
        let now_ms = self.io.now.monotonic_ms;
        let late_ms = now_ms - self.sessions.check_at_ms.take().expect("a check was asked for");
        if late_ms >= self.config.session_timeout_ms / 4 {
            return self.begin_sessions();
        }
        let ended: Vec<NodeId> = self.sessions.ends_ms.iter().filter(|&(_, &ends_ms)| ends_ms <= now_ms).map(|(&broker, _)| broker).collect();
        ended.into_iter().for_each(|broker| self.fence(broker));
        self.watch_sessions();
    }

    /// Ends a broker's session: it leads nothing and leaves every ISR but those it is the last of.
    fn fence(&mut self, broker: NodeId) {
        self.sessions.ends_ms.remove(&broker);
        let mut entry = vec![MetadataRecord::BrokerFenced { broker }];
        let mut notes = vec![Note::BrokerFenced { broker }];
        self.remove_from_partitions(broker, &mut entry, &mut notes);
        self.decide(entry, notes);
    }

    /// A new life registers once the session of the one before is over; it is fenced until it is caught up on metadata. Where the one before did not end
    /// in order, what it had may be gone.
    pub(super) fn register_broker(&mut self, to: ReplyTo, broker: NodeId, incarnation: u64, address: String, ended_in_order: Option<u64>) {
        match self.image.brokers.get(&broker) {
            Some(known) if known.incarnation == incarnation => {
                let broker_epoch = known.broker_epoch;
                return self.reply_committed(to, Response::RegisterBroker { broker_epoch });
            }
            Some(known) if !known.fenced => return self.reply(to, Response::Error(ErrorCode::DuplicateBrokerRegistration)),
            _ => {}
        }
        let broker_epoch = self.image.end;
        let (mut entry, mut notes) = (vec![MetadataRecord::BrokerRegistered { broker, incarnation, address }], Vec::new());
        let before = self.image.brokers.get(&broker).map(|known| known.broker_epoch);
        if self.keeps_eligible() && before != ended_in_order {
            self.distrust(broker, &mut entry, &mut notes);
        }
        self.decide(entry, notes);
        self.reply_committed(to, Response::RegisterBroker { broker_epoch });
    }

    /// The registration, if the caller is its life.
    pub(super) fn registration(&self, broker: NodeId, broker_epoch: u64) -> Result<&Registration, ErrorCode> {
        let current = |registration: &&Registration| registration.broker_epoch == broker_epoch;
        self.image.brokers.get(&broker).filter(current).ok_or(ErrorCode::StaleBrokerEpoch)
    }

    pub(super) fn heartbeat(&mut self, to: ReplyTo, heartbeat: Heartbeat) {
        let Heartbeat { broker, broker_epoch, metadata_offset, want_fence, want_shut_down } = heartbeat;
        let registration = match self.registration(broker, broker_epoch) {
            Ok(registration) => registration.clone(),
            Err(error) => return self.reply(to, Response::Error(error)),
        };
        let caught_up = metadata_offset > broker_epoch;
        if want_shut_down {
            self.shut_down_broker(broker, &registration);
        } else if want_fence && !registration.fenced {
            self.fence(broker);
        } else if registration.fenced && caught_up && !want_fence {
            self.unfence(broker);
        }
        let fenced = self.image.brokers[&broker].fenced;
        if !fenced {
            self.touch_session(broker);
        }
        let may_shut_down = want_shut_down && fenced;
        self.reply_committed(to, Response::BrokerHeartbeat { fenced, caught_up, may_shut_down });
    }

    fn unfence(&mut self, broker: NodeId) {
        let mut entry = vec![MetadataRecord::BrokerUnfenced { broker }];
        let mut notes = vec![Note::BrokerUnfenced { broker }];
        self.lead_leaderless(broker, &mut entry, &mut notes);
        self.decide(entry, notes);
    }

    /// First its partitions move; when the broker knows that (its next heartbeat but one), it is fenced and may stop.
    fn shut_down_broker(&mut self, broker: NodeId, registration: &Registration) {
        if registration.fenced {
            return;
        }
        if registration.shutting_down {
            return self.fence(broker);
        }
        let mut entry = vec![MetadataRecord::BrokerShuttingDown { broker }];
        let mut notes = Vec::new();
        self.remove_from_partitions(broker, &mut entry, &mut notes);
        self.decide(entry, notes);
    }

    pub(super) fn allocate_producer_ids(&mut self, to: ReplyTo, broker: NodeId, broker_epoch: u64) {
        if let Err(error) = self.registration(broker, broker_epoch) {
            return self.reply(to, Response::Error(error));
        }
        let (first, count) = (self.image.next_producer_id, self.config.producer_id_block);
        self.decide(vec![MetadataRecord::ProducerIdsAllocated { next: first + count }], Vec::new());
        self.reply_committed(to, Response::AllocateProducerIds { first, count });
    }
}
