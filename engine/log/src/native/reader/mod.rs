//! Reading: one pull stream of events, fed by a task that fetches ahead.

mod desk;
mod fetcher;
mod visible;

use super::alarm::Alarm;
use super::group::{Membership, commit};
use super::{Native, Shared};
use crate::history::Event;
use crate::port::{ConsumerEvent, GroupProof, Outcome, Position, Reader, Reason, Subscription};
use broker::protocol::{Isolation, Tp};
pub(super) use desk::Desk;
use desk::{Held, Item, Taken};
use fetcher::Fetcher;
use runtime::time;
use std::sync::Arc;

/// A reader. Dropped, it leaves no word: its group puts it out after the session timeout.
pub struct NativeReader {
    shared: Arc<Shared>,
    /// Unique per node and life, for the history.
    number: u64,
    isolation: Isolation,
    desk: Arc<Desk>,
    alarm: Alarm,
    /// `None`: it reads what it was told to, in no group.
    membership: Option<Membership>,
}

impl Native {
    pub(super) fn open_reader(&self, subscription: Subscription, isolation: Isolation) -> NativeReader {
        let shared = self.shared.clone();
        let desk = Arc::new(Desk::default());
        let membership = match subscription {
            Subscription::Assigned(positions) => {
                desk.state().held.extend(positions.into_iter().map(|(tp, position)| (tp, Held::at(Some(position)))));
                None
            }
            Subscription::Group { group, topics, instance_id } => Some(Membership::open(shared.clone(), desk.clone(), group, topics, instance_id)),
        };
        runtime::task::spawn(Fetcher::new(shared.clone(), desk.clone(), isolation).run());
        NativeReader { number: shared.number(), shared, isolation, desk, alarm: Alarm::default(), membership }
    }
}

impl NativeReader {
    fn event(&self, taken: Taken) -> ConsumerEvent {
        let (tp, item, restarted) = match taken {
            Taken::Event(event) => return event,
            Taken::Item { tp, item, restarted } => (tp, item, restarted),
        };
        match item {
            Item::Records(batch) => {
                self.shared.observer.observe_with(|| Event::Delivered {
                    reader: self.number,
                    group: self.membership.as_ref().map(|membership| membership.group().to_owned()),
                    tp,
                    isolation: self.isolation,
                    restarted,
                    records: batch.records.iter().map(|record| (record.offset, record.value.as_ref().map_or(0, |value| crc32c::crc32c(value)))).collect(),
                });
                ConsumerEvent::Records { tp, batch }
            }
            Item::Progress(position) => ConsumerEvent::Progress { tp, position },
            Item::OutOfRange { wanted, log_start, end } => ConsumerEvent::OutOfRange { tp, wanted, log_start, end },
            Item::Truncated { diverged_at } => ConsumerEvent::Truncated { tp, diverged_at },
        }
    }
}

impl Drop for NativeReader {
    fn drop(&mut self) {
        self.desk.close();
    }
}

impl Reader for NativeReader {
    async fn next(&mut self, until_ms: u64) -> ConsumerEvent {
        let _polling = self.membership.as_ref().map(|membership| membership.poll(until_ms));
        loop {
            if let Some(taken) = self.desk.take() {
                return self.event(taken);
            }
            if time::monotonic_ms() >= until_ms {
                return ConsumerEvent::Nothing;
            }
            runtime::select! {
                () = self.desk.arrived.notified() => {}
                () = self.alarm.ring(Some(until_ms)) => {}
            }
        }
    }

    fn pause(&mut self, tp: Tp) {
        self.desk.set_paused(tp, true);
    }

    fn unpause(&mut self, tp: Tp) {
        self.desk.set_paused(tp, false);
    }

    fn seek(&mut self, tp: Tp, to: Position) {
        self.desk.seek(tp, to);
    }

    fn revoked(&mut self, tps: &[Tp]) {
        let (had, (member, generation)) = self.desk.give_up(tps);
        if let Some(membership) = &self.membership
            && !had.is_empty()
        {
            let group = membership.group().to_owned();
            self.shared.observer.observe_with(|| Event::Revoked { group, member, generation, tps: had, lost: false });
        }
    }

    async fn commit(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
        match &self.membership {
            Some(membership) => commit(&self.shared, &mut *membership.coordinator().lock().await, proof, at, deadline_ms).await,
            None => Outcome::NotDone(Reason::Ended("this reader is in no group".to_owned())),
        }
    }

    async fn leave(mut self) {
        if let Some(membership) = self.membership.take() {
            membership.leave().await;
        }
    }
}
