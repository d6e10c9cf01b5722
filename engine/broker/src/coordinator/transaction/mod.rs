//! The transaction coordinator (A38–A43, A45, A48). Version 1 and version 2 (KIP-890) side by side, as each client's requests have it: version 2 adds a
//! partition when its leader asks, and raises the epoch at every end.
//!
//! What is known of a transactional id is one value, [`Facts`]. A transition is a record with the next facts; until it is below the high watermark nobody
//! is told, and every other request for the id is `ConcurrentTransactions`. Markers are sent once Prepare is durable, after the client has its answer, and
//! again for ever until every partition has one, by whichever coordinator then leads.
//!
//! | state | next |
//! |---|---|
//! | Empty | Empty (a new epoch), Ongoing |
//! | Ongoing | Ongoing (more partitions), PrepareCommit, PrepareAbort (asked for; or with the epoch raised, because of a newer instance or the timeout) |
//! | PrepareCommit, PrepareAbort | CompleteCommit, CompleteAbort, when every marker is written |
//! | CompleteCommit, CompleteAbort | Empty (a new epoch), Ongoing |
//!
//! Kafka's PrepareEpochFence is no stored state there either: it is the transition from Ongoing to PrepareAbort with the raised epoch, here on its way to
//! the log. Kafka's Dead is an id whose tombstone is written (A48).
//!
//! | file | concern |
//! |---|---|
//! | `state` | facts of an id and the checks on who asks |
//! | `init` | InitProducerId |
//! | `partitions` | AddPartitionsToTxn, its verification, AddOffsetsToTxn |
//! | `end` | EndTxn, and the end by fence or timeout |
//! | `marker` | markers, until every partition has its own |
//! | `timeout` | transactions and ids that ended with time |
//! | `record` | what is stored, and how |

mod end;
mod init;
mod marker;
mod partitions;
pub mod record;
mod state;
mod timeout;

use super::alarm::Alarm;
use super::{Coordinator, CoordinatorConfig, Effect, ReplyTo, View};
use crate::batch::{Batch, Producer};
use crate::io::Now;
use crate::note::Note;
use crate::protocol::{ErrorCode, Request, Response, Tp};
use marker::Asked;
use record::Facts;
use state::Transaction;
use std::collections::BTreeMap;

/// Coordinates the transactional ids of one partition of `__transaction_state`.
pub struct TransactionCoordinator {
    transactions: BTreeMap<String, Transaction>,
    desk: Desk,
}

/// What all transactions of a coordinator share.
struct Desk {
    tp: Tp,
    leader_epoch: u32,
    config: CoordinatorConfig,
    alarm: Alarm,
    /// Appends under way: the id, and who waits for it.
    waiting: BTreeMap<u64, Waiting>,
    /// Markers under way.
    asked: BTreeMap<u64, Asked>,
    tokens: u64,
}

/// A transition on its way to the log.
struct Waiting {
    transactional_id: String,
    /// Who is told when it is durable, and what.
    answer: Option<(ReplyTo, Response)>,
}

/// One call into the coordinator.
struct Step<'a> {
    now: Now,
    desk: &'a mut Desk,
    view: &'a mut dyn View,
    out: &'a mut Vec<Effect>,
}

impl Step<'_> {
    fn config(&self) -> &CoordinatorConfig {
        &self.desk.config
    }

    fn reply(&mut self, to: ReplyTo, response: Response) {
        self.out.push(Effect::Reply { to, response });
    }

    fn refuse(&mut self, to: ReplyTo, error: ErrorCode) {
        self.reply(to, Response::Error(error));
    }

    fn note(&mut self, note: Note) {
        self.out.push(Effect::Note(note));
    }

    /// A deadline: the coordinator looks at all of them at `at_ms` or before.
    fn wake_by(&mut self, at_ms: u64) {
        self.desk.alarm.set_by(at_ms, self.out);
    }

    fn after(&self, pause_ms: u64) -> u64 {
        self.now.monotonic_ms + pause_ms
    }

    fn token(&mut self) -> u64 {
        self.desk.tokens += 1;
        self.desk.tokens
    }

    /// Sends the next facts of an id to the log; `None`: its tombstone.
    fn append(&mut self, transactional_id: &str, facts: Option<&Facts>, answer: Option<(ReplyTo, Response)>) {
        let token = self.token();
        let timestamp_ms = i64::try_from(self.now.wall_ms).expect("the year is below 292 million");
        let records = vec![record::record(timestamp_ms, transactional_id, facts)];
        self.desk.waiting.insert(token, Waiting { transactional_id: transactional_id.to_owned(), answer });
        self.out.push(Effect::Append { token, records, producer: Producer::NONE, transactional_id: None });
    }
}

impl TransactionCoordinator {
    /// The coordinator that the leader of `tp` runs in `leader_epoch`.
    pub fn new(tp: Tp, leader_epoch: u32, config: CoordinatorConfig) -> Self {
        let desk = Desk { tp, leader_epoch, config, alarm: Alarm::default(), waiting: BTreeMap::new(), asked: BTreeMap::new(), tokens: 0 };
        TransactionCoordinator { transactions: BTreeMap::new(), desk }
    }
}

impl Coordinator for TransactionCoordinator {
    fn load(&mut self, batch: &Batch) {
        assert!(batch.header().control.is_none(), "nobody ends a transaction in the partition that tells of transactions");
        for record in batch.records().expect("a batch below the high watermark is whole") {
            let (transactional_id, facts) = record::decode(record);
            match facts {
                Some(facts) => self.transactions.insert(transactional_id, Transaction::new(facts)),
                None => self.transactions.remove(&transactional_id),
            };
        }
    }

    fn start(&mut self, now: Now, view: &mut dyn View, out: &mut Vec<Effect>) {
        let Desk { tp, leader_epoch, .. } = self.desk;
        out.push(Effect::Note(Note::CoordinatorLoaded { tp, leader_epoch }));
        let mut step = Step { now, desk: &mut self.desk, view, out };
        for (id, transaction) in &mut self.transactions {
            transaction.resume(&mut step, id);
        }
    }

    fn handle(&mut self, now: Now, to: ReplyTo, request: Request, view: &mut dyn View, out: &mut Vec<Effect>) {
        let mut step = Step { now, desk: &mut self.desk, view, out };
        let (request, raises) = match request {
            Request::Tv2(request) => (*request, true),
            request => (request, false),
        };
        let transactional_id = match &request {
            Request::InitProducerId { transactional_id: Some(id), .. } => id.clone(),
            Request::AddPartitionsToTxn { transactional_id, .. }
            | Request::AddOffsetsToTxn { transactional_id, .. }
            | Request::EndTxn { transactional_id, .. } => transactional_id.clone(),
            _ => return step.refuse(to, ErrorCode::UnsupportedVersion),
        };
        if let Request::InitProducerId { transaction_timeout_ms, .. } = request {
            return init::init_producer_id(&mut self.transactions, &mut step, to, transactional_id, transaction_timeout_ms);
        }
        let Some(transaction) = self.transactions.get_mut(&transactional_id) else {
            return step.refuse(to, ErrorCode::InvalidProducerIdMapping);
        };
        let id = transactional_id.as_str();
        match request {
            Request::AddPartitionsToTxn { producer_id, producer_epoch, partitions, verify_only: true, .. } => {
                transaction.verify_partitions(&mut step, to, id, (producer_id, producer_epoch), partitions);
            }
            Request::AddPartitionsToTxn { producer_id, producer_epoch, partitions, verify_only: false, .. } => {
                transaction.add_partitions(&mut step, to, id, (producer_id, producer_epoch), partitions);
            }
            Request::AddOffsetsToTxn { producer_id, producer_epoch, group, .. } => {
                transaction.add_offsets(&mut step, to, id, (producer_id, producer_epoch), &group);
            }
            Request::EndTxn { producer_id, producer_epoch, commit, .. } if raises => {
                transaction.end_and_raise(&mut step, to, id, (producer_id, producer_epoch), commit);
            }
            Request::EndTxn { producer_id, producer_epoch, commit, .. } => transaction.end(&mut step, to, id, (producer_id, producer_epoch), commit),
            other => unreachable!("{other:?} was refused above"),
        }
    }

    fn appended(&mut self, now: Now, token: u64, result: Result<i64, ErrorCode>, view: &mut dyn View, out: &mut Vec<Effect>) {
        let Waiting { transactional_id: id, answer } = self.desk.waiting.remove(&token).expect("an append is answered once");
        let mut step = Step { now, desk: &mut self.desk, view, out };
        let transaction = self.transactions.get_mut(&id).expect("an id with a transition on its way is kept");
        match result {
            Ok(_) => transaction.moved(&mut step, &id, answer),
            Err(error) => transaction.stayed(&mut step, answer, super::refusal(error)),
        }
        if transaction.is_dead() {
            self.transactions.remove(&id);
        }
    }

    fn marker(&mut self, _now: Now, _batch: &Batch, _out: &mut Vec<Effect>) {
        unreachable!("nobody ends a transaction in the partition that tells of transactions");
    }

    fn answered(&mut self, now: Now, token: u64, response: Option<Response>, view: &mut dyn View, out: &mut Vec<Effect>) {
        // Given up meanwhile, because the leader moved: another answer counts.
        let Some(asked) = self.desk.asked.remove(&token) else { return };
        let mut step = Step { now, desk: &mut self.desk, view, out };
        let transaction = self.transactions.get_mut(&asked.transactional_id).expect("an id with markers under way is kept");
        transaction.marked(&mut step, asked, response);
    }

    fn tick(&mut self, now: Now, view: &mut dyn View, out: &mut Vec<Effect>) {
        if !self.desk.alarm.rings(now.monotonic_ms) {
            return;
        }
        let mut step = Step { now, desk: &mut self.desk, view, out };
        for (id, transaction) in &mut self.transactions {
            transaction.expire(&mut step, id);
        }
    }

    fn resign(&mut self, out: &mut Vec<Effect>) {
        let unanswered = std::mem::take(&mut self.desk.waiting).into_values().filter_map(|waiting| waiting.answer);
        out.extend(unanswered.map(|(to, _)| Effect::Reply { to, response: Response::Error(ErrorCode::NotCoordinator) }));
        self.transactions.clear();
    }
}
