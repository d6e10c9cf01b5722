//! The port between services and the log (`kafka.md` F). Three things implement it: the embedded log and the simulated cluster through
//! [`crate::native`], and Kafka through adapters.
//!
//! Deadlines are milliseconds of the monotonic clock (`runtime::time::monotonic_ms`). Offsets are opaque and sparse.

use broker::protocol::{Isolation, TopicId, TopicSpec, Tp};
use bytes::Bytes;
use std::future::Future;

/// Position of a reader: one past the last record it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Next(pub i64);

/// A position with the leader epoch of the last record before it (KIP-320).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Next offset to read.
    pub next: Next,
    /// Leader epoch of the record before, if known.
    pub epoch: Option<u32>,
}

impl Position {
    /// The log start.
    pub const START: Position = Position { next: Next(0), epoch: None };
}

/// A record to send. The caller has chosen the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Compaction key.
    pub key: Option<Bytes>,
    /// `None`: a tombstone.
    pub value: Option<Bytes>,
    /// Milliseconds since 1970-01-01.
    pub timestamp_ms: u64,
}

/// A record read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds.
    pub timestamp_ms: i64,
    /// Compaction key.
    pub key: Option<Bytes>,
    /// `None`: a tombstone.
    pub value: Option<Bytes>,
}

/// Records of one partition, in order; offsets rise but may skip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// At least one.
    pub records: Vec<Delivered>,
    /// The position behind them (and behind markers and aborted records that follow).
    pub position: Position,
}

/// The outcome of an operation on the log.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It happened.
    Done(T),
    /// It did not and will not.
    NotDone(Reason),
    /// It may have, or still may: resolve by reading, never by assuming.
    Unknown(Reason),
}

impl<T> Outcome<T> {
    /// What was done, seen in another way.
    pub fn map<U>(self, as_other: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Done(done) => Outcome::Done(as_other(done)),
            Outcome::NotDone(reason) => Outcome::NotDone(reason),
            Outcome::Unknown(reason) => Outcome::Unknown(reason),
        }
    }

    /// For whoever gives up alike on what was not done and what nobody knows.
    pub fn done(self) -> Result<T, Reason> {
        match self {
            Outcome::Done(done) => Ok(done),
            Outcome::NotDone(reason) | Outcome::Unknown(reason) => Err(reason),
        }
    }
}

/// Why something was not done, is unknown or unavailable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The log answered with an error.
    #[error("the log answered {0:?}")]
    Answered(broker::protocol::ErrorCode),
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// The connection broke.
    #[error("the connection broke")]
    Disconnected,
    /// An earlier send of this partition failed; nothing goes on before `resume`.
    #[error("an earlier send to this partition failed")]
    Behind,
    /// The producer's buffer is full: wait for verdicts.
    #[error("the send buffer is full")]
    Full,
    /// This client cannot go on: make a new one.
    #[error("this client has ended: {0}")]
    Ended(String),
}

/// Where a send landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// The partition.
    pub tp: Tp,
    /// Its offset, if the log told it.
    pub offset: Option<i64>,
}

/// The verdict on one send, later. Tickets of one partition resolve in the order of its sends.
#[must_use]
#[derive(Debug)]
pub struct SendTicket(tokio::sync::oneshot::Receiver<Outcome<Acked>>);

/// The adapter's end of a ticket.
#[derive(Debug)]
pub struct Verdict(tokio::sync::oneshot::Sender<Outcome<Acked>>);

impl SendTicket {
    /// A ticket and its verdict. A verdict dropped without a word is `Unknown`.
    pub fn pair() -> (Verdict, SendTicket) {
        let (tx, rx) = tokio::sync::oneshot::channel();
        (Verdict(tx), SendTicket(rx))
    }

    /// Waits for the verdict.
    pub async fn outcome(self) -> Outcome<Acked> {
        self.0.await.unwrap_or(Outcome::Unknown(Reason::Disconnected))
    }
}

impl Verdict {
    /// Gives it.
    pub fn give(self, outcome: Outcome<Acked>) {
        // The sender may have stopped waiting.
        let _ = self.0.send(outcome);
    }
}

/// Live ownership of a partition in a group: not `Clone`, made by adapters only. It may outlive the ownership; the log refuses its commits then.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// The partition.
    pub tp: Tp,
    /// The group.
    pub group: String,
    /// The generation in which it was given.
    pub generation: i32,
    /// The member it was given to.
    pub member_id: String,
    /// Static membership, if used.
    pub instance_id: Option<String>,
}

/// Proof for offset commits, only from a lease: group-id-only fencing cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupProof<'l> {
    /// The lease it comes from.
    pub lease: &'l Lease,
}

impl Lease {
    /// The proof that goes with a commit.
    pub fn proof(&self) -> GroupProof<'_> {
        GroupProof { lease: self }
    }
}

/// Where an assigned partition would start; the application decides, there is no silent reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPoint {
    /// The group's committed position.
    Committed(Position),
    /// Nothing was ever committed.
    Nothing,
    /// A transaction's commit is pending, here or in another partition of this assignment. Its owner may be gone: take over first (a session of its
    /// transactional id ends it), then look up with [`LogPort::offset_at`].
    Pending,
}

/// What a reader hears, in order.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum ConsumerEvent {
    /// Partitions came. Nothing of them is delivered before a `seek`. A lease that `from` has no start for is renewed: the reader has the partition, goes
    /// on with it, and commits by the new lease from now on (cooperative rebalances, A54).
    Assigned { leases: Vec<Lease>, from: Vec<(Tp, StartPoint)> },
    /// Partitions will go: finish, commit, then `Reader::revoked`. After the deadline they go anyway. Nothing of them is delivered any more.
    Revoking { tps: Vec<Tp>, deadline_ms: u64 },
    /// Partitions are gone; commits are refused.
    Lost { tps: Vec<Tp> },
    /// Records, never of a partition not held.
    Records { tp: Tp, batch: Batch },
    /// The position moved over markers, aborted or compacted records.
    Progress { tp: Tp, position: Position },
    /// The position is outside the log.
    OutOfRange { tp: Tp, wanted: Position, log_start: Next, end: Next },
    /// What was read does not exist any more (KIP-320).
    Truncated { tp: Tp, diverged_at: Position },
    /// This reader cannot go on.
    Fatal(Reason),
    /// Nothing happened until the time given.
    Nothing,
}

/// What a reader reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// As a member of a group; partitions come and go.
    Group {
        /// The group.
        group: String,
        /// Topics by name.
        topics: Vec<String>,
        /// Static membership.
        instance_id: Option<String>,
    },
    /// These partitions, from these positions, without a group.
    Assigned(Vec<(Tp, Position)>),
}

/// Where to look for a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// The log start.
    Start,
    /// The end as a reader of this isolation sees it.
    End(Isolation),
    /// What the group has committed; waits while a transaction's commit is pending (require stable).
    Committed(String),
}

/// What an implementation can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Are there transactions?
    pub transactions: bool,
    /// What an acknowledged record has behind it.
    pub durable: Durability,
}

/// What an acknowledged record has behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is synced.
    Fsync,
    /// It is in the page cache of so many brokers.
    Replicated(u32),
    /// It is in one page cache: no claim.
    PageCache,
}

/// A topic and its partition count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The incarnation.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// ≥ 1.
    pub partitions: u32,
}

impl TopicInfo {
    /// One of its partitions.
    pub fn tp(&self, partition: u32) -> Tp {
        assert!(partition < self.partitions, "{} has {} partitions, not {partition}", self.name, self.partitions);
        Tp { topic: self.id, partition }
    }
}

/// The log.
pub trait LogPort: Clone + Send + Sync + 'static {
    /// Plain, idempotent sends.
    type Producer: Producer;
    /// A reader.
    type Reader: Reader;
    /// Transactions.
    type Session: TxSession;

    /// What it can do.
    fn caps(&self) -> Caps;
    /// Looks topics up by name; retries until the deadline. `NotDone(UnknownTopicOrPartition)` if one does not exist.
    fn topics(&self, names: &[&str], deadline_ms: u64) -> impl Future<Output = Outcome<Vec<TopicInfo>>> + Send;
    /// Creates topics that do not exist; one that exists is left alone.
    fn create_topics(&self, specs: Vec<TopicSpec>, deadline_ms: u64) -> impl Future<Output = Outcome<()>> + Send;
    /// A producer session: a new producer id.
    fn producer(&self) -> impl Future<Output = Result<Self::Producer, Reason>> + Send;
    /// A reader.
    fn read(&self, subscription: Subscription, isolation: Isolation) -> impl Future<Output = Result<Self::Reader, Reason>> + Send;
    /// A transaction session: fences every elder of this id, waits out or aborts what it left open. Retries until the deadline.
    fn tx_session(&self, transactional_id: &str, transaction_timeout_ms: u32, deadline_ms: u64) -> impl Future<Output = Result<Self::Session, Reason>> + Send;
    /// Looks a position up. `Done(None)`: nothing was committed.
    fn offset_at(&self, tp: Tp, anchor: Anchor, deadline_ms: u64) -> impl Future<Output = Outcome<Option<Position>>> + Send;
    /// Waits until everything this client was told so far has behind it what [`Caps::durable`] says. Whoever is about to tell somebody outside the log (an
    /// HTTP client, a database) what he read there asks first. At once for a client that lives elsewhere than the log: it is told nothing before.
    fn settled(&self) -> impl Future<Output = Result<(), Reason>> + Send {
        std::future::ready(Ok(()))
    }
}

/// Plain sends, idempotent within this session.
pub trait Producer: Send + 'static {
    /// Queues a record; refused at once (`NotDone(Full)`) when the buffer is full. After a ticket of a partition came back other than `Done`, every later
    /// one of it is `NotDone(Behind)`, or `Unknown(Behind)` if it had left already, until `resume`.
    fn send(&mut self, tp: Tp, record: Record, deadline_ms: u64) -> SendTicket;
    /// Lets a partition go on after a failure.
    fn resume(&mut self, tp: Tp);
}

/// A reader: one pull stream, events in order.
pub trait Reader: Send + 'static {
    /// The next event, or `Nothing` at `until_ms`. Cancel-safe.
    fn next(&mut self, until_ms: u64) -> impl Future<Output = ConsumerEvent> + Send;
    /// Stops deliveries of a partition, its prefetched records are kept.
    fn pause(&mut self, tp: Tp);
    /// Goes on.
    fn unpause(&mut self, tp: Tp);
    /// Sets the position; no older record comes after it.
    fn seek(&mut self, tp: Tp, to: Position);
    /// The application is done with partitions of a `Revoking`.
    fn revoked(&mut self, tps: &[Tp]);
    /// Commits positions outside a transaction.
    fn commit(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> impl Future<Output = Outcome<()>> + Send;
    /// Leaves the group in good order.
    fn leave(self) -> impl Future<Output = ()> + Send;
}

/// A transaction session between transactions.
pub trait TxSession: Send + Sized + 'static {
    /// An open transaction.
    type Tx: Tx<Session = Self>;
    /// Opens one.
    fn begin(self) -> Self::Tx;
}

/// An open transaction; consumed by its end.
pub trait Tx: Send + Sized + 'static {
    /// What comes back at the end.
    type Session: TxSession<Tx = Self>;
    /// Queues a record. Failures show at the end as well.
    fn send(&mut self, tp: Tp, record: Record) -> SendTicket;
    /// Positions that become committed with the transaction, with generation and member.
    fn consumed(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)]);
    /// Waits for all sends, then commits. If a send or the offset commit failed it is not committed.
    fn commit(self, deadline_ms: u64) -> impl Future<Output = TxEnd<Self::Session>> + Send;
    /// Gives it up.
    fn abort(self, deadline_ms: u64) -> impl Future<Output = TxEnd<Self::Session>> + Send;
}

/// How a transaction ended.
#[must_use]
#[derive(Debug)]
pub enum TxEnd<S> {
    /// Durable; *visible* later, per partition.
    Committed(S),
    /// Aborted: the machine must be dropped and rebuilt, the position sought back.
    Aborted(S, Reason),
    /// Somebody else owns the id or the partition: drop everything.
    Fenced(Reason),
    /// Nobody knows yet. There is no abort here: open a new session of the same id (which waits it out), then read the committed position.
    InDoubt(Reason),
}
