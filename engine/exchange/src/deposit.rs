//! `exchange deposit`: money for an account of a running exchange, through its log: the operator's edge. Credited once per account and id, however
//! often it is asked for.

use crate::composition::visitor;
use crate::terminal::say;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use log::native::Native;
use log::{Anchor, ConsumerEvent, Isolation, LogPort, Outcome, Position, Producer, Reader, Reason, Record, Subscription, Tp};
use runtime::rng::Rng;
use runtime::time::{monotonic_ms, now_ms};
use services::bootstrap::Deposit;
use wire::partition::partition_of_account;
use wire::{AccountCommand, AccountEvent, AccountId, Asset, Body, Correlation, RefusalReason, Stamp, Topic};

/// Settings of `exchange deposit`.
#[derive(Debug, Clone, Args)]
pub struct DepositArgs {
    /// Whose.
    #[arg(long)]
    account: u64,
    /// Three letters: USD.
    #[arg(long, value_parser = parse_asset)]
    asset: Asset,
    /// Minor units, at least 1.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    amount: i64,
    /// Chosen by you: the same account and id are credited once.
    #[arg(long)]
    id: u64,
    /// Where the log listens.
    #[arg(long, env = "EXCHANGE_LOG_LISTEN", default_value = "127.0.0.1:9092", value_parser = crate::usage::address)]
    log: String,
}

fn parse_asset(text: &str) -> Result<Asset, String> {
    Asset::parse(text).map_err(|error| error.to_string())
}

/// What became of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credit {
    /// It was credited.
    New,
    /// It had been credited before: nothing moved.
    Before,
    /// It was refused: nothing moved.
    Refused(RefusalReason),
}

/// How long a deposit may take.
const DEADLINE_MS: u64 = 30_000;

/// Credits, and says so.
pub async fn run(args: DepositArgs) -> Result<()> {
    let DepositArgs { account, asset, amount, id, log } = args;
    let deposit = Deposit { account: AccountId(account), deposit_id: id, asset, amount };
    match credit(&visitor(&log), &deposit).await.with_context(|| format!("log {log}"))? {
        Credit::New => say!("account {account}: {amount} minor units of {asset:?} credited, deposit {id}")?,
        Credit::Before => say!("account {account}: deposit {id} had been credited before; nothing moved")?,
        Credit::Refused(reason) => bail!("deposit {id} of account {account} was refused: {reason:?}"),
    }
    Ok(())
}

/// Sends one deposit and waits for its answer.
pub async fn credit(log: &Native, deposit: &Deposit) -> Result<Credit> {
    let deadline_ms = monotonic_ms() + DEADLINE_MS;
    let names = [Topic::AccountCommands.name(), Topic::AccountEvents.name()];
    let topics = log.topics(&names, deadline_ms).await;
    let Outcome::Done(topics) = topics else { return Err(failure(&topics).context("looking for its topics: is the exchange running?")) };
    let partition = partition_of_account(deposit.account, topics[0].partitions);
    let (commands, events) = (topics[0].tp(partition), topics[1].tp(partition));
    let end = log.offset_at(events, Anchor::End(Isolation::ReadCommitted), deadline_ms).await;
    let Outcome::Done(end) = end else { return Err(failure(&end).context("looking for the end of account_events")) };
    let from = vec![(events, end.unwrap_or(Position::START))];
    let mut answers = log.read(Subscription::Assigned(from), Isolation::ReadCommitted).await?;
    let correlation = fresh_correlation();
    send(log, commands, deposit, correlation, deadline_ms).await?;
    loop {
        match answers.next(deadline_ms).await {
            ConsumerEvent::Records { batch, .. } => {
                if let Some(credit) = batch.records.iter().find_map(|record| answer(record.value.as_deref()?, correlation)) {
                    return Ok(credit);
                }
            }
            ConsumerEvent::Nothing => bail!("no answer within {DEADLINE_MS} ms: it may have been credited, or may still be; ask again with the same id"),
            ConsumerEvent::Fatal(reason) => return Err(anyhow!("{reason}").context("reading account_events")),
            _ => {}
        }
    }
}

fn failure<T>(outcome: &Outcome<T>) -> anyhow::Error {
    match outcome {
        Outcome::Done(_) => unreachable!("a failure is not done"),
        Outcome::NotDone(reason) | Outcome::Unknown(reason) => anyhow!("{reason}"),
    }
}

fn fresh_correlation() -> Correlation {
    let mut rng = Rng::of_node("deposit");
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
    bytes[8..].copy_from_slice(&rng.next_u64().to_be_bytes());
    Correlation(bytes)
}

/// A send in doubt is waited for like one that was acknowledged: the answer tells.
async fn send(log: &Native, to: Tp, deposit: &Deposit, correlation: Correlation, deadline_ms: u64) -> Result<()> {
    let Deposit { account, deposit_id, asset, amount } = *deposit;
    let body = Body::AccountCommand(AccountCommand::Deposit { account, deposit_id, asset, amount });
    let stamp = Stamp { cause: -1, correlation, log_time_ms: now_ms(), ..Stamp::default() };
    let record = Record { key: Some(account.0.to_string().into()), value: Some(wire::frame::encode(&stamp, &body)), timestamp_ms: now_ms() };
    let refused = |reason: Reason| anyhow!("{reason}").context("nothing was credited");
    let mut producer = log.producer().await.map_err(refused)?;
    match producer.send(to, record, deadline_ms).outcome().await {
        Outcome::NotDone(reason) => Err(refused(reason)),
        Outcome::Done(_) | Outcome::Unknown(_) => Ok(()),
    }
}

fn answer(value: &[u8], to: Correlation) -> Option<Credit> {
    let (stamp, body) = wire::frame::decode(value).ok()?;
    match body {
        Body::AccountEvent(event) if stamp.correlation == to => match event {
            AccountEvent::Deposited { duplicate: false, .. } => Some(Credit::New),
            AccountEvent::Deposited { duplicate: true, .. } => Some(Credit::Before),
            AccountEvent::Refused { reason, .. } => Some(Credit::Refused(reason)),
            _ => None,
        },
        _ => None,
    }
}
