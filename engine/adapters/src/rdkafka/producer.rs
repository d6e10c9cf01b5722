//! Plain sends.

use super::outbox::Outbox;
use log::{Producer, Record, SendTicket, Tp};

/// Plain, idempotent sends. Dropped, it sends nothing more; what was not decided stays unknown.
pub struct KafkaProducer {
    pub(super) outbox: Outbox,
}

impl Producer for KafkaProducer {
    fn send(&mut self, tp: Tp, record: Record, deadline_ms: u64) -> SendTicket {
        self.outbox.send(tp, &record, deadline_ms)
    }

    fn resume(&mut self, tp: Tp) {
        self.outbox.resume(tp);
    }
}
