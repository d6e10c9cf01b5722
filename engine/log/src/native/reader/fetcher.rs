//! A reader's fetching task: one long poll per leader, over a connection of its own.

use super::desk::{Desk, Held, Item};
use super::visible::visible;
use crate::link::Broken;
use crate::native::Shared;
use crate::native::alarm::Alarm;
use crate::native::cluster::{Leader, Links};
use crate::native::verdict;
use crate::port::{Batch, Next, Position, Reason};
use broker::protocol::{ErrorCode, FetchPartition, FetchedPartition, Isolation, NodeId, OffsetSpec, Request, Response, Tp};
use runtime::time;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A fetch waits no longer than this while a partition of the same leader is left out of it, paused or full: it should not wait long for its turn.
const SHORT_WAIT_MS: u64 = 20;

/// Answers in a row that cannot be read before the reader gives up.
const CORRUPT_MAX: u32 = 3;

enum Arrival {
    Answer {
        leader: NodeId,
        asked: Vec<Asked>,
        result: Result<Response, Broken>,
    },
    Refreshed,
    /// Where the log of a partition begins and ends.
    Located {
        asked: Asked,
        ends: Option<(Next, Next)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    tp: Tp,
    seeks: u64,
    from: Position,
}

/// The task.
pub struct Fetcher {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    links: Links,
    isolation: Isolation,
    /// Leaders with a fetch under way.
    busy: BTreeMap<NodeId, ()>,
    refreshing: bool,
    arrivals: mpsc::UnboundedSender<Arrival>,
    arrived: mpsc::UnboundedReceiver<Arrival>,
}

impl Fetcher {
    /// Fetches what the desk wants.
    pub fn new(shared: Arc<Shared>, desk: Arc<Desk>, isolation: Isolation) -> Self {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        Fetcher { links: Links::new(&shared.config), shared, desk, isolation, busy: BTreeMap::new(), refreshing: false, arrivals, arrived }
    }

    /// Until the desk is closed.
    pub async fn run(mut self) {
        let mut alarm = Alarm::default();
        let desk = self.desk.clone();
        while !desk.state().closed {
            let wakes_at_ms = self.fetch();
            runtime::select! {
                arrival = self.arrived.recv() => self.arrive(arrival.expect("the task keeps a sender")),
                () = desk.wanted.notified() => {}
                () = alarm.ring(wakes_at_ms) => {}
            }
        }
    }

    /// Starts every fetch that can be started; says when the next could be.
    fn fetch(&mut self) -> Option<u64> {
        let now_ms = time::monotonic_ms();
        let mut wakes_at_ms = None;
        let mut leaderless = self.shared.cluster.is_old();
        let mut wanted: BTreeMap<NodeId, (Leader, Vec<Asked>, bool)> = BTreeMap::new();
        let desk = self.desk.clone();
        let mut state = desk.state();
        for (tp, held) in &mut state.held {
            if held.not_before_ms > now_ms {
                wakes_at_ms = Some(wakes_at_ms.unwrap_or(u64::MAX).min(held.not_before_ms));
            }
            // A leader older than what was read from a younger one was deposed: what it says of the log's end is not to be believed.
            let read_in = held.position.and_then(|position| position.epoch);
            let Some(leader) = self.shared.cluster.leader(*tp).filter(|leader| read_in.is_none_or(|epoch| leader.epoch >= epoch)) else {
                if held.position.is_some() && held.not_before_ms <= now_ms {
                    held.not_before_ms = now_ms + self.shared.config.retry_backoff_ms;
                    wakes_at_ms = Some(wakes_at_ms.unwrap_or(u64::MAX).min(held.not_before_ms));
                    leaderless = true;
                }
                continue;
            };
            if self.busy.contains_key(&leader.node) {
                continue;
            }
            let (_, asked, is_partial) = wanted.entry(leader.node).or_insert_with(|| (leader, Vec::new(), false));
            match held.position.filter(|_| self.is_wanted(held, now_ms)) {
                Some(from) => asked.push(Asked { tp: *tp, seeks: held.seeks, from }),
                None => *is_partial |= held.position.is_some() && !held.halted,
            }
        }
        drop(state);
        if leaderless {
            self.refresh();
        }
        for (leader, asked, is_partial) in wanted.into_values() {
            if !asked.is_empty() {
                self.ask(&leader, asked, is_partial);
            }
        }
        wakes_at_ms
    }

    /// A paused partition is not fetched: what comes meanwhile waits at the leader, where it becomes one batch.
    fn is_wanted(&self, held: &Held, now_ms: u64) -> bool {
        !held.paused && !held.halted && held.not_before_ms <= now_ms && held.buffered_records() < self.shared.config.prefetch_records_max
    }

    fn ask(&mut self, leader: &Leader, asked: Vec<Asked>, is_partial: bool) {
        let config = &self.shared.config;
        let wait_ms = if is_partial { SHORT_WAIT_MS.min(config.fetch_wait_ms_max) } else { config.fetch_wait_ms_max };
        let partition = |asked: &Asked| FetchPartition {
            tp: asked.tp,
            offset: asked.from.next.0,
            current_leader_epoch: self.shared.cluster.leader(asked.tp).map(|leader| leader.epoch),
            last_fetched_epoch: asked.from.epoch,
            bytes_max: config.fetch_bytes_max,
        };
        let request = Request::Fetch {
            replica: None,
            wait_ms_max: u32::try_from(wait_ms).unwrap_or(u32::MAX),
            bytes_min: 1,
            bytes_max: config.fetch_bytes_max.saturating_mul(4),
            isolation: self.isolation,
            partitions: asked.iter().map(partition).collect(),
        };
        let (arrivals, node) = (self.arrivals.clone(), leader.node);
        self.busy.insert(node, ());
        // The task may have ended.
        self.links.to(&leader.address).start(&request, wait_ms, move |result| drop(arrivals.send(Arrival::Answer { leader: node, asked, result })));
    }

    fn refresh(&mut self) {
        if std::mem::replace(&mut self.refreshing, true) {
            return;
        }
        let (shared, arrivals, seen) = (self.shared.clone(), self.arrivals.clone(), self.shared.cluster.version());
        runtime::task::spawn(async move {
            runtime::select! {
                () = arrivals.closed() => {}
                () = shared.cluster.refresh(seen) => drop(arrivals.send(Arrival::Refreshed)),
            }
        });
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Refreshed => self.refreshing = false,
            Arrival::Located { asked, ends } => self.located(asked, ends),
            Arrival::Answer { leader, asked, result } => {
                self.busy.remove(&leader);
                let partitions = match result {
                    Ok(Response::Fetch { partitions }) => partitions,
                    Ok(_) | Err(_) => {
                        self.refresh();
                        return asked.iter().for_each(|asked| self.back_off(asked));
                    }
                };
                for asked in asked {
                    match partitions.iter().find(|fetched| fetched.tp == asked.tp) {
                        Some(fetched) => self.fetched(asked, fetched),
                        None => self.back_off(&asked),
                    }
                }
            }
        }
    }

    /// Does something with the partition asked for, unless it is gone or was sought meanwhile.
    fn with_held(&self, asked: &Asked, act: impl FnOnce(&mut Held)) {
        let mut state = self.desk.state();
        if let Some(held) = state.held.get_mut(&asked.tp)
            && held.seeks == asked.seeks
            && held.position == Some(asked.from)
        {
            act(held);
        }
        drop(state);
        self.desk.arrived.notify_one();
    }

    fn back_off(&self, asked: &Asked) {
        let not_before_ms = time::monotonic_ms() + self.shared.config.retry_backoff_ms;
        self.with_held(asked, |held| held.not_before_ms = not_before_ms);
    }

    fn fetched(&mut self, asked: Asked, fetched: &FetchedPartition) {
        match (fetched.error, fetched.diverging) {
            (Some(ErrorCode::OffsetOutOfRange), _) => self.locate(asked),
            (Some(code), _) => {
                if verdict::is_leader_gone(code) {
                    self.refresh();
                }
                self.back_off(&asked);
            }
            (None, Some((epoch, end))) => self.with_held(&asked, |held| {
                held.halted = true;
                held.push(Item::Truncated { diverged_at: Position { next: Next(end), epoch: Some(epoch) } });
            }),
            (None, None) => match visible(fetched.records.clone(), asked.from.next.0, self.isolation, &fetched.aborted) {
                Ok(seen) => self.with_held(&asked, |held| {
                    held.corrupt = 0;
                    let Some(position) = seen.position else { return };
                    held.position = Some(position);
                    held.push(if seen.records.is_empty() { Item::Progress(position) } else { Item::Records(Batch { records: seen.records, position }) });
                }),
                Err(code) => self.corrupt(&asked, code),
            },
        }
    }

    fn corrupt(&self, asked: &Asked, code: ErrorCode) {
        let mut corrupt = 0;
        self.with_held(asked, |held| {
            held.corrupt += 1;
            corrupt = held.corrupt;
        });
        if corrupt >= CORRUPT_MAX {
            self.desk.fatal(Reason::Answered(code));
        } else {
            self.back_off(asked);
        }
    }

    /// The log says that a position is outside: where is the inside?
    fn locate(&self, asked: Asked) {
        self.with_held(&asked, |held| held.halted = true);
        let (shared, arrivals) = (self.shared.clone(), self.arrivals.clone());
        runtime::task::spawn(async move {
            let ends = async {
                // A leader deposed unheard would say so too.
                shared.cluster.refresh(shared.cluster.version()).await;
                let start = shared.list_offset(asked.tp, Isolation::ReadUncommitted, OffsetSpec::Earliest).await.ok()?;
                let end = shared.list_offset(asked.tp, Isolation::ReadUncommitted, OffsetSpec::Latest).await.ok()?;
                Some((start.next, end.next))
            };
            runtime::select! {
                () = arrivals.closed() => {}
                ends = ends => drop(arrivals.send(Arrival::Located { asked, ends })),
            }
        });
    }

    fn located(&self, asked: Asked, ends: Option<(Next, Next)>) {
        match ends {
            Some((log_start, end)) if asked.from.next < log_start || asked.from.next > end => {
                self.with_held(&asked, |held| held.push(Item::OutOfRange { wanted: asked.from, log_start, end }));
            }
            // Not to be told now, or inside after all: a leader that had just begun may have said otherwise.
            Some(_) | None => {
                self.with_held(&asked, |held| held.halted = false);
                self.back_off(&asked);
            }
        }
    }
}
