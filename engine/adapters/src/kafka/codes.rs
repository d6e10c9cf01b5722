//! What a broker's code says in the port's words (`kafka.md` F, error table).

use log::{ErrorCode, Outcome, Reason};

/// A broker's code by Kafka's number; `None` for one that the port does not name.
pub fn named(number: i32) -> Option<ErrorCode> {
    use ErrorCode::*;
    Some(match number {
        -1 => UnknownServerError,
        1 => OffsetOutOfRange,
        2 => CorruptMessage,
        3 | 100 => UnknownTopicOrPartition,
        5 => LeaderNotAvailable,
        6 => NotLeaderOrFollower,
        7 => RequestTimedOut,
        10 | 18 => MessageTooLarge,
        14 => CoordinatorLoadInProgress,
        15 => CoordinatorNotAvailable,
        16 => NotCoordinator,
        17 => InvalidTopic,
        19 => NotEnoughReplicas,
        20 => NotEnoughReplicasAfterAppend,
        22 | 113 => IllegalGeneration,
        23 => InconsistentGroupProtocol,
        25 | 110 => UnknownMemberId,
        26 => InvalidSessionTimeout,
        27 => RebalanceInProgress,
        32 => InvalidTimestamp,
        35 => UnsupportedVersion,
        36 => TopicAlreadyExists,
        41 => NotController,
        45 => OutOfOrderSequenceNumber,
        47 => InvalidProducerEpoch,
        48 => InvalidTxnState,
        49 => InvalidProducerIdMapping,
        50 => InvalidTransactionTimeout,
        51 => ConcurrentTransactions,
        56 => KafkaStorageError,
        59 => UnknownProducerId,
        74 => FencedLeaderEpoch,
        75 => UnknownLeaderEpoch,
        77 => StaleBrokerEpoch,
        78 => OffsetNotAvailable,
        79 => MemberIdRequired,
        82 => FencedInstanceId,
        87 => InvalidRecord,
        88 => UnstableOffsetCommit,
        90 => ProducerFenced,
        95 => InvalidUpdateVersion,
        120 => TransactionAbortable,
        _ => return None,
    })
}

/// Codes that say of a batch, whenever they are said, that it will never be taken: they are about what it is.
pub fn is_refusal(number: i32) -> bool {
    /// TOPIC_AUTHORIZATION_FAILED and CLUSTER_AUTHORIZATION_FAILED.
    const NOT_ALLOWED: [i32; 2] = [29, 31];
    matches!(named(number), Some(ErrorCode::MessageTooLarge | ErrorCode::InvalidTimestamp | ErrorCode::InvalidRecord | ErrorCode::InvalidTopic))
        || NOT_ALLOWED.contains(&number)
}

/// Does it say that somebody else owns this transactional id?
pub fn is_fence(number: i32) -> bool {
    named(number).is_some_and(fences)
}

fn fences(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch | ErrorCode::InvalidProducerIdMapping)
}

/// Was it told that a younger incarnation has its id?
pub fn is_elder(why: &Reason) -> bool {
    matches!(why, Reason::Answered(code) if fences(*code))
}

/// Does it say that a member's partitions are another's by now?
pub fn is_put_out(why: &Reason) -> bool {
    matches!(why, Reason::Answered(ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId))
}

/// The verdict on an offset commit that was answered with this code, which `why` puts in words.
pub fn commit_verdict(number: i32, why: Reason) -> Outcome<()> {
    use ErrorCode::*;
    match named(number) {
        _ if number == 0 => Outcome::Done(()),
        Some(IllegalGeneration | UnknownMemberId | FencedInstanceId | RebalanceInProgress | UnknownTopicOrPartition) => Outcome::NotDone(why),
        _ => Outcome::Unknown(why),
    }
}
