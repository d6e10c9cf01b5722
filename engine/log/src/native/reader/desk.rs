//! What lies between a reader's fetching task and the application: per partition a position, records that came, and whether more are wanted; and the
//! group's news. Everything of a partition given up is swept away at once, so that nothing of it is delivered (A53).

use crate::port::{Batch, ConsumerEvent, Lease, Next, Position, Reason};
use broker::protocol::Tp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// Something of a partition, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Records.
    Records(Batch),
    /// The position moved without one.
    Progress(Position),
    /// The position is outside the log; nothing more before a seek.
    OutOfRange { wanted: Position, log_start: Next, end: Next },
    /// What was read is gone; nothing more before a seek.
    Truncated { diverged_at: Position },
}

/// A partition held.
#[derive(Debug, Default)]
pub struct Held {
    /// Next to fetch; `None` before the first seek.
    pub position: Option<Position>,
    /// Rises with each seek: what was asked before it counts no more.
    pub seeks: u64,
    /// The application wants no more for now.
    pub paused: bool,
    /// Nothing is fetched before a seek.
    pub halted: bool,
    /// Nothing is fetched before.
    pub not_before_ms: u64,
    /// Answers in a row that could not be read.
    pub corrupt: u32,
    /// Nothing was delivered since the last seek.
    restarted: bool,
    items: VecDeque<Item>,
}

impl Held {
    /// From a position, or from the first seek on.
    pub fn at(position: Option<Position>) -> Held {
        Held { position, restarted: true, ..Held::default() }
    }

    /// Records that wait for the application.
    pub fn buffered_records(&self) -> usize {
        self.items.iter().map(|item| if let Item::Records(batch) = item { batch.records.len() } else { 0 }).sum()
    }

    /// Hands something to the application.
    pub fn push(&mut self, item: Item) {
        self.items.push_back(item);
    }
}

/// What `Desk::take` gives.
#[derive(Debug)]
pub enum Taken {
    /// News of the group.
    Event(ConsumerEvent),
    /// Something of a partition; `restarted`: the first since a seek.
    Item { tp: Tp, item: Item, restarted: bool },
}

/// The state.
#[derive(Debug, Default)]
pub struct State {
    /// By partition.
    pub held: BTreeMap<Tp, Held>,
    events: VecDeque<ConsumerEvent>,
    /// Whose turn it was: partitions are served in turn.
    last: Option<Tp>,
    /// The reader is gone.
    pub closed: bool,
    /// Partitions the group gave: the application has, or will hear that it has them.
    leased: BTreeSet<Tp>,
    /// Of those: what the application was asked to finish with, since it took that up.
    finishing: BTreeSet<Tp>,
    /// To which member, in which generation.
    member: (String, i32),
}

/// The desk.
#[derive(Debug, Default)]
pub struct Desk {
    state: Mutex<State>,
    /// Wakes the fetching task.
    pub wanted: Notify,
    /// Wakes the application.
    pub arrived: Notify,
    /// Wakes the member: the application gave partitions up.
    pub revoked: Notify,
}

impl Desk {
    /// The state, for a moment.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    /// Tells the application something that concerns no single partition.
    pub fn tell(&self, event: ConsumerEvent) {
        self.state().events.push_back(event);
        self.arrived.notify_one();
    }

    /// Hands partitions over, or renews the leases of some it has. They are held from the moment the application hears of it, and fetched from its seek on.
    pub fn give(&self, assigned: ConsumerEvent, tps: &[Tp], member: (String, i32)) {
        let mut state = self.state();
        state.leased.extend(tps);
        state.member = member;
        drop(state);
        self.tell(assigned);
    }

    /// Renews the leases of what the application has not given up meanwhile.
    pub fn renew(&self, leases: Vec<Lease>, member: (String, i32)) {
        let mut state = self.state();
        let leases: Vec<Lease> = leases.into_iter().filter(|lease| state.leased.contains(&lease.tp)).collect();
        state.member = member;
        state.events.push_back(ConsumerEvent::Assigned { leases, from: Vec::new() });
        drop(state);
        self.arrived.notify_one();
    }

    /// What the application has of the group's, or will hear that it has.
    pub fn leased(&self) -> BTreeSet<Tp> {
        self.state().leased.clone()
    }

    /// Asks the application to finish with these; nothing more of them is delivered.
    pub fn revoke(&self, tps: Vec<Tp>, deadline_ms: u64) {
        self.state().held.retain(|tp, _| !tps.contains(tp));
        self.tell(ConsumerEvent::Revoking { tps, deadline_ms });
    }

    /// The application is done with these: which of them it had, and as whom. What it was given anew meanwhile is not what it is done with.
    ///
    /// Seed 1169, scenario `reassignment`:
    /// 1. account-1 finishes with partition 0, which a rebalance asked for; its transaction takes long, as its coordinator moves;
    /// 2. its session ends, so that the partition is lost; it joins again and is given partition 0 again, which it will hear of later;
    /// 3. it is done with the first. Were that taken for the second, it would go on with a partition that it had given up, and be given it once more.
    pub fn give_up(&self, tps: &[Tp]) -> (Vec<Tp>, (String, i32)) {
        let mut state = self.state();
        let had: Vec<Tp> = tps.iter().copied().filter(|tp| state.finishing.remove(tp) && state.leased.remove(tp)).collect();
        state.held.retain(|tp, _| !had.contains(tp));
        let member = state.member.clone();
        drop(state);
        self.revoked.notify_one();
        (had, member)
    }

    /// Takes these back at once: which of them the application still had.
    pub fn release(&self, tps: &BTreeSet<Tp>) -> Vec<Tp> {
        let mut state = self.state();
        let tps: Vec<Tp> = tps.iter().copied().filter(|tp| state.leased.remove(tp)).collect();
        state.finishing.retain(|tp| !tps.contains(tp));
        state.held.retain(|tp, _| !tps.contains(tp));
        // An application that was slow to hear it has nothing left to finish.
        state.events.retain(|event| !matches!(event, ConsumerEvent::Revoking { .. }));
        tps
    }

    /// Has the application none of these any more?
    pub fn is_released(&self, tps: &BTreeSet<Tp>) -> bool {
        self.state().leased.is_disjoint(tps)
    }

    /// The reader is gone.
    pub fn close(&self) {
        self.state().closed = true;
        self.wanted.notify_one();
    }

    /// Sets a position; nothing older comes after it.
    pub fn seek(&self, tp: Tp, to: Position) {
        if let Some(held) = self.state().held.get_mut(&tp) {
            *held = Held { position: Some(to), seeks: held.seeks + 1, paused: held.paused, restarted: true, ..Held::default() };
        }
        self.wanted.notify_one();
    }

    /// Pauses, or goes on.
    pub fn set_paused(&self, tp: Tp, paused: bool) {
        if let Some(held) = self.state().held.get_mut(&tp) {
            held.paused = paused;
        }
        self.wanted.notify_one();
        self.arrived.notify_one();
    }

    /// The next thing for the application: news first, then partitions in turn.
    pub fn take(&self) -> Option<Taken> {
        let mut state = self.state();
        if let Some(mut event) = state.events.pop_front() {
            match &mut event {
                ConsumerEvent::Assigned { leases, from } => {
                    // A renewed lease of what was given up since is none; of any other nothing but the lease changes.
                    leases.retain(|lease| state.leased.contains(&lease.tp) || from.iter().any(|(tp, _)| *tp == lease.tp));
                    for lease in leases {
                        state.held.entry(lease.tp).or_insert_with(|| Held::at(None));
                    }
                }
                ConsumerEvent::Revoking { tps, .. } => {
                    state.held.retain(|tp, _| !tps.contains(tp));
                    state.finishing.extend(tps.iter().copied());
                }
                ConsumerEvent::Lost { tps } => state.held.retain(|tp, _| !tps.contains(tp)),
                _ => {}
            }
            return Some(Taken::Event(event));
        }
        let after = state.last.map_or(0, |last| state.held.range(..=last).count());
        let order: Vec<Tp> = state.held.keys().copied().collect();
        let tp = (0..order.len()).map(|turn| order[(after + turn) % order.len()]).find(|tp| {
            let held = &state.held[tp];
            !held.paused && !held.items.is_empty()
        })?;
        state.last = Some(tp);
        let held = state.held.get_mut(&tp).expect("just found");
        let item = held.items.pop_front().expect("not empty");
        let restarted = matches!(item, Item::Records(_)) && std::mem::take(&mut held.restarted);
        drop(state);
        self.wanted.notify_one();
        Some(Taken::Item { tp, item, restarted })
    }

    /// This reader cannot go on.
    pub fn fatal(&self, why: Reason) {
        self.state().held.clear();
        self.tell(ConsumerEvent::Fatal(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker::protocol::TopicId;

    fn tp(partition: u32) -> Tp {
        Tp { topic: TopicId(1), partition }
    }

    fn progress(next: i64) -> Item {
        Item::Progress(Position { next: Next(next), epoch: None })
    }

    fn desk() -> Desk {
        let desk = Desk::default();
        for partition in 0..2 {
            desk.state().held.insert(tp(partition), Held::at(Some(Position::START)));
        }
        desk
    }

    fn taken(desk: &Desk) -> Option<(u32, Item)> {
        desk.take().map(|taken| match taken {
            Taken::Item { tp, item, .. } => (tp.partition, item),
            Taken::Event(event) => panic!("no event was told: {event:?}"),
        })
    }

    fn give(desk: &Desk, generation: i32) {
        let assigned = ConsumerEvent::Assigned { leases: Vec::new(), from: Vec::new() };
        desk.give(assigned, &[tp(0)], ("member".to_owned(), generation));
    }

    #[test]
    fn who_is_done_with_a_partition_keeps_what_he_was_given_anew_meanwhile() {
        let desk = Desk::default();
        give(&desk, 1);
        desk.revoke(vec![tp(0)], 1_000);
        assert_eq!(std::iter::from_fn(|| desk.take()).count(), 2, "given, and asked to finish");
        // It takes him longer than the group waits; and he is given it again.
        assert_eq!(desk.release(&BTreeSet::from([tp(0)])), [tp(0)]);
        give(&desk, 2);
        assert_eq!(desk.give_up(&[tp(0)]).0, [], "done with the first");
        assert_eq!(desk.leased(), BTreeSet::from([tp(0)]));
        desk.revoke(vec![tp(0)], 2_000);
        assert_eq!(std::iter::from_fn(|| desk.take()).count(), 2);
        assert_eq!(desk.give_up(&[tp(0)]).0, [tp(0)], "done with the second");
        assert!(desk.is_released(&BTreeSet::from([tp(0)])));
    }

    #[test]
    fn partitions_are_served_in_turn() {
        let desk = desk();
        for partition in 0..2 {
            for next in 1..3 {
                desk.state().held.get_mut(&tp(partition)).expect("held").push(progress(next));
            }
        }
        let order: Vec<u32> = std::iter::from_fn(|| taken(&desk)).map(|(partition, _)| partition).collect();
        assert_eq!(order, [0, 1, 0, 1]);
    }

    #[test]
    fn a_seek_sweeps_what_came_before_it() {
        let desk = desk();
        desk.state().held.get_mut(&tp(0)).expect("held").push(progress(5));
        desk.seek(tp(0), Position::START);
        assert_eq!(taken(&desk), None);
        assert_eq!(desk.state().held[&tp(0)].seeks, 1);
    }

    #[test]
    fn a_paused_partition_keeps_what_came() {
        let desk = desk();
        desk.state().held.get_mut(&tp(0)).expect("held").push(progress(5));
        desk.set_paused(tp(0), true);
        assert_eq!(taken(&desk), None);
        desk.set_paused(tp(0), false);
        assert_eq!(taken(&desk), Some((0, progress(5))));
    }
}
