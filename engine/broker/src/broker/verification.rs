//! The first write of a transaction in a partition is verified with the transaction's coordinator (A43, KIP-890 part 1): a late write after the
//! transaction's end would otherwise open a transaction that nobody ends.

use super::appends::Part;
use super::produce::Acks;
use super::{Broker, Purpose, Timer, Version};
use crate::batch::Batch;
use crate::protocol::{ErrorCode, ProducerEpoch, ProducerId, Request, Response, TRANSACTION_STATE, Tp};
use crate::replica::leader::{Again, Verification};
use crate::replica::producers::Verdict;

/// Pause before a coordinator that is still ending the transaction before is asked again to add a partition
/// (`add.partitions.to.txn.retry.backoff.ms`).
const ADD_RETRY_MS: u64 = 20;
/// Longest time of such questions; then the client is told to come again (`add.partitions.to.txn.retry.backoff.max.ms`).
const ADD_RETRY_MS_MAX: u64 = 100;

/// A write that waits for the verdict.
#[derive(Debug)]
pub(crate) enum Parked {
    /// Part of a produce request: (append, index).
    Produce(u64, u32),
    /// Of the coordinator of this partition.
    Coordinator { token: u64, batch: Batch },
}

impl Broker {
    /// Whether a transactional batch would open a transaction here that was not verified. What is refused or repeated anyhow need not be.
    pub(super) fn must_verify(&self, tp: Tp, batch: &Batch) -> Result<bool, ErrorCode> {
        let header = batch.header();
        let replica = &self.replicas[&tp];
        if let Some(verification) = replica.leader().and_then(|leader| leader.verifying.get(&header.producer_id)) {
            return match header.producer_epoch.cmp(&verification.producer_epoch) {
                std::cmp::Ordering::Less => Err(ErrorCode::InvalidProducerEpoch),
                _ => Ok(true),
            };
        }
        if replica.producers.is_open(header.producer_id, header.producer_epoch) {
            return Ok(false);
        }
        Ok(replica.producers.check(header) == Ok(Verdict::Append))
    }

    /// Parks a write and asks the coordinator, unless the question is out: whether the partition is in the transaction, or (version 2) to add it. An
    /// error: nothing was parked.
    pub(super) fn verify(
        &mut self,
        tp: Tp,
        producer: (ProducerId, ProducerEpoch),
        transactional_id: &str,
        version: Version,
        parked: Parked,
    ) -> Result<(), ErrorCode> {
        let (producer_id, producer_epoch) = producer;
        let leader = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut()).expect("this broker leads");
        if let Some(verification) = leader.verifying.get_mut(&producer_id)
            && verification.producer_epoch == producer_epoch
        {
            verification.parked.push(parked);
            return Ok(());
        }
        let node = self.coordinator(TRANSACTION_STATE, transactional_id).ok_or(ErrorCode::NotEnoughReplicas)?;
        self.cancel_verification(tp, producer_id, ErrorCode::InvalidProducerEpoch);
        self.next_guard += 1;
        let guard = self.next_guard;
        let until_ms = self.now_ms() + ADD_RETRY_MS_MAX;
        let again = (version == Version::Two).then(|| Again { transactional_id: transactional_id.to_owned(), until_ms, overtaken: false });
        let leader = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut()).expect("this broker leads");
        leader.verifying.insert(producer_id, Verification { producer_epoch, guard, parked: vec![parked], again });
        let verify_only = version == Version::One;
        let request =
            Request::AddPartitionsToTxn { transactional_id: transactional_id.to_owned(), producer_id, producer_epoch, partitions: vec![tp], verify_only };
        self.ask(node, 0, request, Purpose::Verify { tp, producer_id, guard });
        Ok(())
    }

    /// The time for the same question has come again.
    pub(super) fn verify_again(&mut self, tp: Tp, producer_id: ProducerId, guard: u64) {
        let leader = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut());
        let asked = leader.and_then(|leader| leader.verifying.get_mut(&producer_id)).filter(|verification| verification.guard == guard);
        let Some(Verification { producer_epoch, again: Some(again), .. }) = asked else { return };
        again.overtaken = false;
        let (producer_epoch, transactional_id) = (*producer_epoch, again.transactional_id.clone());
        let Some(node) = self.coordinator(TRANSACTION_STATE, &transactional_id) else {
            return self.cancel_verification(tp, producer_id, ErrorCode::NotEnoughReplicas);
        };
        let request = Request::AddPartitionsToTxn { transactional_id, producer_id, producer_epoch, partitions: vec![tp], verify_only: false };
        self.ask(node, 0, request, Purpose::Verify { tp, producer_id, guard });
    }

    /// A marker ended the producer's transaction here: an answer that is still under way must open nothing (ABA). Who asks again asks for what comes after
    /// it: the producer of a transaction that is being ended may begin the next before the markers are written (KIP-890), and Kafka looks for each question
    /// anew whether a transaction is open.
    ///
    /// Seed 10, scenario `steady_flow`, with transactions of version 2, where every third takeover failed:
    /// 1. account-1's commit is prepared and answered; its markers are on their way;
    /// 2. account-1 sends the next claim; the leader asks to add the partition, and is told that the last transaction is still being ended;
    /// 3. the leader waits to ask again; the marker comes, and ends the wait: the claim is refused as if it had come too late.
    pub(super) fn marker_overtakes_verification(&mut self, tp: Tp, producer_id: ProducerId) {
        let leader = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut()).expect("this broker leads");
        match leader.verifying.get_mut(&producer_id).and_then(|verification| verification.again.as_mut()) {
            Some(again) => again.overtaken = true,
            None => self.cancel_verification(tp, producer_id, ErrorCode::InvalidTxnState),
        }
    }

    /// A newer producer came, or nobody can be asked: an answer that is still under way must open nothing.
    pub(super) fn cancel_verification(&mut self, tp: Tp, producer_id: ProducerId, error: ErrorCode) {
        let leader = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut()).expect("this broker leads");
        if let Some(verification) = leader.verifying.remove(&producer_id) {
            verification.parked.into_iter().for_each(|parked| self.refuse_parked(tp, parked, error));
        }
    }

    pub(super) fn verified(&mut self, tp: Tp, producer_id: ProducerId, guard: u64, response: Option<Response>) {
        let now_ms = self.now_ms();
        let Some(leader) = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut()) else { return };
        let Some(verification) = leader.verifying.get(&producer_id).filter(|verification| verification.guard == guard) else { return };
        let may_ask_again = verification.again.as_ref().is_some_and(|again| now_ms + ADD_RETRY_MS <= again.until_ms);
        if may_ask_again && answer(tp, response.as_ref()) == Err(ErrorCode::ConcurrentTransactions) {
            return self.io.set_timer_in(ADD_RETRY_MS, Timer::VerifyAgain(tp, producer_id, guard));
        }
        let verification = leader.verifying.remove(&producer_id).expect("just seen");
        let verdict = match verification.again {
            Some(Again { overtaken: true, .. }) => verdict(tp, response.as_ref()).and(Err(ErrorCode::InvalidTxnState)),
            _ => verdict(tp, response.as_ref()),
        };
        for parked in verification.parked {
            match verdict {
                Ok(()) => self.append_parked(tp, parked),
                Err(error) => self.refuse_parked(tp, parked, error),
            }
        }
    }

    fn append_parked(&mut self, tp: Tp, parked: Parked) {
        match parked {
            Parked::Produce(id, part) => {
                // Gone if the request's time ended.
                let Some(batch) = self.appends.take_verifying(id, part) else { return };
                let appended = self.may_append(tp, Acks::All).and_then(|()| self.append_checked((id, part), tp, batch, Acks::All));
                match appended {
                    Ok(Part::Appended { base }) => self.appends.set_appended(id, part, base),
                    Ok(Part::Done(Ok(base))) => {
                        self.appends.set_appended(id, part, base);
                        self.finish_part(id, part, None);
                    }
                    Ok(Part::Done(Err(error))) | Err(error) => self.finish_part(id, part, Some(error)),
                    Ok(Part::Verifying(_)) => unreachable!("it was verified"),
                }
            }
            Parked::Coordinator { token, batch } => self.append_of_coordinator(tp, token, batch),
        }
    }

    pub(super) fn refuse_parked(&mut self, tp: Tp, parked: Parked, error: ErrorCode) {
        match parked {
            Parked::Produce(id, part) => self.finish_part(id, part, Some(error)),
            Parked::Coordinator { token, .. } => self.coordinator_append_refused(tp, token, error),
        }
    }
}

fn answer(tp: Tp, response: Option<&Response>) -> Result<(), ErrorCode> {
    match response {
        Some(Response::AddPartitionsToTxn { partitions }) => partitions.iter().find(|(asked, _)| *asked == tp).map_or(Ok(()), |(_, result)| *result),
        Some(Response::Error(error)) => Err(*error),
        _ => Err(ErrorCode::NotCoordinator),
    }
}

/// What the coordinator's answer means to the writer. Where another try may succeed it is `NotEnoughReplicas`, which every producer retries and which
/// says that nothing was written (as Kafka maps it).
fn verdict(tp: Tp, response: Option<&Response>) -> Result<(), ErrorCode> {
    answer(tp, response).map_err(|error| match error {
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress | ErrorCode::ConcurrentTransactions => {
            ErrorCode::NotEnoughReplicas
        }
        other => other,
    })
}
