//! Requests as such, without a client's retries: what a row of Kafka's behaviour is about. The same requests go to our brokers as they are, and to Apache
//! Kafka translated into its own protocol.

use super::Bench;
use super::support::{PATIENCE_MS, soon};
use runtime::time::{monotonic_ms, sleep};
use std::time::Duration;

pub use broker::batch::{Batch, ControlKind, Producer, Record};
pub use broker::protocol::{
    CommittedOffset, CoordinatorKind, ErrorCode, FetchPartition, FetchedPartition, Isolation, OffsetSpec, PartitionMetadata, ProducerEpoch, ProducerId,
    Request, Response, TopicId, TopicMetadata, Tp,
};

/// A topic as the brokers' metadata names it.
pub async fn topic<B: Bench>(bench: &B, name: &str) -> TopicMetadata {
    let by_ms = soon(PATIENCE_MS);
    loop {
        for broker in 1..=bench.brokers() {
            if let Some(Response::Metadata { mut topics, .. }) = bench.ask(broker, Request::Metadata { topics: Some(vec![name.to_owned()]) }).await
                && let Some(topic) = topics.pop()
            {
                return topic;
            }
        }
        wait(by_ms, "the topic is known").await;
    }
}

async fn wait(by_ms: u64, what: &str) {
    assert!(monotonic_ms() < by_ms, "{what}");
    sleep(Duration::from_millis(20)).await;
}

/// Of a whole answer, or of its only partition.
pub fn verdict(response: &Response) -> Result<(), ErrorCode> {
    match response {
        Response::Error(why) => Err(*why),
        Response::Produce { partitions } => partitions[0].1.map(drop),
        Response::ListOffsets { partitions } => partitions[0].1.map(drop),
        Response::AddPartitionsToTxn { partitions } | Response::OffsetCommit { partitions } | Response::TxnOffsetCommit { partitions } => partitions[0].1,
        _ => Ok(()),
    }
}

/// Who is to answer.
enum To<'a> {
    Leader(&'a str, u32),
    Coordinator(CoordinatorKind, &'a str),
}

impl To<'_> {
    /// Who that is, if anybody.
    async fn find<B: Bench>(&self, bench: &B) -> Option<u32> {
        match self {
            To::Leader(name, partition) => leader_of(&topic(bench, name).await, *partition),
            To::Coordinator(kind, key) => {
                for broker in 1..=bench.brokers() {
                    let request = Request::FindCoordinator { kind: *kind, key: (*key).to_owned() };
                    if let Some(Response::FindCoordinator { node, .. }) = bench.ask(broker, request).await {
                        return Some(node);
                    }
                }
                None
            }
        }
    }
}

/// Asks until one answers whose word it is: leaders and coordinators move, metadata lags, and followers that a busy machine kept from fetching come back.
/// What is asked again was not done, or is the same the second time: batches have sequences, and where they have none nobody counts.
async fn asked<B: Bench>(bench: &B, to: To<'_>, request: Request) -> Response {
    use ErrorCode::*;
    let by_ms = soon(PATIENCE_MS);
    loop {
        if let Some(broker) = to.find(bench).await
            && let Some(response) = bench.ask(broker, request.clone()).await
            && !matches!(
                verdict(&response),
                Err(NotLeaderOrFollower
                    | LeaderNotAvailable
                    | NotCoordinator
                    | CoordinatorNotAvailable
                    | CoordinatorLoadInProgress
                    | UnknownTopicOrPartition
                    | NotEnoughReplicas
                    | NotEnoughReplicasAfterAppend
                    | RequestTimedOut)
            )
        {
            return response;
        }
        wait(by_ms, &format!("somebody answers {request:?}")).await;
    }
}

/// Asks a partition's leader.
pub async fn leader<B: Bench>(bench: &B, name: &str, partition: u32, request: Request) -> Response {
    asked(bench, To::Leader(name, partition), request).await
}

/// Who leads.
pub fn leader_of(topic: &TopicMetadata, partition: u32) -> Option<u32> {
    topic.partitions.iter().find(|one| one.partition == partition)?.leader
}

/// Asks a coordinator, of a group or of a transactional id.
pub async fn coordinator<B: Bench>(bench: &B, kind: CoordinatorKind, key: &str, request: Request) -> Response {
    asked(bench, To::Coordinator(kind, key), request).await
}

/// Asks a transaction coordinator until it is not in the middle of something: an end is answered before it is carried out (A40).
pub async fn once_free<B: Bench>(bench: &B, id: &str, request: Request) -> Result<Response, ErrorCode> {
    let by_ms = soon(PATIENCE_MS);
    loop {
        let response = coordinator(bench, CoordinatorKind::Transaction, id, request.clone()).await;
        match verdict(&response) {
            Err(ErrorCode::ConcurrentTransactions) => wait(by_ms, "the coordinator comes to an end").await,
            Err(why) => return Err(why),
            Ok(()) => return Ok(response),
        }
    }
}

/// Id and epoch.
pub type Session = (ProducerId, ProducerEpoch);

/// A producer's identity; of a transactional id it fences the elder ones.
pub async fn session<B: Bench>(bench: &B, id: &str) -> Session {
    let request = Request::InitProducerId { transactional_id: Some(id.to_owned()), transaction_timeout_ms: 60_000 };
    match once_free(bench, id, request).await {
        Ok(Response::InitProducerId { producer_id, producer_epoch }) => (producer_id, producer_epoch),
        other => panic!("{other:?}"),
    }
}

/// Records with these values, one batch.
pub fn batch(values: &[&str], (id, epoch): Session, first_sequence: i32, transactional: bool) -> Batch {
    let record = |value: &&str| Record {
        offset: 0,
        timestamp_ms: runtime::time::now_ms() as i64,
        key: None,
        value: Some(bytes::Bytes::copy_from_slice(value.as_bytes())),
    };
    let records: Vec<Record> = values.iter().map(record).collect();
    Batch::build(&records, Producer { id, epoch, first_sequence }, transactional)
}

/// Produces to a partition's leader, acks = all; the base offset.
pub async fn produce<B: Bench>(bench: &B, name: &str, tp: Tp, batch: &Batch, id: Option<&str>) -> Result<i64, ErrorCode> {
    let partitions = vec![(tp, batch.bytes().clone())];
    let request = Request::Produce { acks: -1, timeout_ms: 30_000, transactional_id: id.map(str::to_owned), partitions };
    match leader(bench, name, tp.partition, request).await {
        Response::Produce { partitions } => partitions[0].1,
        other => Err(verdict(&other).expect_err("an answer to a Produce")),
    }
}

/// What a group has committed.
pub async fn committed<B: Bench>(bench: &B, group: &str, tp: Tp, require_stable: bool) -> Result<Option<i64>, ErrorCode> {
    let request = Request::OffsetFetch { group: group.to_owned(), partitions: vec![tp], require_stable };
    match coordinator(bench, CoordinatorKind::Group, group, request).await {
        Response::OffsetFetch { partitions } => partitions[0].1.map(|found| found.map(|at| at.offset)),
        other => Err(verdict(&other).expect_err("an answer to an OffsetFetch")),
    }
}
