//! What an error says about the operation that met it (`kafka.md` F, error table). A code is definite only if no earlier attempt of the same operation
//! could have reached a broker.

use crate::port::{Outcome, Reason};
use broker::protocol::ErrorCode;

/// What to do about an error of a produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Try again until the deadline, under the same sequence.
    Retry,
    /// This batch will never be taken.
    Refused,
    /// Somebody else owns this identity.
    Fenced,
    /// The transaction can only be aborted.
    Abortable,
    /// This producer cannot go on.
    Fatal,
}

/// The class of a produce error.
pub fn of_produce(code: ErrorCode) -> Class {
    use ErrorCode::*;
    match code {
        MessageTooLarge | InvalidTimestamp | InvalidRecord | InvalidTopic => Class::Refused,
        ProducerFenced | InvalidProducerEpoch | InvalidProducerIdMapping => Class::Fenced,
        InvalidTxnState | TransactionAbortable => Class::Abortable,
        OutOfOrderSequenceNumber | UnknownProducerId | UnsupportedVersion => Class::Fatal,
        _ => Class::Retry,
    }
}

/// Says this code, by itself, nothing about whether the operation was executed?
pub fn is_ambiguous(code: ErrorCode) -> bool {
    use ErrorCode::*;
    // `NotCoordinator` is also the last word of a coordinator that resigns, on what it had sent to its log.
    matches!(
        code,
        NotLeaderOrFollower | NotCoordinator | NotEnoughReplicasAfterAppend | RequestTimedOut | UnknownServerError | KafkaStorageError | CorruptMessage
    )
}

/// Errors of a coordinator that is elsewhere or not ready: look it up again.
pub fn is_coordinator_gone(code: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(code, CoordinatorNotAvailable | NotCoordinator)
}

/// Errors that pass by themselves.
pub fn is_passing(code: ErrorCode) -> bool {
    use ErrorCode::*;
    is_coordinator_gone(code)
        || matches!(
            code,
            CoordinatorLoadInProgress | ConcurrentTransactions | UnstableOffsetCommit | RequestTimedOut | NotEnoughReplicas | NotEnoughReplicasAfterAppend
        )
        || is_leader_gone(code)
}

/// Errors of a partition leader that is elsewhere or not ready: refresh the metadata.
pub fn is_leader_gone(code: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(
        code,
        NotLeaderOrFollower
            | LeaderNotAvailable
            | FencedLeaderEpoch
            | UnknownLeaderEpoch
            | UnknownTopicOrPartition
            | KafkaStorageError
            | OffsetNotAvailable
            | UnknownServerError
    )
}

/// The attempts at one operation so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many may have reached a broker.
    pub reached: u32,
    /// The answer to the last of them, if it had one.
    last: Option<ErrorCode>,
}

impl Attempts {
    /// One more leaves.
    pub fn sent(&mut self) {
        self.reached += 1;
        self.last = None;
    }

    /// It never left after all.
    pub fn not_sent(&mut self) {
        self.reached -= 1;
    }

    /// It was answered with an error.
    pub fn answered(&mut self, code: ErrorCode) {
        self.last = Some(code);
    }

    /// Could any of them have been executed?
    pub fn may_have_happened(&self) -> bool {
        match (self.reached, self.last) {
            (0, _) => false,
            (1, Some(code)) => is_ambiguous(code),
            _ => true,
        }
    }

    /// How the operation stands if nothing more is tried.
    pub fn give_up<T>(&self, why: Reason) -> Outcome<T> {
        match (self.may_have_happened(), self.last) {
            (true, _) => Outcome::Unknown(why),
            (false, Some(code)) => Outcome::NotDone(Reason::Answered(code)),
            (false, None) => Outcome::NotDone(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(codes: &[Option<ErrorCode>]) -> Attempts {
        let mut attempts = Attempts::default();
        for code in codes {
            attempts.sent();
            if let Some(code) = code {
                attempts.answered(*code);
            }
        }
        attempts
    }

    #[test]
    fn a_definite_code_is_definite_on_the_first_attempt_only() {
        assert!(!after(&[]).may_have_happened());
        assert!(!after(&[Some(ErrorCode::NotEnoughReplicas)]).may_have_happened());
        assert!(!after(&[Some(ErrorCode::UnknownTopicOrPartition)]).may_have_happened());
        assert!(after(&[None, Some(ErrorCode::UnknownTopicOrPartition)]).may_have_happened());
        assert!(after(&[Some(ErrorCode::NotEnoughReplicas); 2]).may_have_happened());
    }

    #[test]
    fn an_ambiguous_code_and_silence_are_unknown() {
        for code in [
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::NotCoordinator,
            ErrorCode::NotEnoughReplicasAfterAppend,
            ErrorCode::RequestTimedOut,
            ErrorCode::UnknownServerError,
            ErrorCode::KafkaStorageError,
        ] {
            assert!(after(&[Some(code)]).may_have_happened(), "{code:?}");
        }
        assert_eq!(after(&[None]).give_up::<()>(Reason::Deadline), Outcome::Unknown(Reason::Deadline));
    }

    #[test]
    fn an_attempt_that_never_left_does_not_count() {
        let mut attempts = Attempts::default();
        attempts.sent();
        attempts.not_sent();
        assert_eq!(attempts.give_up::<()>(Reason::Deadline), Outcome::NotDone(Reason::Deadline));
    }
}
