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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn broker(code: Code) -> KrafkaError {
        KrafkaError::broker(code, "said so")
    }

    fn network() -> KrafkaError {
        KrafkaError::network(io::ErrorKind::ConnectionReset.into())
    }

    /// What is definite, and why: the record itself, or krafka's word that it never left.
    #[test]
    fn a_record_s_error_is_definite_only_where_nothing_can_have_happened() {
        use ErrorCode::*;
        let definite = [
            (broker(Code::MessageTooLarge), Reason::Answered(MessageTooLarge)),
            (broker(Code::InvalidTimestamp), Reason::Answered(InvalidTimestamp)),
            (broker(Code::InvalidRecord), Reason::Answered(InvalidRecord)),
            (broker(Code::TopicAuthorizationFailed), Reason::Ended("TopicAuthorizationFailed: said so".to_owned())),
            (KrafkaError::protocol_kind(ProtocolErrorKind::FrameTooLarge, "512 MiB"), Reason::Answered(MessageTooLarge)),
            (KrafkaError::delivery_timeout(false, "never left"), Reason::Deadline),
        ];
        for (error, why) in definite {
            assert_eq!(verdict(&Err(error.clone())), Outcome::NotDone(why), "{error}");
        }
        let unknown = [
            (KrafkaError::delivery_timeout(true, "it left"), Reason::Deadline),
            (KrafkaError::timeout("produce"), Reason::Deadline),
            (network(), Reason::Disconnected),
            // KAFKA-13574: it may have been written before leadership was lost.
            (broker(Code::NotLeaderForPartition), Reason::Answered(NotLeaderOrFollower)),
            // An earlier attempt, of which krafka does not tell, may have been executed.
            (broker(Code::NotEnoughReplicas), Reason::Answered(NotEnoughReplicas)),
            (broker(Code::NotEnoughReplicasAfterAppend), Reason::Answered(NotEnoughReplicasAfterAppend)),
            (broker(Code::UnknownTopicOrPartition), Reason::Answered(UnknownTopicOrPartition)),
            (broker(Code::RequestTimedOut), Reason::Answered(RequestTimedOut)),
            (broker(Code::UnknownServerError), Reason::Answered(UnknownServerError)),
            (KrafkaError::out_of_order_sequence("t", 0, "lost"), Reason::Answered(OutOfOrderSequenceNumber)),
            (KrafkaError::fenced("elder"), Reason::Answered(ProducerFenced)),
            (KrafkaError::transaction_abortable("refused"), Reason::Answered(TransactionAbortable)),
            (KrafkaError::closed("terminated"), Reason::Ended("closed: terminated".to_owned())),
        ];
        for (error, why) in unknown {
            assert_eq!(verdict(&Err(error.clone())), Outcome::Unknown(why), "{error}");
        }
    }

    /// A frame that could not be read is an answer that nobody read.
    #[test]
    fn a_malformed_answer_leaves_a_record_unknown() {
        for kind in [ProtocolErrorKind::TruncatedFrame, ProtocolErrorKind::Malformed, ProtocolErrorKind::InvalidLength] {
            assert!(matches!(verdict(&Err(KrafkaError::protocol_kind(kind, "torn"))), Outcome::Unknown(Reason::Ended(_))), "{kind:?}");
        }
    }

    #[test]
    fn fences_are_told_apart_from_trouble() {
        let fences = [KrafkaError::fenced("elder"), broker(Code::ProducerFenced), broker(Code::InvalidProducerEpoch), broker(Code::InvalidProducerIdMapping)];
        assert!(fences.iter().all(is_fenced));
        let others = [network(), KrafkaError::timeout("EndTxn"), broker(Code::ConcurrentTransactions), broker(Code::NotCoordinator), KrafkaError::closed("")];
        assert!(!others.iter().any(is_fenced));
    }

    /// krafka tries a commit again after a while, and tells the last answer only.
    #[test]
    fn a_commit_is_refused_by_its_first_answer_only() {
        use ErrorCode::*;
        for (code, refused) in
            [(Code::IllegalGeneration, IllegalGeneration), (Code::UnknownMemberId, UnknownMemberId), (Code::FencedInstanceId, FencedInstanceId)]
        {
            assert_eq!(commit_verdict(&broker(code), COMMIT_RETRY_MS - 1), Outcome::NotDone(Reason::Answered(refused)));
            assert_eq!(commit_verdict(&broker(code), COMMIT_RETRY_MS), Outcome::Unknown(Reason::Answered(refused)));
        }
        for error in [network(), KrafkaError::timeout("OffsetCommit"), broker(Code::CoordinatorNotAvailable), broker(Code::NotCoordinator)] {
            assert!(matches!(commit_verdict(&error, 0), Outcome::Unknown(_)), "{error}");
        }
        let without_generation = KrafkaError::illegal_state("cannot commit offsets: no valid generation");
        assert_eq!(commit_verdict(&without_generation, 5_000), Outcome::NotDone(Reason::Answered(UnknownMemberId)));
    }

    #[test]
    fn a_code_without_a_name_here_is_told_in_words() {
        assert_eq!(reason(&broker(Code::ThrottlingQuotaExceeded)), Reason::Ended("ThrottlingQuotaExceeded: said so".to_owned()));
    }
}
