//! Producer ids: blocks from the controller, one id at a time to producers and to the transaction coordinator.

use super::{Broker, Purpose, Timer};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, ProducerId, Request, Response};

/// What is left of this broker's block.
#[derive(Default)]
pub(super) struct Block {
    next: ProducerId,
    end: ProducerId,
    asked: bool,
    waiting: Vec<ReplyTo>,
}

impl Block {
    /// Takes one id.
    pub fn take(&mut self) -> Option<ProducerId> {
        let id = self.next;
        (id < self.end).then(|| self.next += 1).map(|()| id)
    }
}

impl Broker {
    /// An idempotent producer without a transactional id: a fresh id, epoch 0.
    pub(super) fn init_producer_id(&mut self, to: ReplyTo) {
        self.producer_ids.waiting.push(to);
        self.serve_producer_ids();
    }

    fn serve_producer_ids(&mut self) {
        while !self.producer_ids.waiting.is_empty() {
            let Some(producer_id) = self.producer_ids.take() else { return self.allocate_producer_ids() };
            let to = self.producer_ids.waiting.remove(0);
            self.reply(to, Response::InitProducerId { producer_id, producer_epoch: 0 });
        }
    }

    /// Asks for a block, unless there is one or the question is out.
    pub(super) fn allocate_producer_ids(&mut self) {
        let Some(broker_epoch) = self.broker_epoch else { return };
        if self.producer_ids.asked || self.producer_ids.next < self.producer_ids.end {
            return;
        }
        self.producer_ids.asked = true;
        self.ask_controller(0, Request::AllocateProducerIds { broker: self.config.node, broker_epoch }, Purpose::ProducerIds);
    }

    pub(super) fn producer_ids_allocated(&mut self, response: Option<Response>) {
        self.producer_ids.asked = false;
        match response {
            Some(Response::AllocateProducerIds { first, count }) => {
                self.producer_ids.next = first;
                self.producer_ids.end = first + count;
                self.serve_producer_ids();
            }
            Some(Response::Error(ErrorCode::StaleBrokerEpoch)) => {}
            _ => self.io.set_timer_in(self.config.controller_retry_ms, Timer::ProducerIds),
        }
    }
}
