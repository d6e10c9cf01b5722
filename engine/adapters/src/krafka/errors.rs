//! What an error of krafka says in the port's words (`kafka.md` F, error table).
//!
//! krafka tells of its attempts only where a record's time ran out (`possibly_written`); elsewhere a definite code may follow an attempt that nobody
//! answered, and is [`Outcome::Unknown`] unless it is about the record itself.

use crate::kafka::codes::{self, is_fence, is_refusal, named};
use ::krafka::error::ErrorCode as Code;
use ::krafka::producer::RecordMetadata;
use ::krafka::{KrafkaError, ProtocolErrorKind};
use log::{ErrorCode, Outcome, Reason};

/// krafka waits so long before it tries a commit again: what is answered sooner is the answer to the first try.
pub const COMMIT_RETRY_MS: u64 = 100;

fn number(code: Code) -> i32 {
    code.to_i16().into()
}

/// Why, in the port's words.
pub fn reason(error: &KrafkaError) -> Reason {
    match error {
        KrafkaError::Network(_) => Reason::Disconnected,
        KrafkaError::Timeout { .. } | KrafkaError::DeliveryTimeout { .. } => Reason::Deadline,
        KrafkaError::Broker { code, message } => named(number(*code)).map_or_else(|| Reason::Ended(format!("{code:?}: {message}")), Reason::Answered),
        KrafkaError::Fenced { .. } => Reason::Answered(ErrorCode::ProducerFenced),
        KrafkaError::UnknownTopic { .. } => Reason::Answered(ErrorCode::UnknownTopicOrPartition),
        KrafkaError::OutOfOrderSequence { .. } => Reason::Answered(ErrorCode::OutOfOrderSequenceNumber),
        KrafkaError::TransactionAbortable { .. } => Reason::Answered(ErrorCode::TransactionAbortable),
        KrafkaError::Protocol { kind: ProtocolErrorKind::FrameTooLarge, .. } => Reason::Answered(ErrorCode::MessageTooLarge),
        other => Reason::Ended(other.to_string()),
    }
}

/// The verdict on a record that krafka took.
pub fn verdict(delivered: &Result<RecordMetadata, KrafkaError>) -> Outcome<Option<i64>> {
    match delivered {
        Ok(metadata) if metadata.is_persisted() => Outcome::Done((metadata.offset >= 0).then_some(metadata.offset)),
        // Only without acknowledgements, which no producer here is.
        Ok(_) => Outcome::Unknown(Reason::Disconnected),
        Err(error) => failed(error),
    }
}

fn failed(error: &KrafkaError) -> Outcome<Option<i64>> {
    let definite = match error {
        KrafkaError::DeliveryTimeout { possibly_written, .. } => !possibly_written,
        KrafkaError::Broker { code, .. } => is_refusal(number(*code)),
        KrafkaError::Protocol { kind, .. } => *kind == ProtocolErrorKind::FrameTooLarge,
        _ => false,
    };
    if definite { Outcome::NotDone(reason(error)) } else { Outcome::Unknown(reason(error)) }
}

/// Does somebody else own this transactional id?
pub fn is_fenced(error: &KrafkaError) -> bool {
    match error {
        KrafkaError::Fenced { .. } => true,
        KrafkaError::Broker { code, .. } => is_fence(number(*code)),
        _ => false,
    }
}

/// The verdict on an offset commit that took so long.
pub fn commit_verdict(error: &KrafkaError, took_ms: u64) -> Outcome<()> {
    match error {
        // Nothing is sent without a generation.
        KrafkaError::IllegalState { .. } => Outcome::NotDone(Reason::Answered(ErrorCode::UnknownMemberId)),
        KrafkaError::Broker { code, .. } if took_ms < COMMIT_RETRY_MS => codes::commit_verdict(number(*code), reason(error)),
        _ => Outcome::Unknown(reason(error)),
    }
}

/// Does a reader go on after this by itself?
pub fn passes(error: &KrafkaError) -> bool {
    error.is_retriable()
}
