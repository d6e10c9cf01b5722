//! The history: facts taken at the ports, one schema for the simulated, the embedded and the real arm. Operation ids are unique per node and life.

use broker::Note;
use broker::protocol::{Isolation, Tp};
use bytes::Bytes;
use std::sync::Arc;

/// How a client's operation stands (Jepsen's words).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Phase {
    /// It begins.
    Invoke,
    /// It happened.
    Ok,
    /// It did not and will not happen.
    Fail,
    /// It may have happened, or may still happen.
    Unknown,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum Event {
    /// Stated by a broker or controller core.
    Broker(Note),
    /// A send through the port. `crc` is of the record's value; `offset` with `Ok` if the log told it.
    Send { op: u64, tp: Tp, phase: Phase, crc: u32, offset: Option<i64>, transactional: bool },
    /// A consumer was given these partitions; a static one goes by its instance id.
    Assigned { group: String, member: String, generation: i32, tps: Vec<Tp> },
    /// A consumer gave these up (`lost`: they had been taken from it before).
    Revoked { group: String, member: String, generation: i32, tps: Vec<Tp>, lost: bool },
    /// Records handed to the application, in this order: (offset, CRC-32C of the value; 0 for a tombstone). `reader` is unique per node and life;
    /// `restarted`: the reader was assigned or sought since its last delivery.
    Delivered { reader: u64, group: Option<String>, tp: Tp, isolation: Isolation, restarted: bool, records: Vec<(i64, u32)> },
    /// A plain offset commit.
    Commit { op: u64, group: String, generation: i32, phase: Phase, offsets: Vec<(Tp, i64)> },
    /// A transaction: `Invoke` when it begins; `Ok` committed, `Fail` aborted or fenced, `Unknown` in doubt.
    Transaction { transactional_id: String, producer_id: i64, producer_epoch: i16, phase: Phase, fenced: bool },
    /// A machine's state at a position of its input.
    StateHash { service: String, tp: Tp, next: i64, hash: u64 },
    /// Rows and position were committed together in a store.
    StoreCommitted { store: String, tp: Tp, next: i64, rows: u64, phase: Phase },
    /// An operation of a user of the exchange; the body is the scenario's own.
    Client { op: u64, phase: Phase, body: Bytes },
    /// A fault of the plan.
    Fault { id: u32, what: String, phase: FaultPhase },
    /// A service came up, or ended by itself.
    Service { name: String, up: bool, why: String },
}

/// How a planned fault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum FaultPhase {
    /// It acts from here.
    Begin,
    /// It was healed.
    End,
    /// When it was due it would have left the declared fault model.
    Skipped,
}

/// Takes facts down. One per node: the receiver knows the node and the time.
pub trait Observer: Send + Sync + 'static {
    /// Is anybody listening? If not, do not build events.
    fn is_on(&self) -> bool;
    /// Takes one fact down.
    fn observe(&self, event: Event);
}

impl dyn Observer {
    /// Takes down what is built only if anybody listens.
    pub fn observe_with(&self, event: impl FnOnce() -> Event) {
        if self.is_on() {
            self.observe(event());
        }
    }
}

/// Nobody listens: production.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn is_on(&self) -> bool {
        false
    }

    fn observe(&self, _event: Event) {}
}

/// A shared observer.
pub type SharedObserver = Arc<dyn Observer>;
