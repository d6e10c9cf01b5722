//! Three loops carry every service, so that exactly-once is written three times in all, not once per service.
//!
//! * [`transact`]: machines and policies: outputs and position in one log transaction (or, with transactions off, sends, then position).
//! * [`project`]: rows and position in one transaction of a store.
//! * edges (`api_gateway`, `clock_service`, `bootstrap`): plain sends, assigned reads; *unknown* is resolved by reading.

pub mod drop_rule;
pub mod machine;
pub mod owner;
mod plain;
pub mod project;
pub mod restore;
pub mod tenure;
pub mod transact;

pub use machine::{Input, Machine, Outputs, Service, To};
pub use transact::TransactConfig;

use log::{Delivered, Next, Reason, Tp};
use wire::{Body, Stamp};

/// Why a service, or one tenure of it, ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The log refused or could not be reached.
    #[error("the log: {0}")]
    Log(Reason),
    /// The input has a hole.
    #[error(transparent)]
    Gap(#[from] tenure::SequenceGap),
    /// A replay heard nothing for too long.
    #[error("no record of {tp:?} for 10 s while replaying up to {upto:?}")]
    Stalled {
        /// Which partition.
        tp: Tp,
        /// Where it was to end.
        upto: Next,
    },
    /// Input below the committed position does not exist any more.
    #[error("the input of {tp:?} below the committed position is gone: restore the log from a backup")]
    InputGone {
        /// Which partition.
        tp: Tp,
    },
    /// A newer build wrote it. Passing over it would lose it, and whatever follows from it.
    #[error("input offset {offset}: {refusal}. It stops here and loses nothing: stop this build, and start the newer one in its place")]
    Newer {
        /// Where.
        offset: i64,
        /// Which version, and which this build reads.
        refusal: wire::FrameError,
    },
    /// Bad configuration, or something else that a restart does not cure.
    #[error("{0}")]
    Config(String),
    /// A socket or file.
    #[error("{0}")]
    Io(String),
}

/// A record's frame. `None`: no frame of ours, skipped, at every replay alike.
pub(crate) fn frame_of(record: &Delivered) -> Result<Option<(Stamp, Body)>, ServiceError> {
    match record.value.as_deref().map(wire::frame::decode) {
        Some(Ok(frame)) => Ok(Some(frame)),
        Some(Err(refusal @ wire::FrameError::Newer { .. })) => {
            runtime::reached!("newer_frame_refused");
            Err(ServiceError::Newer { offset: record.offset, refusal })
        }
        Some(Err(_)) | None => Ok(None),
    }
}

impl From<std::io::Error> for ServiceError {
    fn from(error: std::io::Error) -> Self {
        ServiceError::Io(error.to_string())
    }
}
