//! What an error of librdkafka says in the port's words (`kafka.md` F, error table).
//!
//! librdkafka does not tell how often it tried a batch, and a definite code is definite on the first attempt only: whatever it may have retried is
//! [`Outcome::Unknown`].

use super::config::RETRY_BACKOFF_MS;
use super::native::{Code, Delivery, NativeError, Persisted};
use crate::kafka::codes::{self, is_fence, is_refusal, named};
use log::{ErrorCode, Outcome, Reason};

/// librdkafka sends a commit that nobody answered up to twice more, the first time after its backoff less a fifth: what is answered sooner is the answer to
/// the first try.
const COMMIT_RETRY_MS: u64 = RETRY_BACKOFF_MS * 4 / 5;

/// Why, in the port's words.
pub fn reason(code: Code) -> Reason {
    match code {
        Code::TIMED_OUT | Code::MESSAGE_TIMED_OUT | Code::TIMED_OUT_QUEUE => Reason::Deadline,
        Code::TRANSPORT | Code::ALL_BROKERS_DOWN => Reason::Disconnected,
        Code::QUEUE_FULL => Reason::Full,
        Code::FENCED => Reason::Answered(ErrorCode::ProducerFenced),
        Code::UNKNOWN_TOPIC | Code::UNKNOWN_PARTITION => Reason::Answered(ErrorCode::UnknownTopicOrPartition),
        Code(number) => named(number).map_or_else(|| Reason::Ended(code.name()), Reason::Answered),
    }
}

/// The same, with librdkafka's words where the port has no name.
pub fn told(error: &NativeError) -> Reason {
    match reason(error.code) {
        Reason::Ended(name) => Reason::Ended(format!("{name}: {}", error.text)),
        reason => reason,
    }
}

/// The verdict on a message.
pub fn verdict(delivery: &Delivery) -> Outcome<Option<i64>> {
    match (delivery.error, delivery.persisted) {
        (Code::NONE, _) => Outcome::Done((delivery.offset >= 0).then_some(delivery.offset)),
        (code, Persisted::No) if is_refusal(code.0) => Outcome::NotDone(reason(code)),
        (code, _) => Outcome::Unknown(reason(code)),
    }
}

/// Does somebody else own this transactional id?
pub fn is_fenced(code: Code) -> bool {
    code == Code::FENCED || is_fence(code.0)
}

/// The verdict on an offset commit that was answered so, after so long.
pub fn commit_verdict(code: Code, took_ms: u64) -> Outcome<()> {
    match codes::commit_verdict(code.0, reason(code)) {
        // The first try may have been executed, and the group have moved on before the second.
        Outcome::NotDone(why) if took_ms >= COMMIT_RETRY_MS => Outcome::Unknown(why),
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(error: i32, persisted: Persisted) -> Delivery {
        Delivery { id: 1, error: Code(error), persisted, offset: 7 }
    }

    #[test]
    fn a_code_about_the_message_itself_is_definite() {
        for (number, code) in [(10, ErrorCode::MessageTooLarge), (32, ErrorCode::InvalidTimestamp), (87, ErrorCode::InvalidRecord)] {
            assert_eq!(verdict(&delivery(number, Persisted::No)), Outcome::NotDone(Reason::Answered(code)));
        }
        assert_eq!(verdict(&delivery(29, Persisted::No)), Outcome::NotDone(Reason::Ended("TOPIC_AUTHORIZATION_FAILED".to_owned())));
    }

    /// KAFKA-13574; and librdkafka may have tried before.
    #[test]
    fn everything_else_may_have_happened() {
        for number in [3, 6, 7, 19, 20, 56, -1, -192, -195, 45, 59, 2] {
            for persisted in [Persisted::No, Persisted::Possibly] {
                assert!(matches!(verdict(&delivery(number, persisted)), Outcome::Unknown(_)), "{number} {persisted:?}");
            }
        }
        assert!(matches!(verdict(&delivery(10, Persisted::Possibly)), Outcome::Unknown(_)));
    }

    #[test]
    fn a_delivered_message_has_its_offset_if_it_was_told() {
        assert_eq!(verdict(&delivery(0, Persisted::Yes)), Outcome::Done(Some(7)));
        assert_eq!(verdict(&Delivery { offset: -1001, ..delivery(0, Persisted::Yes) }), Outcome::Done(None));
    }

    #[test]
    fn fences_are_told_apart_from_trouble() {
        assert!([47, 49, 90, -144].into_iter().all(|number| is_fenced(Code(number))));
        assert!([7, 16, 51, 59, -185].into_iter().all(|number| !is_fenced(Code(number))));
    }

    #[test]
    fn a_commit_is_refused_by_the_group_and_unknown_otherwise() {
        assert_eq!(commit_verdict(Code::NONE, 60_000), Outcome::Done(()));
        for number in [7, 14, 16, -185, -195] {
            assert!(matches!(commit_verdict(Code(number), 0), Outcome::Unknown(_)), "{number}");
        }
    }

    /// librdkafka tries a commit again after a while, and tells the last answer only.
    #[test]
    fn a_commit_is_refused_by_its_first_answer_only() {
        use ErrorCode::*;
        for (number, code) in [(22, IllegalGeneration), (25, UnknownMemberId), (27, RebalanceInProgress), (82, FencedInstanceId), (113, IllegalGeneration)] {
            assert_eq!(commit_verdict(Code(number), COMMIT_RETRY_MS - 1), Outcome::NotDone(Reason::Answered(code)));
            assert_eq!(commit_verdict(Code(number), COMMIT_RETRY_MS), Outcome::Unknown(Reason::Answered(code)));
        }
    }

    /// A code younger than this list is told by its name.
    #[test]
    fn a_code_without_a_name_here_is_told_in_words() {
        assert!(matches!(reason(Code(89)), Reason::Ended(name) if name == "THROTTLING_QUOTA_EXCEEDED"));
        assert_eq!(reason(Code(120)), Reason::Answered(ErrorCode::TransactionAbortable));
    }
}
