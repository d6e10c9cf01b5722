//! `matching_engine`: one machine per partition of `order_commands`, one book per listed symbol.
//!
//! One command is one step. Its trades go to `trade_executed` as one list in execution order (in numbered parts of at most [`TradeList::MAX`]), then
//! what happened to each order goes to `order_events`, in the order in which it happened. Events of the command's own order carry its correlation;
//! those of resting orders answer nobody.

mod convert;
#[cfg(test)]
mod tests;

use crate::listing;
use crate::runner::{Input, Machine, Outputs, Service, To};
use book::{Book, BookConfig, Fast, Naive, Reports, Slots, StateHash};
use convert::{command_in, command_of, event_of, owner_of, symbol_of, taker_side, trade_of, unlisted};
use ring::{Fault, Handler, Pipeline};
use runtime::rng::Rng;
use std::collections::BTreeMap;
use wire::slot::{Command, Report, Slot};
use wire::{Body, OrderCommand, OrderEvent, Symbol, SymbolSpec, Topic, Trade, TradeList};

/// The service; see the module. `B` is the book.
#[derive(Debug)]
pub struct MatchingService<B> {
    new_book: fn(BookConfig) -> B,
    orders_max: usize,
    levels_max: usize,
}

impl MatchingService<Fast> {
    /// With the fast book, and room for so many resting orders and levels in each, which it takes as it needs it ([`Fast::growing`]).
    pub fn fast(orders_max: usize, levels_max: usize) -> Self {
        MatchingService { new_book: Fast::growing, orders_max, levels_max }
    }
}

impl MatchingService<Naive> {
    /// With the slow obvious book, for those who check the other.
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
            hash.add(symbol.word());
            hash.add(book.state_hash());
        }
        hash.finish()
    }
}

impl<B: Book + Send + 'static> MatchingMachine<B> {
    fn new(service: &MatchingService<B>) -> Self {
        let books = Books { service: service.clone(), books: BTreeMap::new() };
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
        let mut out = Slots { slots: out, tag: slot.tag() };
        match self.books.get_mut(&symbol_of(&command)) {
            Some(book) => book.apply(&command, &mut out),
            None => out.push(unlisted(&command)),
        }
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
