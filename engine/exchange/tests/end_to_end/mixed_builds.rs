//! Two builds of the same services on one log, in turns and at the same time: the one of today, and one to come that knows a younger version of the frames.
//! `cargo xtask conformance --log embedded|rdkafka|krafka --mixed` makes the other one, and tells where it is (`LOCKSTEP_NEXT_BUILD`).
//!
//! A younger build writes the elder version as long as an elder build may read: so the two live together, and either may be killed at any time. Told to
//! write the younger version, it reads what was written before; an elder build that meets such a frame stops there, says why, and loses nothing.

use crate::kill_nine::nothing_is_lost_or_done_twice;
use crate::process::{Exchange, Place};
use crate::trading::{Call, client, limit, until_executed, until_told};
use log::LogPort;
use log::history::Silent;
use log::native::{ClientConfig, Native};
use runtime::task::stop_channel;
use services::account::AccountService;
use services::matching_engine::MatchingService;
use services::runner::{Service, TransactConfig, transact};
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wire::Side;

const KILLS: u64 = 6;

/// How long it may say nothing.
const PATIENCE: Duration = Duration::from_secs(180);

/// A member of this build, in the groups of the exchange's own, for as long as the test goes on.
fn join<S: Service + Clone>(log: impl LogPort, service: S) {
    let config = TransactConfig { instance: format!("{}-9", service.name()), ..TransactConfig::default() };
    tokio::spawn(async move {
        loop {
            // The stopper is dropped: nobody asks it to stop. Its log is killed now and then.
            let (_stopper, stop) = stop_channel();
            if let Err(why) = transact::run(log.clone(), service.clone(), config.clone(), Arc::new(Silent), stop).await {
                eprintln!("{}: {why}", config.instance);
            }
            runtime::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

/// The same command, of the other build.
fn of_build(path: &OsStr, command: &Command) -> Command {
    let mut other = Command::new(path);
    other.args(command.get_args());
    other
}

/// Starts it, and waits until it says so.
fn until_it_says(mut command: Command, what: &str) -> Child {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let said = BufReader::new(child.stderr.take().expect("piped")).lines();
    let (heard, lines) = std::sync::mpsc::channel();
    // Goes on to the end: a pipe that nobody reads would stop it.
    std::thread::spawn(move || said.map_while(Result::ok).for_each(|line| drop(heard.send(line))));
    let mut all = Vec::new();
    while !all.last().is_some_and(|line: &String| line.contains(what)) {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => all.push(line),
            Err(_) => {
                let _it_may_have_ended = child.kill();
                panic!("it did not say: {what}; but {all:?}");
            }
        }
    }
    child
}

/// The other build's exchange.
pub fn next_build() -> Option<OsString> {
    let next = std::env::var_os("LOCKSTEP_NEXT_BUILD");
    if next.is_none() {
        println!("no other build: `cargo xtask conformance --log embedded|rdkafka|krafka --mixed` makes one");
    }
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_builds_live_together_and_the_elder_refuses_a_younger_frame() {
    let Some(next) = next_build() else { return };
    let place = Place::new();
    let log = |name: &str| Native::new(ClientConfig::new(name, [place.log.clone()]), Arc::new(Silent));
    two_builds(&place, &next, log, || place.up()).await;
}

/// `log`: a client of it, by its name; `up`: the command that starts today's exchange of this place.
pub async fn two_builds<L: LogPort>(place: &Place, next: &OsStr, log: impl Fn(&str) -> L, up: impl Fn() -> Command) {
    let members = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let together = members.enter();
    join(log("account-9"), AccountService);
    // As large as the exchange's own: a book that is full refuses.
    join(log("matching_engine-9"), MatchingService::fast(1 << 20, 1 << 18));
    drop(together);
    let lives = AtomicU64::new(0);
    let in_turns = || if lives.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { of_build(next, &up()) } else { up() };
    nothing_is_lost_or_done_twice(place, KILLS, &log("check"), in_turns).await;
    assert!(lives.into_inner() > KILLS, "each had its turns");
    members.shutdown_background();

    // Now the younger build alone, and its own frames, behind those of both.
    let mut younger = of_build(next, &up());
    younger.env("EXCHANGE_FRAMES", "2");
    let exchange = Exchange::spawn(younger);
    let (mut buyer, mut seller) = (client(&place.http, 1), client(&place.http, 2));
    until_told(&mut buyer, Call::Place(&limit("younger-buy", Side::Buy, 10_000, 7))).await.expect("taken");
    until_told(&mut seller, Call::Place(&limit("younger-sell", Side::Sell, 10_000, 7))).await.expect("taken");
    assert_eq!(until_executed(&mut buyer, "younger-buy", 7).await.status, "FILLED");
    exchange.stop();

    // The elder one comes back: it reads up to the first of them, and no further.
    let mut elder = until_it_says(up(), "a frame of version 2, written by a newer build: this build reads versions 1 to 1");
    elder.kill().expect("it runs");
    elder.wait().expect("it was our child");

    // Nothing was lost by it.
    let exchange = Exchange::spawn(of_build(next, &up()));
    assert_eq!(until_executed(&mut buyer, "younger-buy", 7).await.status, "FILLED");
    assert_eq!(until_executed(&mut seller, "younger-sell", 7).await.status, "FILLED");
    until_told(&mut buyer, Call::Place(&limit("last-buy", Side::Buy, 10_000, 3))).await.expect("taken");
    until_told(&mut seller, Call::Place(&limit("last-sell", Side::Sell, 10_000, 3))).await.expect("taken");
    assert_eq!(until_executed(&mut buyer, "last-buy", 3).await.status, "FILLED");
    exchange.stop();
}
