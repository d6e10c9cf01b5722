//! Account, matching engine and wallet wired together by plain queues, with the numbers and frames of the real loops and without transactions: a crash
//! may come between sends and position, so that the next owner sends again what the last one had sent.

mod conservation;

use crate::account::AccountService;
use crate::matching_engine::MatchingService;
use crate::runner::tenure::Tenure;
use crate::runner::{Machine, Service};
use crate::wallet::WalletService;
use book::Fast;
use log::Delivered;
use std::collections::BTreeMap;
use wire::{Body, Stamp, Topic};

/// Partitions of every topic.
pub const PARTITIONS: u32 = 2;

const TICK_MS: u64 = 1_000;

/// Queues by topic and partition. Offsets skip, as a log's do.
#[derive(Default)]
pub struct Queues(BTreeMap<(Topic, u32), Vec<Delivered>>);

impl Queues {
    /// Every record of a partition.
    pub fn of(&self, topic: Topic, partition: u32) -> &[Delivered] {
        self.0.get(&(topic, partition)).map_or(&[], Vec::as_slice)
    }

    /// Appends the value of a record.
    pub fn append(&mut self, topic: Topic, partition: u32, value: bytes::Bytes) {
        let queue = self.0.entry((topic, partition)).or_default();
        let offset = 2 * queue.len() as i64 + 1;
        queue.push(Delivered { offset, timestamp_ms: 0, key: None, value: Some(value) });
    }

    /// Appends an edge's record.
    pub fn send(&mut self, topic: Topic, partition: u32, log_time_ms: u64, body: &Body) {
        let stamp = Stamp { cause: -1, log_time_ms, ..Stamp::default() };
        self.append(topic, partition, wire::frame::encode(&stamp, body));
    }
}

/// One partition's owner.
pub struct Owner<S: Service> {
    service: S,
    input: (Topic, u32),
    tenure: Tenure<S>,
    /// Applied.
    next: usize,
    /// Where the next owner goes on.
    committed: usize,
    epoch: u32,
}

impl<S: Service> Owner<S> {
    fn new(service: S, topic: Topic, partition: u32) -> Self {
        let tenure = Self::blank(&service, (topic, partition));
        Owner { service, input: (topic, partition), tenure, next: 0, committed: 0, epoch: 0 }
    }

    fn blank(service: &S, (topic, partition): (Topic, u32)) -> Tenure<S> {
        let partitions = Topic::ALL.into_iter().map(|topic| (topic, PARTITIONS)).collect();
        Tenure::new(service, topic, partition, partitions, TICK_MS)
    }

    /// The machine, to look at.
    pub fn machine(&self) -> &S::Machine {
        self.tenure.machine()
    }

    fn step(&mut self, queues: &mut Queues, most: usize) -> bool {
        let records = queues.of(self.input.0, self.input.1);
        let batch = records[self.next..records.len().min(self.next + most)].to_vec();
        self.next += batch.len();
        for output in self.tenure.apply(&batch).expect("queues have no holes") {
            queues.append(output.topic, output.partition, output.record.value.expect("machines write no tombstones"));
        }
        !batch.is_empty()
    }

    /// The owner is gone; another restores from the input below the committed position and claims the next epoch.
    fn crash(&mut self, queues: &mut Queues) {
        self.tenure = Self::blank(&self.service, self.input);
        self.next = self.committed;
        let Some(journal) = self.service.journal() else { return };
        let _were_sent_before = self.tenure.apply(&queues.of(self.input.0, self.input.1)[..self.committed]).expect("queues have no holes");
        self.claim(queues, journal);
    }

    fn claim(&mut self, queues: &mut Queues, journal: Topic) {
        self.epoch += 1;
        self.tenure.begin_epoch(self.epoch);
        let claim = self.tenure.claim(&self.service.owned(self.epoch, 0), self.committed as i64);
        queues.append(journal, self.input.1, claim.value.expect("a claim is no tombstone"));
    }

    /// Replay equals live: a new machine that reads the input one record at a time comes to the same state; `look` sees it after each.
    fn replay(&self, queues: &Queues, mut look: impl FnMut(&S::Machine)) {
        let mut tenure = Self::blank(&self.service, self.input);
        for record in &queues.of(self.input.0, self.input.1)[..self.next] {
            tenure.apply(std::slice::from_ref(record)).expect("queues have no holes");
            look(tenure.machine());
        }
        assert_eq!(tenure.machine().state_hash(), self.machine().state_hash(), "{} {:?}: replay differs from live", self.service.name(), self.input);
    }
}

/// The exchange.
pub struct Wired {
    pub queues: Queues,
    pub accounts: Vec<Owner<AccountService>>,
    pub engines: Vec<Owner<MatchingService<Fast>>>,
    pub wallets: Vec<Owner<WalletService>>,
}

impl Wired {
    /// Owners of every partition.
    pub fn new(orders_max: usize) -> Self {
        let partitions = || 0..PARTITIONS;
        let engine = MatchingService::fast(orders_max, orders_max);
        let wallets = [Topic::TradeExecuted, Topic::OrderEvents]
            .into_iter()
            .flat_map(|topic| partitions().map(move |partition| Owner::new(WalletService, topic, partition)));
        let mut wired = Wired {
            queues: Queues::default(),
            accounts: partitions().map(|partition| Owner::new(AccountService, Topic::AccountCommands, partition)).collect(),
            engines: partitions().map(|partition| Owner::new(engine.clone(), Topic::OrderCommands, partition)).collect(),
            wallets: wallets.collect(),
        };
        for at in 0..wired.owners() {
            wired.crash(at);
        }
        wired
    }

    /// How many there are.
    pub fn owners(&self) -> usize {
        self.accounts.len() + self.engines.len() + self.wallets.len()
    }

    /// Lets an owner apply at most so many records; says whether there were any.
    pub fn step(&mut self, at: usize, most: usize) -> bool {
        let (accounts, engines) = (self.accounts.len(), self.engines.len());
        match at {
            _ if at < accounts => self.accounts[at].step(&mut self.queues, most),
            _ if at < accounts + engines => self.engines[at - accounts].step(&mut self.queues, most),
            _ => self.wallets[at - accounts - engines].step(&mut self.queues, most),
        }
    }

    /// Ends an owner; what it did since it last committed is done again.
    pub fn crash(&mut self, at: usize) {
        let (accounts, engines) = (self.accounts.len(), self.engines.len());
        match at {
            _ if at < accounts => self.accounts[at].crash(&mut self.queues),
            _ if at < accounts + engines => self.engines[at - accounts].crash(&mut self.queues),
            _ => self.wallets[at - accounts - engines].crash(&mut self.queues),
        }
    }

    /// Commits an owner's position.
    pub fn commit(&mut self, at: usize) {
        let (accounts, engines) = (self.accounts.len(), self.engines.len());
        match at {
            _ if at < accounts => self.accounts[at].committed = self.accounts[at].next,
            _ if at < accounts + engines => self.engines[at - accounts].committed = self.engines[at - accounts].next,
            _ => self.wallets[at - accounts - engines].committed = self.wallets[at - accounts - engines].next,
        }
    }

    /// Until nobody has anything to do.
    pub fn drain(&mut self) {
        while (0..self.owners()).map(|at| self.step(at, usize::MAX >> 1)).fold(false, |any, did| any | did) {}
    }

    /// Every machine comes to the same state from its input; holds are exact after every single record.
    pub fn assert_replay(&self) {
        for owner in &self.accounts {
            owner.replay(&self.queues, |machine| machine.assert_holds_are_exact());
        }
        for owner in &self.engines {
            owner.replay(&self.queues, |_| {});
        }
    }
}
