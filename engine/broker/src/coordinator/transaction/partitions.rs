//! AddPartitionsToTxn and AddOffsetsToTxn: what a transaction touches, durable before its first write; and the question of a partition's leader whether
//! it may take that write (A43, KIP-890 part 1).

use super::Step;
use super::record::{Facts, State};
use super::state::{Pending, Transaction};
use crate::coordinator::ReplyTo;
use crate::protocol::{CONSUMER_OFFSETS, ErrorCode, ProducerEpoch, ProducerId, Response, Tp};

impl Transaction {
    /// An AddPartitionsToTxn; all partitions or none.
    pub(super) fn add_partitions(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, producer: (ProducerId, ProducerEpoch), partitions: Vec<Tp>) {
        if partitions.iter().any(|&tp| !step.view.exists(tp)) {
            let refuse = |tp: Tp, exists: bool| (tp, Err(if exists { ErrorCode::CoordinatorNotAvailable } else { ErrorCode::UnknownTopicOrPartition }));
            let partitions = partitions.into_iter().map(|tp| refuse(tp, step.view.exists(tp))).collect();
            return step.reply(to, Response::AddPartitionsToTxn { partitions });
        }
        let added = Response::AddPartitionsToTxn { partitions: partitions.iter().map(|&tp| (tp, Ok(()))).collect() };
        self.add(step, to, id, producer, &partitions, added);
    }

    /// An AddOffsetsToTxn: the partition of the group's coordinator joins the transaction.
    pub(super) fn add_offsets(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, producer: (ProducerId, ProducerEpoch), group: &str) {
        match step.view.coordinator_partition(CONSUMER_OFFSETS, group) {
            Some(tp) => self.add(step, to, id, producer, &[tp], Response::AddOffsetsToTxn),
            None => step.refuse(to, ErrorCode::CoordinatorNotAvailable),
        }
    }

    fn add(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, producer: (ProducerId, ProducerEpoch), partitions: &[Tp], added: Response) {
        let facts = match self.check(step, id, producer) {
            Ok(facts) => facts,
            Err(error) => return step.refuse(to, error),
        };
        match facts.state {
            State::PrepareCommit | State::PrepareAbort => step.refuse(to, ErrorCode::ConcurrentTransactions),
            State::Ongoing if partitions.iter().all(|tp| facts.partitions.contains(tp)) => step.reply(to, added),
            State::Empty | State::CompleteCommit | State::CompleteAbort if partitions.is_empty() => step.reply(to, added),
            State::Empty | State::Ongoing | State::CompleteCommit | State::CompleteAbort => {
                let started_ms = if facts.state == State::Ongoing { facts.started_ms } else { step.now.wall_ms };
                let mut next = Facts { state: State::Ongoing, started_ms, timed_out: false, ..facts.clone() };
                next.partitions.extend(partitions);
                self.go(step, id, next, Some((to, added)));
            }
        }
    }

    /// An AddPartitionsToTxn with `verify_only`, from the leader of a partition that is about to take the transaction's first write there.
    pub(super) fn verify_partitions(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, producer: (ProducerId, ProducerEpoch), partitions: Vec<Tp>) {
        let facts = match self.check_producer(step, id, producer) {
            Ok(facts) => facts,
            Err(error) => return step.refuse(to, error),
        };
        let ends = matches!(&self.pending, Some(Pending::Next(next)) if next.state != State::Ongoing);
        if ends || matches!(facts.state, State::PrepareCommit | State::PrepareAbort) {
            return step.refuse(to, ErrorCode::ConcurrentTransactions);
        }
        let verify = |tp: Tp| (tp, if facts.partitions.contains(&tp) { Ok(()) } else { Err(ErrorCode::InvalidTxnState) });
        step.reply(to, Response::AddPartitionsToTxn { partitions: partitions.into_iter().map(verify).collect() });
    }
}
