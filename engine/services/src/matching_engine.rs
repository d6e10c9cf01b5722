//! `matching_engine`: one machine per partition of `order_commands`, one book per listed symbol.
//!
//! One command is one step. Its trades go to `trade_executed` as one list in execution order (in numbered parts of at most [`TradeList::MAX`]), then
//! what happened to each order goes to `order_events`, in the order in which it happened. Events of the command's own order carry its correlation;
//! those of resting orders answer nobody.

use crate::listing;
use crate::runner::{Input, Machine, Outputs, Service, To};
use book::{Book, BookConfig, Naive, StateHash};
use ring::{Fault, Handler, Pipeline};
use runtime::rng::Rng;
use std::collections::BTreeMap;
use wire::slot::{Command, Report, Slot};
use wire::{AccountId, Body, CancelReason, OrderCommand, OrderEvent, OrderId, RejectReason, Side, Symbol, SymbolSpec, Topic, Trade, TradeList};

/// The service; see the module. `B` is the book.
#[derive(Debug)]
pub struct MatchingService<B> {
    new_book: fn(BookConfig) -> B,
    orders_max: usize,
    levels_max: usize,
}

impl MatchingService<Naive> {
    /// With the slow obvious book, and room for so many resting orders and levels in each.
    pub fn naive(orders_max: usize, levels_max: usize) -> Self {
        MatchingService { new_book: Naive::new, orders_max, levels_max }
    }
}

impl<B> Clone for MatchingService<B> {
    fn clone(&self) -> Self {
        MatchingService { ..*self }
    }
}

impl<B: Book + Send + 'static> Service for MatchingService<B> {
    type Machine = MatchingMachine<B>;

    fn name(&self) -> &'static str {
        "matching_engine"
    }

    fn number(&self) -> u8 {
        2
    }

    fn group(&self) -> &'static str {
        "matching"
    }

    fn inputs(&self) -> Vec<Topic> {
        vec![Topic::OrderCommands]
    }

    fn outputs(&self) -> Vec<Topic> {
        vec![Topic::TradeExecuted, Topic::OrderEvents]
    }

    fn journal(&self) -> Option<Topic> {
        Some(Topic::OrderEvents)
    }

    fn owned(&self, epoch: u32, claim: u64) -> Body {
        Body::OrderEvent(OrderEvent::Owned { epoch, claim })
    }

    fn machine(&self, _partition: u32) -> MatchingMachine<B> {
        MatchingMachine::new(self)
    }
}

/// What one step of the books may say before the ring is full; more waits in the stage.
const REPORT_SLOTS: usize = 1_024;

/// Commands in flight between the log and the books.
const COMMAND_SLOTS: usize = 256;

/// One partition's books behind their rings.
pub struct MatchingMachine<B> {
    rules: u32,
    pipeline: Pipeline<Slot<Command>, Slot<Report>, Books<B>>,
    /// Decides the order in which the rings are stepped, which no output shows.
    random: Rng,
}

impl<B: Book + Send + 'static> Machine for MatchingMachine<B> {
    fn apply(&mut self, inputs: &[Input], outputs: &mut Outputs) {
        // What governs the books takes effect between commands.
        let governs = |input: &Input| matches!(&input.body, Body::OrderCommand(command) if command_of(command).is_none());
        for run in inputs.chunk_by(|_, next| !governs(next)) {
            let orders = match run.split_first() {
                Some((first, rest)) if governs(first) => {
                    self.govern(first);
                    rest
                }
                _ => run,
            };
            self.run(orders, outputs);
        }
    }

    /// The words: rules version; number of books; per symbol ascending its six bytes as a word, then the book's own hash.
    fn state_hash(&self) -> u64 {
        let mut hash = StateHash::new();
        hash.add(u64::from(self.rules));
        let books = &self.pipeline.handler().books;
        hash.add(books.len() as u64);
        for (symbol, book) in books {
            let [a, b, c, d, e, f] = symbol.0;
            hash.add(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]));
            hash.add(book.state_hash());
        }
        hash.finish()
    }
}

impl<B: Book + Send + 'static> MatchingMachine<B> {
    fn new(service: &MatchingService<B>) -> Self {
        let books = Books { service: service.clone(), books: BTreeMap::new(), reports: Vec::new() };
        MatchingMachine { rules: 0, pipeline: Pipeline::new(COMMAND_SLOTS, REPORT_SLOTS, books), random: Rng::of_node("matching_ring") }
    }

    /// The book of a symbol, if it is listed here.
    pub fn book(&self, symbol: Symbol) -> Option<&B> {
        self.pipeline.handler().books.get(&symbol)
    }

    fn govern(&mut self, input: &Input) {
        match &input.body {
            Body::OrderCommand(OrderCommand::Listing(spec)) => self.pipeline.handler_mut().list(spec),
            Body::OrderCommand(OrderCommand::Rules { version }) => self.rules = self.rules.max(*version),
            // Nothing expires by time yet.
            _ => {}
        }
    }

    /// Commands through the rings; a report finds its command by its tag.
    fn run(&mut self, inputs: &[Input], outputs: &mut Outputs) {
        // Anything but an order command in this topic is a foreign writer's mistake, at every replay alike.
        let steps: Vec<(&Input, Command)> = inputs.iter().filter_map(|input| Some((input, command_in(&input.body)?))).collect();
        let mut slots = vec![Slot::EMPTY; steps.len()];
        for (tag, (slot, (_, command))) in slots.iter_mut().zip(&steps).enumerate() {
            slot.put(u32::try_from(tag).expect("a batch has fewer than 2^32 commands"), command);
        }
        let mut reports = Vec::new();
        let random = &mut self.random;
        self.pipeline.run(&slots, &mut || random.next_u64(), &mut reports).expect("a slot that this process wrote can be read");
        let mut told = reports.as_slice();
        for (tag, (input, command)) in steps.iter().enumerate() {
            let end = told.partition_point(|report| report.tag() as usize <= tag);
            let (own, rest) = told.split_at(end);
            assert!(!own.is_empty(), "every command is answered: {command:?}");
            let own: Vec<Report> = own.iter().map(|slot| slot.get().expect("a slot that this process wrote can be read")).collect();
            publish(input, command, &own, outputs);
            told = rest;
        }
        assert!(told.is_empty(), "every report has its command");
    }
}

/// The stage between the rings.
struct Books<B> {
    service: MatchingService<B>,
    books: BTreeMap<Symbol, B>,
    /// Of the step at hand; kept for its room.
    reports: Vec<Report>,
}

impl<B: Book> Books<B> {
    fn list(&mut self, spec: &SymbolSpec) {
        if listing::check(spec).is_ok() {
            let MatchingService { new_book, orders_max, levels_max } = self.service;
            self.books.entry(spec.symbol).or_insert_with(|| new_book(BookConfig::of(spec, orders_max, levels_max)));
        }
    }
}

impl<B: Book> Handler<Slot<Command>, Slot<Report>> for Books<B> {
    fn handle(&mut self, slot: &Slot<Command>, out: &mut Vec<Slot<Report>>) -> Result<(), Fault> {
        let command = slot.get()?;
        self.reports.clear();
        match self.books.get_mut(&symbol_of(&command)) {
            Some(book) => book.apply(&command, &mut self.reports),
            None => self.reports.push(unlisted(&command)),
        }
        out.extend(self.reports.iter().map(|report| {
            let mut filled = Slot::EMPTY;
            filled.put(slot.tag(), report);
            filled
        }));
        Ok(())
    }
}

/// Trades, then events.
fn publish(input: &Input, command: &Command, reports: &[Report], outputs: &mut Outputs) {
    let (taker_order_id, taker_account) = owner_of(command);
    let trades: Vec<Trade> = reports.iter().filter_map(trade_of).collect();
    for (part, trades) in trades.chunks(TradeList::MAX).enumerate() {
        let part = u32::try_from(part).expect("a book holds fewer than 2^32 orders");
        let taker_side = taker_side(command, reports);
        let list = TradeList { symbol: symbol_of(command), taker_order_id, taker_account, taker_side, part, trades: trades.to_vec() };
        outputs.emit(input, Topic::TradeExecuted, To::SamePartition, Body::Trades(list));
    }
    for report in reports {
        let Some((order_id, event)) = event_of(symbol_of(command), report) else { continue };
        let body = Body::OrderEvent(event);
        if order_id == taker_order_id {
            outputs.emit(input, Topic::OrderEvents, To::SamePartition, body);
        } else {
            outputs.emit_uncorrelated(input, Topic::OrderEvents, To::SamePartition, body);
        }
    }
}

fn trade_of(report: &Report) -> Option<Trade> {
    match *report {
        Report::Traded { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots } => {
            Some(Trade { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots })
        }
        _ => None,
    }
}

fn event_of(symbol: Symbol, report: &Report) -> Option<(OrderId, OrderEvent)> {
    Some(match *report {
        Report::Traded { .. } => return None,
        Report::Accepted { order_id, account } => (order_id, OrderEvent::Accepted { order_id, account, symbol }),
        Report::Rejected { reason, order_id, account, quantity_lots } => (order_id, OrderEvent::Rejected { order_id, account, symbol, quantity_lots, reason }),
        Report::Ended { reason, order_id, account, remaining_lots } => (order_id, OrderEvent::Ended { order_id, account, symbol, reason, remaining_lots }),
        Report::Reduced { order_id, account, lots } => (order_id, OrderEvent::Reduced { order_id, account, symbol, lots }),
        Report::Replaced { side: _, order_id, account, price_ticks, released_lots } => {
            (order_id, OrderEvent::Replaced { order_id, account, symbol, price_ticks, released_lots })
        }
        Report::CancelRejected { reason, order_id, account } => (order_id, OrderEvent::CancelRejected { order_id, account, symbol, reason }),
    })
}

fn command_in(body: &Body) -> Option<Command> {
    match body {
        Body::OrderCommand(command) => command_of(command),
        _ => None,
    }
}

/// What goes to a book; `None` for what governs the books.
fn command_of(command: &OrderCommand) -> Option<Command> {
    Some(match *command {
        OrderCommand::Place { order_id, account, symbol, side, order_type, time_in_force, price_ticks, quantity_lots } => {
            Command::Place { symbol, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots }
        }
        OrderCommand::Cancel { order_id, account, symbol } => Command::Cancel { symbol, order_id, account },
        OrderCommand::Reduce { order_id, account, symbol, lots } => Command::Reduce { symbol, order_id, account, lots },
        OrderCommand::Replace { order_id, account, symbol, price_ticks, quantity_lots } => {
            Command::Replace { symbol, order_id, account, price_ticks, quantity_lots }
        }
        OrderCommand::Listing(_) | OrderCommand::Tick { .. } | OrderCommand::Rules { .. } => return None,
    })
}

fn symbol_of(command: &Command) -> Symbol {
    match *command {
        Command::Place { symbol, .. } | Command::Cancel { symbol, .. } | Command::Reduce { symbol, .. } | Command::Replace { symbol, .. } => symbol,
    }
}

fn owner_of(command: &Command) -> (OrderId, AccountId) {
    match *command {
        Command::Place { order_id, account, .. }
        | Command::Cancel { order_id, account, .. }
        | Command::Reduce { order_id, account, .. }
        | Command::Replace { order_id, account, .. } => (order_id, account),
    }
}

/// The side of the order that took: as placed, or as the book knows it when it was replaced.
fn taker_side(command: &Command, reports: &[Report]) -> Side {
    if let Command::Place { side, .. } = *command {
        return side;
    }
    let replaced = reports.iter().find_map(|report| match *report {
        Report::Replaced { side, .. } => Some(side),
        _ => None,
    });
    replaced.expect("only what was placed or replaced takes")
}

fn unlisted(command: &Command) -> Report {
    let (order_id, account) = owner_of(command);
    match *command {
        Command::Place { quantity_lots, .. } => Report::Rejected { reason: RejectReason::UnknownSymbol, order_id, account, quantity_lots },
        Command::Cancel { .. } | Command::Reduce { .. } | Command::Replace { .. } => {
            Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account }
        }
    }
}
