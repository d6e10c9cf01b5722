//! The operator's edge: topics, listings, first deposits. Everything it writes is applied once however often it comes, so that whatever is unknown is
//! sent again, and a second run changes nothing.

use crate::decimal::scales;
use crate::listing;
use crate::runner::ServiceError;
use log::{LogPort, Outcome, Producer, Reason, Record, TopicInfo, TopicSpec, Tp};
use runtime::time::{monotonic_ms, now_ms, sleep};
use std::time::Duration;
use wire::partition::{partition_of_account, partition_of_symbol};
use wire::{AccountCommand, AccountId, Asset, Body, OrderCommand, Stamp, SymbolSpec, Topic};

/// What an exchange starts with.
#[derive(Debug, Clone)]
pub struct BootstrapConfig {
    /// Partitions of `account_commands` and `account_events`.
    pub account_partitions: u32,
    /// Partitions of `order_commands`, `order_events` and `trade_executed`.
    pub symbol_partitions: u32,
    /// Replicas of each.
    pub replication: u32,
    /// Fewest in-sync replicas.
    pub min_isr: u32,
    /// Symbols.
    pub listings: Vec<SymbolSpec>,
    /// Money.
    pub deposits: Vec<Deposit>,
    /// When to give up, by the monotonic clock.
    pub deadline_ms: u64,
}

/// One deposit; credited once per account and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposit {
    /// Whose.
    pub account: AccountId,
    /// Chosen by the operator.
    pub deposit_id: u64,
    /// Which asset.
    pub asset: Asset,
    /// Minor units, ≥ 1.
    pub amount: i64,
}

/// How long one try may take.
const TRY_MS: u64 = 5_000;

/// Pause between tries.
const RETRY_MS: u64 = 100;

/// Creates topics, then writes listings and deposits until each is acknowledged.
pub async fn run<L: LogPort>(log: L, config: &BootstrapConfig) -> Result<(), ServiceError> {
    check(config)?;
    let topics = create(&log, config).await?;
    write(&log, records(config, &topics), config.deadline_ms).await
}

fn check(config: &BootstrapConfig) -> Result<(), ServiceError> {
    for spec in &config.listings {
        listing::check(spec).map_err(|error| ServiceError::Config(format!("{}: {error}", spec.symbol)))?;
    }
    scales(&config.listings).map_err(|error| ServiceError::Config(error.to_string()))?;
    if !(1..=crate::account::PARTITIONS_MAX).contains(&config.account_partitions) {
        return Err(ServiceError::Config(format!("account_partitions {}: 1 to {}", config.account_partitions, crate::account::PARTITIONS_MAX)));
    }
    match config.deposits.iter().find(|deposit| deposit.amount < 1) {
        Some(deposit) => {
            Err(ServiceError::Config(format!("deposit {} of account {}: amount {}: at least 1", deposit.deposit_id, deposit.account.0, deposit.amount)))
        }
        None => Ok(()),
    }
}

/// Topics of the exchange, as [`Topic::ALL`]; one that exists is left alone, but must have as many partitions as keys were spread over.
async fn create<L: LogPort>(log: &L, config: &BootstrapConfig) -> Result<Vec<TopicInfo>, ServiceError> {
    let specs: Vec<TopicSpec> = Topic::ALL.into_iter().map(|topic| spec_of(topic, config)).collect();
    let mut last = Reason::Deadline;
    while monotonic_ms() < config.deadline_ms {
        let until_ms = config.deadline_ms.min(monotonic_ms() + TRY_MS);
        let created = log.create_topics(specs.clone(), until_ms).await;
        if let Outcome::NotDone(reason) | Outcome::Unknown(reason) = created {
            last = reason;
        }
        // Whatever was said about creating them: are they there?
        if let Outcome::Done(topics) = log.topics(&Topic::ALL.map(Topic::name), until_ms).await {
            return match specs.iter().zip(&topics).find(|(spec, info)| spec.partitions != info.partitions) {
                Some((spec, info)) => {
                    Err(ServiceError::Config(format!("topic {} has {} partitions, not {}: keys would move", spec.name, info.partitions, spec.partitions)))
                }
                None => Ok(topics),
            };
        }
        sleep(Duration::from_millis(RETRY_MS)).await;
    }
    Err(ServiceError::Log(last))
}

fn spec_of(topic: Topic, config: &BootstrapConfig) -> TopicSpec {
    let partitions = match topic {
        Topic::AccountCommands | Topic::AccountEvents => config.account_partitions,
        Topic::OrderCommands | Topic::OrderEvents | Topic::TradeExecuted => config.symbol_partitions,
        Topic::SystemTicks => 1,
    };
    TopicSpec { name: topic.name().to_owned(), partitions, replication: config.replication, min_isr: config.min_isr, compacted: false }
}

/// Listings first where orders end up, so that no order finds its symbol listed for its money only.
fn records(config: &BootstrapConfig, topics: &[TopicInfo]) -> Vec<(Tp, Body)> {
    let info = |topic: Topic| &topics[Topic::ALL.iter().position(|of_all| *of_all == topic).expect("every topic was looked up")];
    let (accounts, orders) = (info(Topic::AccountCommands), info(Topic::OrderCommands));
    // The time first: before its first tick a machine lives in 1970, and would forget what it accepted there.
    let time_ms = now_ms();
    let mut records: Vec<(Tp, Body)> = Vec::new();
    records.extend((0..orders.partitions).map(|partition| (orders.tp(partition), Body::OrderCommand(OrderCommand::Tick { time_ms }))));
    records.extend((0..accounts.partitions).map(|partition| (accounts.tp(partition), Body::AccountCommand(AccountCommand::Tick { time_ms }))));
    for spec in &config.listings {
        records.push((orders.tp(partition_of_symbol(spec.symbol, orders.partitions)), Body::OrderCommand(OrderCommand::Listing(*spec))));
    }
    for spec in &config.listings {
        records.extend((0..accounts.partitions).map(|partition| (accounts.tp(partition), Body::AccountCommand(AccountCommand::Listing(*spec)))));
    }
    for &Deposit { account, deposit_id, asset, amount } in &config.deposits {
        let tp = accounts.tp(partition_of_account(account, accounts.partitions));
        records.push((tp, Body::AccountCommand(AccountCommand::Deposit { account, deposit_id, asset, amount })));
    }
    records
}

/// Sends what is not acknowledged yet, all of it at once, again and again.
async fn write<L: LogPort>(log: &L, mut left: Vec<(Tp, Body)>, deadline_ms: u64) -> Result<(), ServiceError> {
    let mut last = Reason::Deadline;
    while !left.is_empty() {
        if monotonic_ms() >= deadline_ms {
            return Err(ServiceError::Log(last));
        }
        let mut failed = Vec::new();
        match log.producer().await {
            Ok(mut producer) => {
                let until_ms = deadline_ms.min(monotonic_ms() + TRY_MS);
                let tickets: Vec<_> = left.into_iter().map(|(tp, body)| (producer.send(tp, record(&body), until_ms), tp, body)).collect();
                for (ticket, tp, body) in tickets {
                    if let Outcome::NotDone(reason) | Outcome::Unknown(reason) = ticket.outcome().await {
                        last = reason;
                        failed.push((tp, body));
                    }
                }
            }
            Err(reason) => {
                last = reason;
                failed = left;
            }
        }
        left = failed;
        if !left.is_empty() {
            sleep(Duration::from_millis(RETRY_MS)).await;
        }
    }
    Ok(())
}

fn record(body: &Body) -> Record {
    let now_ms = now_ms();
    let stamp = Stamp { cause: -1, log_time_ms: now_ms, ..Stamp::default() };
    Record { key: None, value: Some(wire::frame::encode(&stamp, body)), timestamp_ms: now_ms }
}
