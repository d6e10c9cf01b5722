//! The exchange as it is put together in simulation: every broker, controller, service and user a node of the world; the phases of a run; the audit at
//! its end.

mod auditor;
mod listing;
mod nodes;
mod phases;
mod shape;
mod users;

pub use auditor::{Audit, SharedAudit};
pub use listing::specs;
pub use nodes::{Exchange, names};
pub use phases::{Left, run};
pub use shape::{Shape, Timers};
