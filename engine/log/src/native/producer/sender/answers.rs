//! What answers say, and what follows: an acknowledgement, another attempt, the end of a partition, of the transaction, of the producer.

use super::Sender;
use crate::history::{Event, Phase};
use crate::link::Broken;
use crate::native::producer::lane::Decided;
use crate::native::producer::transaction::Failed;
use crate::native::verdict::{self, Class};
use crate::port::{Outcome, Reason};
use broker::protocol::{ErrorCode, Response, Tp};
use runtime::time;
use std::sync::atomic::Ordering;

impl Sender {
    pub(super) fn answered(&mut self, call: u64, result: Result<Response, Broken>) {
        let call = self.calls.remove(&call).expect("a call is answered once");
        let partitions = match result {
            Ok(Response::Produce { partitions }) => partitions,
            Ok(Response::Error(code)) => call.batches.iter().map(|(tp, _)| (*tp, Err(code))).collect(),
            Ok(_) => call.batches.iter().map(|(tp, _)| (*tp, Err(ErrorCode::UnknownServerError))).collect(),
            Err(broken) => {
                for (tp, number) in call.batches {
                    self.came_back(tp, number, None, broken == Broken::Unanswered);
                }
                return self.refresh();
            }
        };
        for (tp, number) in call.batches {
            match partitions.iter().find(|(answered, _)| *answered == tp) {
                Some((_, Ok(base_offset))) => {
                    let decided = self.lanes.get_mut(&tp).map(|lane| lane.acknowledged(number, *base_offset));
                    self.decide(tp, decided.unwrap_or_default());
                }
                Some((_, Err(code))) => self.refused(tp, number, *code),
                None => self.refused(tp, number, ErrorCode::UnknownServerError),
            }
        }
    }

    fn came_back(&mut self, tp: Tp, number: u64, code: Option<ErrorCode>, reached: bool) {
        let not_before_ms = time::monotonic_ms() + self.shared.config.retry_backoff_ms;
        if let Some(lane) = self.lanes.get_mut(&tp) {
            lane.came_back(number, code, reached, not_before_ms);
        }
        if code.is_some_and(verdict::is_leader_gone) {
            self.refresh();
        }
    }

    fn refused(&mut self, tp: Tp, number: u64, code: ErrorCode) {
        let Some(lane) = self.lanes.get_mut(&tp) else { return };
        let class = match verdict::of_produce(code) {
            Class::Fatal if code == ErrorCode::OutOfOrderSequenceNumber && !lane.is_oldest(number) => Class::Retry,
            Class::Retry if code == ErrorCode::CorruptMessage && lane.is_corrupt_again(number) => Class::Fatal,
            class => class,
        };
        if class == Class::Retry {
            return self.came_back(tp, number, Some(code), true);
        }
        let decided = lane.fail(number, code);
        if decided.is_empty() {
            return;
        }
        self.decide(tp, decided);
        match (class, self.transaction.is_some()) {
            (Class::Fenced, true) => self.fail_transaction(Failed::Fenced(Reason::Answered(code))),
            (_, true) => self.fail_transaction(Failed::Abortable(Reason::Answered(code))),
            (Class::Fenced | Class::Fatal, false) => self.end(&format!("{code:?}")),
            (_, false) => {}
        }
    }

    /// This producer cannot go on; everything of every partition is decided.
    fn end(&mut self, why: &str) {
        self.ended = Some(why.to_owned());
        self.give_up_all();
    }

    pub(super) fn fail_transaction(&mut self, failed: Failed) {
        let Some(transaction) = &mut self.transaction else { return };
        transaction.fail(failed);
        self.give_up_all();
    }

    fn give_up_all(&mut self) {
        for tp in self.lanes.keys().copied().collect::<Vec<_>>() {
            let decided = self.lanes.get_mut(&tp).expect("listed").give_up(Reason::Behind);
            self.decide(tp, decided);
        }
    }

    pub(super) fn decide(&self, tp: Tp, decided: Vec<Decided>) {
        for (ticket, outcome) in decided {
            self.buffered.fetch_sub(ticket.bytes, Ordering::Relaxed);
            let (phase, offset) = match &outcome {
                Outcome::Done(acked) => (Phase::Ok, acked.offset),
                Outcome::NotDone(_) => (Phase::Fail, None),
                Outcome::Unknown(_) => (Phase::Unknown, None),
            };
            let transactional = self.transaction.is_some();
            self.shared.observer.observe_with(|| Event::Send { op: ticket.op, tp, phase, crc: ticket.crc, offset, transactional });
            ticket.verdict.give(outcome);
        }
    }
}
