//! A broker's life with the controller: registration (A16), heartbeats, controlled shutdown (A20).

use super::{Broker, DiskOp, Phase, Purpose, Timer};
use crate::protocol::{ErrorCode, Request, Response};

/// What is known of it.
#[derive(Default)]
pub(super) struct Life {
    /// Since when one waits for its answer.
    heartbeat_out_ms: Option<u64>,
    heartbeat_at_ms: u64,
}

impl Broker {
    pub(super) fn register(&mut self) {
        if self.broker_epoch.is_some() || !matches!(self.phase, Phase::Running | Phase::Leaving) {
            return;
        }
        let request = Request::RegisterBroker {
            broker: self.config.node,
            incarnation: self.incarnation,
            address: self.config.address.clone(),
            ended_in_order: self.recovery.ended_in_order(),
        };
        self.ask_controller(0, request, Purpose::Register);
    }

    pub(super) fn registered(&mut self, response: Option<Response>) {
        match response {
            Some(Response::RegisterBroker { broker_epoch }) => {
                self.broker_epoch = Some(broker_epoch);
                self.fetch_metadata();
                self.allocate_producer_ids();
                if self.metadata.acting {
                    self.resume();
                }
            }
            // `DuplicateBrokerRegistration` while the session of the life before lasts; or the controller is away.
            _ => self.io.set_timer_in(self.config.controller_retry_ms, Timer::Register),
        }
    }

    /// Registered again: what waited for a broker epoch goes on.
    fn resume(&mut self) {
        self.heartbeat();
        self.alter_partition();
        let leaders: Vec<_> = self.fetchers.keys().copied().collect();
        leaders.into_iter().for_each(|leader| self.fetch_from(leader));
    }

    /// One heartbeat at a time; an unanswered one resolves when its connection breaks.
    pub(super) fn heartbeat(&mut self) {
        let (Some(broker_epoch), false) = (self.broker_epoch, self.life.heartbeat_out_ms.is_some()) else { return };
        self.life.heartbeat_out_ms = Some(self.now_ms());
        self.watch_controller();
        self.io.cancel_timer(self.life.heartbeat_at_ms, Timer::Heartbeat);
        let request = Request::BrokerHeartbeat {
            broker: self.config.node,
            broker_epoch,
            metadata_offset: self.image.end,
            want_fence: false,
            want_shut_down: self.phase == Phase::Leaving,
        };
        self.ask_controller(0, request, Purpose::Heartbeat);
    }

    /// How long a heartbeat has been waiting for its answer.
    pub(super) fn heartbeat_out_ms(&self) -> Option<u64> {
        self.life.heartbeat_out_ms.map(|since_ms| self.now_ms() - since_ms)
    }

    pub(super) fn heartbeat_answered(&mut self, response: Option<Response>) {
        self.life.heartbeat_out_ms = None;
        let may_shut_down = match response {
            Some(Response::BrokerHeartbeat { may_shut_down, .. }) => may_shut_down,
            // A registration of an earlier life arrived late and took our place: register again.
            Some(Response::Error(ErrorCode::StaleBrokerEpoch)) => {
                self.broker_epoch = None;
                return self.register();
            }
            _ => return self.heartbeat_in(self.config.controller_retry_ms),
        };
        if may_shut_down && self.phase == Phase::Leaving {
            return self.stop_leading_and_sync();
        }
        // A leaving broker asks quickly: its partitions wait for their next leaders.
        let delay_ms = if self.phase == Phase::Leaving { self.config.controller_retry_ms } else { self.config.heartbeat_interval_ms };
        self.heartbeat_in(delay_ms);
    }

    fn heartbeat_in(&mut self, delay_ms: u64) {
        self.life.heartbeat_at_ms = self.now_ms() + delay_ms;
        self.io.set_timer(self.life.heartbeat_at_ms, Timer::Heartbeat);
    }

    pub(super) fn shut_down(&mut self) {
        match self.phase {
            Phase::Running => {
                self.phase = Phase::Leaving;
                self.io.set_timer_in(self.config.controlled_shutdown_ms_max, Timer::ShutdownEnds);
                self.heartbeat();
            }
            // Nothing was opened: nothing to hand over, and no marker, for the log is not checked.
            Phase::Recovering => {
                self.phase = Phase::Stopped;
                self.io.out.push(crate::io::Output::Stopped);
            }
            Phase::Leaving | Phase::Syncing | Phase::Stopped => {}
        }
    }

    /// Answers whom it must, appends no more, and makes all logs durable.
    pub(super) fn stop_leading_and_sync(&mut self) {
        if self.phase != Phase::Leaving {
            return;
        }
        self.phase = Phase::Syncing;
        let tps: Vec<_> = self.replicas.keys().copied().collect();
        tps.into_iter().for_each(|tp| self.stop_leading(tp));
        self.fetchers.clear();
        let files = self.replicas.values().flat_map(|replica| replica.log.files()).map(str::to_owned).collect();
        self.io.sync(files, DiskOp::ShutdownSync);
    }
}
