//! What krafka is set to. The settings that correctness rests on are not the user's to choose. krafka tells no setting back, so nothing can be asserted of
//! a handle that stands: they are written here, each of them, whatever krafka's defaults are.

use crate::kafka::KafkaConfig;
use ::krafka::KrafkaError;
use ::krafka::consumer::{AutoOffsetReset, ConsumerBuilder, GroupProtocol, IsolationLevel, PartitionAssignmentStrategy};
use ::krafka::producer::{Acks, ProducerBuilder};
use log::Isolation;
use std::time::Duration;

/// Longest wait for a connection; no longer than for an answer.
const CONNECT_MS: u32 = 1_000;
/// As large as pays: krafka sends one batch of a partition at a time. Below the brokers' `message.max.bytes`.
const BATCH_BYTES: usize = 512 << 10;
/// More than krafka adds to a record in its own account of the buffer, whose limit is ours.
const BUFFER_FACTOR: u64 = 4;
/// Of what waits by a deadline of ours.
const FOR_EVER: Duration = Duration::from_secs(600);
/// krafka joins the fetches of all brokers, so that an idle one holds the others back so long.
const FETCH_WAIT_MS_MAX: u32 = 10;
/// Between two retries at first; it doubles.
const BACKOFF: Duration = Duration::from_millis(50);

fn ms(ms: impl Into<u64>) -> Duration {
    Duration::from_millis(ms.into())
}

/// Connections of one client's own: a handle that two share makes one wait behind the other's long polls.
pub async fn connect(config: &KafkaConfig, request_timeout_ms: u32) -> Result<::krafka::Kafka, KrafkaError> {
    let builder = ::krafka::Kafka::builder(config.bootstrap.clone())
        .client_id(config.client_id.clone())
        .request_timeout(ms(request_timeout_ms))
        .connect_timeout(ms(request_timeout_ms.min(CONNECT_MS)))
        .allow_auto_create_topics(false)
        .metadata_max_age(ms(1_000u32))
        // A topic in use is not forgotten.
        .metadata_topic_cache_ttl(None);
    builder.connect().await
}

fn sending(kafka: &::krafka::Kafka, config: &KafkaConfig) -> ProducerBuilder {
    let buffer = usize::try_from(config.buffer_bytes_max * BUFFER_FACTOR).unwrap_or(usize::MAX);
    kafka
        .producer()
        .acks(Acks::All)
        .idempotent(true)
        .linger(Duration::ZERO)
        .batch_size(BATCH_BYTES)
        .buffer_memory(buffer.max(BATCH_BYTES))
        .retry_backoff(BACKOFF)
        .metrics_push(false)
}

/// Of plain sends. Deadlines are the adapter's; what it gives up is terminated.
pub fn plain(kafka: &::krafka::Kafka, config: &KafkaConfig) -> ProducerBuilder {
    sending(kafka, config).delivery_timeout(FOR_EVER).max_block(FOR_EVER)
}

/// Longest wait for an answer of a transactional id's: no request may outlive its transaction.
pub fn transactional_request_ms(config: &KafkaConfig, transaction_timeout_ms: u32) -> u32 {
    config.request_timeout_ms.min(transaction_timeout_ms)
}

/// Of a transactional id.
pub fn transactional(kafka: &::krafka::Kafka, config: &KafkaConfig, transaction_timeout_ms: u32) -> ProducerBuilder {
    let delivery_ms = u64::from(transaction_timeout_ms).min(config.delivery_timeout_ms).max(transactional_request_ms(config, transaction_timeout_ms).into());
    sending(kafka, config)
        .transaction_timeout(ms(transaction_timeout_ms))
        .delivery_timeout(ms(delivery_ms))
        // Of every question to a coordinator as well; the adapter's deadlines are shorter or give up.
        .max_block(ms(config.delivery_timeout_ms))
}

/// Of a reader; `group`: its name, and its instance id.
pub fn reading(kafka: &::krafka::Kafka, config: &KafkaConfig, isolation: Isolation, group: Option<(&str, Option<&str>)>) -> ConsumerBuilder {
    let mut builder = match group {
        Some((group, _)) => kafka.consumer(group),
        None => kafka.consumer_without_group(),
    };
    if let Some((_, Some(instance))) = group {
        builder = builder.group_instance_id(instance);
    }
    builder
        .enable_auto_commit(false)
        .auto_offset_reset(AutoOffsetReset::None)
        .isolation_level(match isolation {
            Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
            Isolation::ReadUncommitted => IsolationLevel::ReadUncommitted,
        })
        .group_protocol(GroupProtocol::Classic)
        // Of one generation all leases are given anew: a kept partition would carry the generation of an older assignment.
        .partition_assignment_strategy(PartitionAssignmentStrategy::Range)
        .session_timeout(ms(config.session_timeout_ms))
        .heartbeat_interval(ms(config.heartbeat_ms))
        .max_poll_interval(ms(config.max_poll_interval_ms.max(config.session_timeout_ms)))
        .fetch_max_wait(ms(config.fetch_wait_ms_max.min(FETCH_WAIT_MS_MAX)))
        .max_poll_records(2_000)
        .metrics_push(false)
}
