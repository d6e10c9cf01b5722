//! Every flow, a hundred seeds, short and in small markets: the naive and the fast book say the same after every command, and end in the same state.

use bench::flow::{Equity, Flow, Plain, TradeHash};
use book::{Book, BookConfig, Fast, Naive, Venue};
use wire::order::{CancelReason, RejectReason};
use wire::slot::{Command, Report};

const SEEDS: u64 = 100;
const COMMANDS: usize = 1_500;

fn venue<B: Book>(flow: &Flow, book: impl Fn(BookConfig) -> B) -> Venue<B> {
    let mut venue = Venue::new(flow.symbols.len());
    for symbol in &flow.symbols {
        assert!(venue.list(*symbol, book(flow.config)));
    }
    venue
}

/// Everything that was said, and the state at the end.
fn said<B: Book>(flow: &Flow, book: impl Fn(BookConfig) -> B) -> (Vec<Vec<Report>>, TradeHash, Vec<u64>) {
    let (mut venue, mut reports, mut said, mut trades) = (venue(flow, book), Vec::new(), Vec::new(), TradeHash::default());
    let commands: Vec<Command> = flow.prefill.iter().chain(&flow.commands).copied().collect();
    for batch in commands.chunks(64) {
        venue.apply_all(
            batch,
            &mut reports,
            |_| unreachable!("every symbol is listed"),
            |command, reports| {
                trades.add_reports(command, reports);
                said.push(reports.to_vec());
            },
        );
    }
    (said, trades, venue.iter().map(|(_, book)| book.state_hash()).collect())
}

/// Answers how many trades there were.
fn agree(flow: &Flow) -> u64 {
    assert_eq!(flow.commands.len(), COMMANDS);
    let naive = said(flow, Naive::new);
    assert!(said(flow, Fast::new) == naive, "{}", flow.name);
    assert!(said(flow, |config| Fast::with_window(config, 256)) == naive, "{}, in a window that must move", flow.name);
    for report in naive.0.iter().flatten() {
        let is_refusal =
            matches!(report, Report::Rejected { reason: RejectReason::BookFull, .. } | Report::CancelRejected { reason: CancelReason::UnknownOrder, .. });
        assert!(!is_refusal, "{}: what a generator asks for can be done: {report:?}", flow.name);
    }
    assert!(naive.1.trades >= flow.trades);
    naive.1.trades
}

fn agree_on_plain(plain: Plain) {
    let plain = Plain { live: plain.live / 25, ..plain };
    let trades: u64 = (1..=SEEDS).map(|seed| agree(&plain.flow(seed, COMMANDS))).sum();
    assert!(trades > SEEDS * 50, "{}: {trades} trades", plain.name);
}

#[test]
fn the_deep_stream() {
    agree_on_plain(Plain::DEEP);
}

#[test]
fn the_small_stream() {
    agree_on_plain(Plain::SMALL);
}

#[test]
fn the_stream_of_many_symbols() {
    agree_on_plain(Plain::MANY);
}

#[test]
fn equity_flows() {
    for equity in Equity::ALL {
        let equity = Equity { live: 300, ..equity };
        let trades: u64 = (1..=SEEDS).map(|seed| agree(&equity.flow(seed, COMMANDS))).sum();
        assert!(trades > SEEDS * 50, "{}: {trades} trades", equity.name);
    }
}

#[test]
fn a_seed_is_a_stream() {
    let [one, again, other] = [7, 7, 8].map(|seed| Plain::SMALL.flow(seed, 500));
    assert!(one.prefill == again.prefill && one.commands == again.commands);
    assert!(one.commands != other.commands);
    assert_eq!(one.live[0], 1_000);
}
