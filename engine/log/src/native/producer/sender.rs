//! A producer's task: takes records, forms batches, sends them to the leaders, decides their tickets.

mod answers;

use super::identity;
use super::lane::{Identity, Lane, Queued};
use super::transaction::{Failed, Transaction};
use crate::link::{Broken, Departure};
use crate::native::Shared;
use crate::native::alarm::Alarm;
use crate::native::cluster::{Leader, Links};
use crate::port::{Outcome, Reason};
use broker::protocol::{NodeId, Request, Response, Tp};
use bytes::Bytes;
use runtime::time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::{mpsc, oneshot};

/// What the handle tells its task.
#[derive(Debug)]
pub enum Command {
    /// Send this.
    Send { tp: Tp, queued: Queued },
    /// Let a partition go on after a failure.
    Resume(Tp),
    /// A transaction begins under this identity.
    Begin(Identity),
    /// Say when all is decided, or that the transaction has failed.
    Flush(oneshot::Sender<Result<(), Failed>>),
    /// The transaction is over; `true`: sequences may be unresolved.
    End(oneshot::Sender<bool>),
}

/// What a task's own calls bring.
#[derive(Debug)]
pub enum Arrival {
    /// The answer to a produce request.
    Answer { call: u64, result: Result<Response, Broken> },
    /// A new identity for a partition whose sequences were unresolved.
    Identified { tp: Tp, result: Result<Identity, Reason> },
    /// The metadata was asked for.
    Refreshed,
    /// Partitions were added to the transaction, or not.
    Added { transaction: u64, tps: Vec<Tp>, result: Result<(), Failed> },
}

struct Call {
    departure: Departure,
    leader: NodeId,
    batches: Vec<(Tp, u64)>,
}

/// The task's state.
pub struct Sender {
    shared: Arc<Shared>,
    links: Links,
    /// What lanes begin with; a transaction sets it anew.
    identity: Identity,
    lanes: BTreeMap<Tp, Lane>,
    calls: BTreeMap<u64, Call>,
    calls_made: u64,
    identifying: BTreeSet<Tp>,
    refreshing: bool,
    /// Bytes of records without a verdict.
    buffered: Arc<AtomicUsize>,
    /// Why nothing goes on.
    ended: Option<String>,
    transaction: Option<Transaction>,
    arrivals: mpsc::UnboundedSender<Arrival>,
    arrived: mpsc::UnboundedReceiver<Arrival>,
}

impl Sender {
    /// A sender of plain records, or of a transactional id's.
    pub fn new(shared: Arc<Shared>, identity: Identity, transaction: Option<Transaction>, buffered: Arc<AtomicUsize>) -> Self {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        Sender {
            links: Links::new(&shared.config),
            shared,
            identity,
            lanes: BTreeMap::new(),
            calls: BTreeMap::new(),
            calls_made: 0,
            identifying: BTreeSet::new(),
            refreshing: false,
            buffered,
            ended: None,
            transaction,
            arrivals,
            arrived,
        }
    }

    /// Until the handle is dropped; what is not decided then stays unknown.
    pub async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut alarm = Alarm::default();
        loop {
            let wakes_at_ms = self.pump();
            runtime::select! {
                arrival = self.arrived.recv() => self.arrive(arrival.expect("the task keeps a sender")),
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    self.take(command);
                    while let Ok(command) = commands.try_recv() {
                        self.take(command);
                    }
                }
                () = alarm.ring(wakes_at_ms) => {}
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Send { tp, queued } => self.queue(tp, queued),
            Command::Resume(tp) => {
                if let Some(lane) = self.lanes.get_mut(&tp) {
                    lane.behind = false;
                }
            }
            Command::Begin(identity) => {
                if self.identity != identity {
                    self.identity = identity;
                    self.lanes.clear();
                    // Late answers are of batches that nobody waits for; the calls still count as in flight.
                    self.calls.values_mut().for_each(|call| call.batches.clear());
                }
                self.transaction.as_mut().expect("only a session begins").begin(identity);
            }
            Command::Flush(flushed) => self.transaction.as_mut().expect("only a session flushes").flush(flushed),
            Command::End(ended) => {
                self.fail_transaction(Failed::Abortable(Reason::Ended("the transaction was given up".to_owned())));
                let unresolved = self.lanes.values().any(|lane| lane.identity.is_none());
                for lane in self.lanes.values_mut() {
                    lane.behind = false;
                }
                // The session may have gone.
                let _ = ended.send(unresolved);
            }
        }
    }

    fn queue(&mut self, tp: Tp, queued: Queued) {
        let identity = self.identity;
        let lane = self.lanes.entry(tp).or_insert_with(|| Lane::new(tp, Some(identity)));
        let refusal = match (&self.ended, self.transaction.as_ref().is_some_and(Transaction::has_failed) || lane.behind) {
            (Some(why), _) => Reason::Ended(why.clone()),
            (None, true) => Reason::Behind,
            (None, false) => return lane.push(queued),
        };
        self.decide(tp, vec![(queued.ticket, Outcome::NotDone(refusal))]);
    }

    /// Does everything that can be done now; says when time alone will change something.
    fn pump(&mut self) -> Option<u64> {
        let now_ms = time::monotonic_ms();
        for tp in self.lanes.keys().copied().collect::<Vec<_>>() {
            let lane = self.lanes.get_mut(&tp).expect("listed");
            if !lane.is_due(now_ms) {
                continue;
            }
            // What has not left by now never leaves: then nothing is in doubt.
            for call in self.calls.values_mut() {
                if let Some(at) = call.batches.iter().position(|(of, _)| *of == tp)
                    && call.departure.hold_back()
                {
                    lane.came_back(call.batches.remove(at).1, None, false, now_ms);
                }
            }
            let decided = lane.expire();
            if !decided.is_empty() {
                self.decide(tp, decided);
                self.fail_transaction(Failed::Abortable(Reason::Deadline));
            }
        }
        self.add_partitions();
        self.identify_lanes();
        while self.send_batches(now_ms) {}
        let idle = self.lanes.values().all(Lane::is_idle);
        if let Some(transaction) = &mut self.transaction {
            transaction.flushed(idle);
        }
        let linger_ms = self.shared.config.linger_ms;
        self.lanes.values().filter_map(|lane| lane.wakes_at_ms(linger_ms, now_ms)).min()
    }

    /// A partition belongs to a transaction before its first record of it is sent.
    fn add_partitions(&mut self) {
        let Some(transaction) = &mut self.transaction else { return };
        let wanted = self.lanes.iter().filter(|(_, lane)| lane.wants_to_send()).map(|(tp, _)| *tp);
        transaction.add(&self.shared, wanted, &self.arrivals);
    }

    fn identify_lanes(&mut self) {
        if self.transaction.is_some() || self.ended.is_some() {
            return;
        }
        for (tp, lane) in &self.lanes {
            if lane.identity.is_none() && lane.wants_to_send() && self.identifying.insert(*tp) {
                let (shared, arrivals, tp) = (self.shared.clone(), self.arrivals.clone(), *tp);
                let deadline_ms = time::monotonic_ms() + shared.config.delivery_timeout_ms;
                runtime::task::spawn(async move {
                    runtime::select! {
                        () = arrivals.closed() => {}
                        result = identity::fresh(&shared, deadline_ms) => drop(arrivals.send(Arrival::Identified { tp, result })),
                    }
                });
            }
        }
    }

    /// One request per leader with at most one batch per partition; was anything sent?
    fn send_batches(&mut self, now_ms: u64) -> bool {
        let config = self.shared.config.clone();
        let mut requests: BTreeMap<NodeId, (Leader, Vec<(Tp, u64, Bytes)>)> = BTreeMap::new();
        let mut leaderless = false;
        for (tp, lane) in &mut self.lanes {
            let is_added = self.transaction.as_ref().is_none_or(|transaction| transaction.has(*tp));
            if !lane.wants_to_send() || lane.not_before_ms > now_ms || !is_added {
                continue;
            }
            let Some(leader) = self.shared.cluster.leader(*tp) else {
                lane.not_before_ms = now_ms + config.retry_backoff_ms;
                leaderless = true;
                continue;
            };
            if self.calls.values().filter(|call| call.leader == leader.node).count() >= config.in_flight_max {
                continue;
            }
            if let Some((number, bytes)) = lane.next_batch(now_ms, config.linger_ms, config.batch_bytes_max, config.in_flight_max, self.transaction.is_some()) {
                requests.entry(leader.node).or_insert_with(|| (leader, Vec::new())).1.push((*tp, number, bytes));
            }
        }
        if leaderless {
            self.refresh();
        }
        let sent = !requests.is_empty();
        for (leader, batches) in requests.into_values() {
            self.call(&leader, batches);
        }
        sent
    }

    fn call(&mut self, leader: &Leader, batches: Vec<(Tp, u64, Bytes)>) {
        self.calls_made += 1;
        let call = self.calls_made;
        let numbers = batches.iter().map(|(tp, number, _)| (*tp, *number)).collect();
        let request = Request::Produce {
            acks: -1,
            // The broker gives up first, so that its answer still finds the connection open.
            timeout_ms: u32::try_from(self.shared.config.request_timeout_ms * 2 / 3).unwrap_or(u32::MAX),
            transactional_id: self.transaction.as_ref().map(|transaction| transaction.id().to_owned()),
            partitions: batches.into_iter().map(|(tp, _, bytes)| (tp, bytes)).collect(),
        };
        let request = match &self.transaction {
            Some(transaction) => transaction.in_version(request),
            None => request,
        };
        let arrivals = self.arrivals.clone();
        // The task may have ended.
        let departure = self.links.to(&leader.address).start(&request, 0, move |result| drop(arrivals.send(Arrival::Answer { call, result })));
        self.calls.insert(call, Call { departure, leader: leader.node, batches: numbers });
    }

    fn refresh(&mut self) {
        if std::mem::replace(&mut self.refreshing, true) {
            return;
        }
        let (shared, arrivals) = (self.shared.clone(), self.arrivals.clone());
        let seen = shared.cluster.version();
        runtime::task::spawn(async move {
            runtime::select! {
                () = arrivals.closed() => {}
                () = shared.cluster.refresh(seen) => drop(arrivals.send(Arrival::Refreshed)),
            }
        });
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Answer { call, result } => self.answered(call, result),
            Arrival::Identified { tp, result } => {
                self.identifying.remove(&tp);
                let lane = self.lanes.get_mut(&tp).expect("a lane that asked is kept");
                match result {
                    Ok(identity) => lane.identify(identity),
                    Err(_) => lane.not_before_ms = time::monotonic_ms() + self.shared.config.retry_backoff_ms,
                }
            }
            Arrival::Refreshed => self.refreshing = false,
            Arrival::Added { transaction: number, tps, result } => {
                let transaction = self.transaction.as_mut().expect("only a session adds partitions");
                if let Some(failed) = transaction.added(number, &tps, result) {
                    self.fail_transaction(failed);
                }
            }
        }
    }
}
