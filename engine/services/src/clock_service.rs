//! The clock: the holder of `system_ticks-0` in group `clock` reads the last tick, sends the next there (time = max(last + 1, now)), then the same
//! by plain sends to every partition that a machine reads.
//!
//! A machine ignores a tick that is not later: a crash halfway, two clocks, or a repeat change nothing.

use crate::runner::restore::{end_of, replay};
use crate::runner::{ServiceError, frame_of};
use log::{ConsumerEvent, Isolation, LogPort, Outcome, Producer, Reader, Record, Subscription, TopicInfo, Tp};
use runtime::task::Stop;
use runtime::time::{monotonic_ms, now_ms, sleep};
use std::time::Duration;
use wire::{AccountCommand, Body, OrderCommand, Stamp, SystemTick, Topic};

/// Settings of a clock.
#[derive(Debug, Clone)]
pub struct ClockConfig {
    /// Distance of ticks: 5,000 in production, 100 to 2,000 in simulation.
    pub tick_ms: u64,
    /// Static membership, if wanted: the next life of the instance need not wait for the session of this one.
    pub instance_id: Option<String>,
}

/// Pause before the last tick is looked for again.
const RETRY_MS: u64 = 500;

const TOPICS: [Topic; 3] = [Topic::SystemTicks, Topic::AccountCommands, Topic::OrderCommands];

/// Runs one instance until asked to stop; of several, the member that holds the partition ticks.
pub async fn run<L: LogPort>(log: L, config: ClockConfig, mut stop: Stop) -> Result<(), ServiceError> {
    let names = TOPICS.map(Topic::name);
    let topics = loop {
        if stop.is_requested() {
            return Ok(());
        }
        match log.topics(&names, monotonic_ms() + 5_000).await {
            Outcome::Done(topics) => break topics,
            Outcome::NotDone(_) | Outcome::Unknown(_) => sleep(Duration::from_millis(200)).await,
        }
    };
    let group = Subscription::Group { group: "clock".to_owned(), topics: vec![names[0].to_owned()], instance_id: config.instance_id.clone() };
    let mut reader = log.read(group, Isolation::ReadCommitted).await.map_err(ServiceError::Log)?;
    let mut holds = false;
    let mut ticking: Option<Ticking<L>> = None;
    loop {
        let wake_ms = match &ticking {
            Some(ticking) => ticking.due_ms,
            None if holds => monotonic_ms() + RETRY_MS,
            None => monotonic_ms() + 60_000,
        };
        let event = runtime::select! {
            () = stop.requested() => break,
            event = reader.next(wake_ms) => event,
        };
        match event {
            ConsumerEvent::Assigned { leases, .. } => holds |= !leases.is_empty(),
            ConsumerEvent::Revoking { tps, .. } => {
                (holds, ticking) = (false, None);
                reader.revoked(&tps);
            }
            ConsumerEvent::Lost { .. } => (holds, ticking) = (false, None),
            ConsumerEvent::Fatal(reason) => return Err(ServiceError::Log(reason)),
            _ => {}
        }
        if holds && ticking.is_none() {
            ticking = Ticking::begin(&log, &topics).await.ok();
        }
        if let Some(ticking) = ticking.as_mut().filter(|ticking| ticking.due_ms <= monotonic_ms()) {
            ticking.tick(config.tick_ms).await;
        }
    }
    reader.leave().await;
    Ok(())
}

/// The holder's part.
struct Ticking<L: LogPort> {
    producer: L::Producer,
    ticks: Tp,
    targets: Vec<(Topic, Tp)>,
    last: SystemTick,
    due_ms: u64,
}

impl<L: LogPort> Ticking<L> {
    async fn begin(log: &L, topics: &[TopicInfo]) -> Result<Self, ServiceError> {
        let ticks = topics[0].tp(0);
        let last = last_tick(log, ticks).await?;
        let producer = log.producer().await.map_err(ServiceError::Log)?;
        runtime::reached!("clock_taken_over");
        let targets = TOPICS.iter().zip(topics).skip(1).flat_map(|(topic, info)| (0..info.partitions).map(|partition| (*topic, info.tp(partition)))).collect();
        Ok(Ticking { producer, ticks, targets, last, due_ms: monotonic_ms() })
    }

    async fn tick(&mut self, tick_ms: u64) {
        let next = SystemTick { sequence: self.last.sequence + 1, time_ms: now_ms().max(self.last.time_ms + 1) };
        let deadline_ms = monotonic_ms() + tick_ms.max(1_000);
        self.due_ms = monotonic_ms() + tick_ms;
        // First where the next holder looks: a tick that the machines saw is never taken back.
        let ticket = self.producer.send(self.ticks, record(next.time_ms, Body::SystemTick(next)), deadline_ms);
        match ticket.outcome().await {
            Outcome::Done(_) => self.last = next,
            Outcome::NotDone(_) | Outcome::Unknown(_) => {
                // It may stand in the log: the next tick must be later than it in any case.
                self.last.time_ms = next.time_ms;
                self.producer.resume(self.ticks);
                return;
            }
        }
        let mut tickets = Vec::with_capacity(self.targets.len());
        for (topic, tp) in &self.targets {
            let body = match topic {
                Topic::AccountCommands => Body::AccountCommand(AccountCommand::Tick { time_ms: next.time_ms }),
                _ => Body::OrderCommand(OrderCommand::Tick { time_ms: next.time_ms }),
            };
            tickets.push((*tp, self.producer.send(*tp, record(next.time_ms, body), deadline_ms)));
        }
        for (tp, ticket) in tickets {
            if !matches!(ticket.outcome().await, Outcome::Done(_)) {
                // That partition's time stands still until its next tick.
                self.producer.resume(tp);
            }
        }
    }
}

fn record(time_ms: u64, body: Body) -> Record {
    let stamp = Stamp { cause: -1, log_time_ms: time_ms, ..Stamp::default() };
    Record { key: None, value: Some(wire::frame::encode(&stamp, &body)), timestamp_ms: time_ms }
}

/// The last tick of `system_ticks-0`, or the zeroth if there is none.
async fn last_tick<L: LogPort>(log: &L, ticks: Tp) -> Result<SystemTick, ServiceError> {
    let end = end_of(log, ticks, monotonic_ms() + 5_000).await?;
    let (mut last, mut failed) = (SystemTick { sequence: 0, time_ms: 0 }, None);
    replay(log, ticks, log::Position::START, end.next, |records| {
        for record in records {
            match frame_of(record) {
                Ok(Some((_, Body::SystemTick(tick)))) if tick.time_ms > last.time_ms => last = tick,
                Ok(_) => {}
                Err(why) => {
                    failed = failed.take().or(Some(why));
                    return;
                }
            }
        }
    })
    .await?;
    failed.map_or(Ok(last), Err)
}
