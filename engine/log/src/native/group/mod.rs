//! Membership in a group (classic protocol, A51–A54): eager, where every rebalance takes all partitions, or cooperative, where it takes those that change
//! hands; or the protocol in which the coordinator divides (A56). A task of its own joins, beats, and tells the desk.

mod assign;
mod commit;
mod divided;
mod join;
mod member;
mod sticky;

pub use commit::commit;

use super::Shared;
use super::cluster::Links;
use super::lookup::Coordinator;
use super::reader::Desk;
use broker::protocol::CoordinatorKind;
use member::Member;
use runtime::time;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, oneshot};

/// A reader's end of its membership. Dropped, the member falls silent and its session times out.
pub struct Membership {
    group: String,
    /// When the application last asked for an event (A52).
    polled_ms: Arc<AtomicU64>,
    leave: oneshot::Sender<oneshot::Sender<()>>,
    /// For commits: not behind a join that waits for others.
    coordinator: Mutex<Coordinator>,
}

/// Counts as asking for events until it is dropped.
pub struct Polling<'a>(&'a AtomicU64);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.store(time::monotonic_ms(), Ordering::Relaxed);
    }
}

impl Membership {
    /// Joins.
    pub fn open(shared: Arc<Shared>, desk: Arc<Desk>, group: String, topics: Vec<String>, instance_id: Option<String>) -> Membership {
        let (leave, asked_to_leave) = oneshot::channel();
        let polled_ms = Arc::new(AtomicU64::new(time::monotonic_ms()));
        let coordinator = || Coordinator::new(CoordinatorKind::Group, group.clone(), Links::new(&shared.config));
        let commits = Mutex::new(coordinator());
        let member = Member::new(shared.clone(), desk, coordinator(), group.clone(), topics, instance_id, polled_ms.clone());
        runtime::task::spawn(member.run(asked_to_leave));
        Membership { group, polled_ms, leave, coordinator: commits }
    }

    /// The group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The application asks for an event, at most until `until_ms`.
    pub fn poll(&self, until_ms: u64) -> Polling<'_> {
        self.polled_ms.store(until_ms.max(time::monotonic_ms()), Ordering::Relaxed);
        Polling(&self.polled_ms)
    }

    /// Where commits go.
    pub fn coordinator(&self) -> &Mutex<Coordinator> {
        &self.coordinator
    }

    /// Leaves; returns when the group knows, or does not answer in time.
    pub async fn leave(self) {
        let (left, done) = oneshot::channel();
        if self.leave.send(left).is_ok() {
            // A task that has ended has left.
            let _ = done.await;
        }
    }
}
