//! The log port's contract. Every body is generic over the implementation; the embedded log, the simulated cluster and Apache Kafka run the same ones.
//!
//! Each contract is one function, named after what it promises. They run one after the other, on fresh topics and groups, and put back what they broke.

pub mod asked;
mod groups;
mod judged;
mod nemesis;
mod produce;
mod read;
mod rows;
mod support;
mod topics;
mod transactions;
mod workload;

use super::proxy::Trip;
use ::log::LogPort;
pub use workload::under_kills;

use asked::{Request, Response};
use runtime::BoxFuture;
use runtime::time;
use std::sync::Arc;
use std::time::Duration;

/// How a client differs from an ordinary one.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Its answers can be swallowed ([`Bench::swallow_answers`]).
    pub proxied: bool,
    /// A member that is not heard, or does not poll, so long is put out of its group.
    pub session_timeout_ms: Option<u32>,
    /// Most bytes in its send buffer.
    pub buffer_bytes_max: Option<usize>,
}

/// A workload under faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Of faults: one of each kind.
    pub rounds: u32,
    /// Plain records sent to a partition before the first of them is answered.
    pub ahead: u32,
    /// Between two rounds of a writer.
    pub pause_ms: u64,
    /// How long a paused broker stays so: longer than its session with its controller, so that somebody else leads.
    pub outage_ms: u64,
}

/// The implementation under test, and the hands on what stands behind it.
pub trait Bench: Send + Sync + 'static {
    /// The implementation.
    type Log: LogPort;

    /// A client of its own.
    fn client(&self, client: Client) -> Self::Log;
    /// How many brokers there are; they are numbered from 1.
    fn brokers(&self) -> u32;
    /// Replicas and fewest in-sync replicas of a topic.
    fn replication(&self) -> (u32, u32);
    /// How heavy its workload is.
    fn load(&self) -> Load;
    /// May a client send a commit again without a word? Then a refusal that takes its time may follow a try that was executed, and is no refusal for sure.
    fn hides_tries(&self) -> bool {
        false
    }
    /// What was recorded of its answers, a line each: `row | question | answer`, or answers with `or` between them. `None`: they are being recorded.
    fn recorded(&self) -> Option<&'static str>;
    /// Tells what this log answered to a question of a row. `cargo xtask conformance --write` keeps these lines, and makes of them the table of what differs
    /// from log to log; so a question has the same words everywhere, and an answer none that differ from run to run. Without it, an answer that was never
    /// recorded breaks the contract: the table would be of yesterday's log.
    fn answered(&self, row: &str, question: &str, answer: &str) {
        println!("        {row} | {question} | {answer}");
        let Some(recorded) = self.recorded() else { return };
        let question = format!("{row} | {question} | ");
        let mut known = recorded.lines().filter_map(|line| line.strip_prefix(&question)).flat_map(|answers| answers.split(" or "));
        // What did not come may come another time.
        assert!(
            answer == rows::NEVER || known.any(|known| known == answer),
            "{question}{answer}: not as recorded; if it is right, `cargo xtask conformance --write` records it"
        );
    }
    /// A word that no other topic, group or id has had, on a log that outlives the run.
    fn fresh(&self, word: &str) -> String;
    /// Throws the answers to proxied clients away; what they ask is done.
    fn swallow_answers(&self) -> BoxFuture<'_, ()>;
    /// Lets answers pass again.
    fn pass_answers(&self) -> BoxFuture<'_, ()>;
    /// Does this to the next answer to a request of this kind (Kafka's API key) to a proxied client.
    fn trip(&self, kind: u16, trip: Trip) -> BoxFuture<'_, ()>;
    /// Asks one broker one thing, over a connection of its own, without a retry; `None`: no answer.
    fn ask(&self, broker: u32, request: Request) -> BoxFuture<'_, Option<Response>>;
    /// Stops a broker's clock and threads; its connections stay open.
    fn pause(&self, broker: u32) -> BoxFuture<'_, ()>;
    /// Lets it go on.
    fn resume(&self, broker: u32) -> BoxFuture<'_, ()>;
    /// Ends a broker without a word.
    fn kill(&self, broker: u32) -> BoxFuture<'_, ()>;
    /// Starts it again on what it left, and waits until all replicas are in sync.
    fn restart(&self, broker: u32) -> BoxFuture<'_, ()>;
}

/// One promise.
pub struct Contract<B> {
    /// What it promises.
    pub name: &'static str,
    /// What it provokes: variants of the port's enums.
    pub provokes: &'static str,
    run: fn(Arc<B>) -> BoxFuture<'static, ()>,
}

impl<B: Bench> Contract<B> {
    /// The body; it panics if the promise is not kept.
    pub fn begin(&self, bench: Arc<B>) -> BoxFuture<'static, ()> {
        (self.run)(bench)
    }
}

macro_rules! contracts {
    ($($($part:ident)::+ provokes $what:literal),* $(,)?) => {
        vec![$(Contract { name: [$(stringify!($part)),+].last().expect("a path"), provokes: $what, run: |bench| Box::pin($($part)::+(bench)) }),*]
    };
}

/// All of them.
pub fn all<B: Bench>() -> Vec<Contract<B>> {
    contracts![
        topics::an_unknown_topic_is_told provokes "NotDone(UnknownTopicOrPartition)",
        topics::creating_a_topic_twice_changes_nothing provokes "Outcome::Done",
        topics::anchors_tell_start_end_and_what_was_committed provokes "Anchor::{Start, End, Committed}",
        produce::acks_tell_rising_offsets_in_order provokes "Outcome::Done(Acked)",
        produce::records_come_back_as_they_were_sent provokes "ConsumerEvent::Records",
        produce::an_old_timestamp_expires_nothing provokes "retention",
        produce::a_lost_ack_makes_no_duplicate provokes "retry after a lost answer",
        produce::a_send_that_nobody_answers_is_unknown_and_stops_its_partition provokes "Unknown(Deadline), Behind",
        produce::a_full_buffer_refuses_at_once provokes "NotDone(Full), NotDone(Behind)",
        read::reading_begins_where_it_was_told provokes "Subscription::Assigned",
        read::a_seek_brings_nothing_older_and_nothing_skipped provokes "Reader::seek",
        read::a_paused_partition_keeps_what_came provokes "Reader::{pause, unpause}",
        read::a_position_outside_the_log_is_told provokes "ConsumerEvent::OutOfRange",
        read::a_position_behind_a_younger_leader_s_marker_is_no_truncation provokes "leader epochs (KIP-320), ConsumerEvent::Progress",
        read::nothing_happens_until_the_time_given provokes "ConsumerEvent::Nothing",
        read::next_can_be_given_up_at_any_time provokes "cancelled Reader::next",
        groups::a_group_goes_on_where_it_committed provokes "StartPoint::{Nothing, Committed}",
        groups::partitions_move_to_who_joins_and_back_from_who_leaves provokes "ConsumerEvent::{Assigned, Revoking}",
        groups::a_member_that_stalls_loses_its_partitions provokes "ConsumerEvent::Lost, NotDone(UnknownMemberId)",
        groups::a_lease_of_an_older_generation_commits_nothing provokes "NotDone(IllegalGeneration)",
        groups::a_static_member_s_next_life_takes_over_at_once provokes "instance_id",
        groups::the_elder_of_two_with_one_instance_id_is_told provokes "ConsumerEvent::Fatal(FencedInstanceId)",
        transactions::outputs_and_position_come_together_or_not_at_all provokes "TxEnd::{Committed, Aborted}",
        transactions::an_open_transaction_holds_back_who_reads_committed provokes "Isolation, ConsumerEvent::Progress",
        transactions::a_younger_session_fences_the_elder provokes "TxEnd::Fenced(ProducerFenced)",
        transactions::a_member_put_out_commits_nothing_with_its_outputs provokes "TxEnd::Fenced(generation)",
        transactions::a_commit_that_nobody_answers_is_in_doubt provokes "TxEnd::InDoubt",
        transactions::a_session_of_the_same_id_ends_what_was_left_open provokes "LogPort::tx_session",
        transactions::a_transaction_beyond_its_timeout_is_fenced provokes "TxEnd::Fenced(timeout)",
        transactions::an_empty_transaction_asks_nobody provokes "TxEnd::Committed",
        rows::a11_end_after_a_leader_s_move::a_new_leader_s_end_may_be_older_than_what_was_seen_and_is_no_error provokes "A11",
        rows::a28_duplicates::the_five_newest_batches_are_told_again_and_an_older_one_is_out_of_order provokes "A28, A30",
        rows::a40_visibility_after_the_end::a_position_is_pending_until_its_marker_and_is_never_the_old_one_after_the_end provokes "A40, A46, A47",
        rows::a41_an_end_that_comes_twice::an_end_that_comes_late_decides_a_younger_transaction_of_the_same_epoch provokes "A41, A43",
        rows::a41_an_end_that_comes_twice::an_end_that_comes_late_is_refused_once_a_younger_session_is_there provokes "A29, A39",
        rows::a53_zombie_commit::a_commit_of_an_elder_generation_or_a_former_member_is_refused provokes "A53",
        rows::a57_commit_without_a_generation::a_commit_without_a_generation_is_for_empty_groups_only provokes "A57",
        workload::nothing_acknowledged_is_lost_or_doubled_while_faults_fly provokes "kills, pauses, answers lost and late",
    ]
}

/// Longest that one contract may take, and so much longer for each round of faults over a workload.
const CONTRACT_MS_MAX: u64 = 600_000;
const ROUND_MS_MAX: u64 = 120_000;

/// Runs those whose name contains `only`; a line each. How many held, and how many did not.
pub async fn run<B: Bench>(bench: Arc<B>, only: &str) -> (usize, usize) {
    let (mut held, mut broken) = (0, 0);
    for contract in all::<B>().into_iter().filter(|contract| contract.name.contains(only)) {
        let begin_ms = time::monotonic_ms();
        let body = runtime::task::spawn(contract.begin(bench.clone()));
        let longest_ms = CONTRACT_MS_MAX + u64::from(bench.load().rounds) * ROUND_MS_MAX;
        let ended = time::timeout(Duration::from_millis(longest_ms), body).await;
        bench.pass_answers().await;
        let took_ms = time::monotonic_ms() - begin_ms;
        let verdict = match ended {
            Ok(Ok(())) => "ok",
            Ok(Err(_)) => "BROKEN",
            Err(_) => "STUCK",
        };
        if verdict == "ok" {
            held += 1
        } else {
            broken += 1
        }
        println!("{verdict:<7} {:<72} {took_ms:>6} ms  {}", contract.name, contract.provokes);
    }
    (held, broken)
}

/// Says how many held and how many did not; the exit code: 10 if one did not. A name after `--contract` that is no contract's is a mistake, 2; a bare word is
/// a filter over all tests, as of `cargo test`, and may leave none here.
pub fn conclude(words: &[String], (held, broken): (usize, usize)) -> i32 {
    println!("{held} passed, {broken} failed");
    match (held, broken) {
        (0, 0) if words.iter().any(|word| word == CONTRACT) => {
            println!("no contract has `{}` in its name", only(words));
            2
        }
        (_, 0) => 0,
        _ => 10,
    }
}

/// Comes before a name that must be a contract's, or part of it.
const CONTRACT: &str = "--contract";

/// The name asked for; empty: all.
pub fn only(words: &[String]) -> &str {
    words.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str)
}
