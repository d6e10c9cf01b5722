//! From a recording to actions. A recording of ten levels leaves three things unseen, and each has its rule:
//!
//! * **Orders from before it.** The first row's levels, without the first message's effect, become one order each. What a message does to an id that
//!   was never submitted is done to that order of its price; if there is none, it is left out and counted.
//! * **Takers.** An execution names the order that rested; its taker is an immediate-or-cancel order of the other side at that price.
//! * **What happens beyond the tenth level.** A level that comes back into sight may have changed. A player that has the rows says so with
//!   [`Mapping::reveal`]; one that has not plays on with what he remembers.

use super::Action;
use super::lobster::{Event, Message, Row};
use std::collections::BTreeMap;
use wire::Side;

/// What the recording's orders are called here.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// Number of the last order given out.
    last_number: u64,
    /// Submitted in the recording, still resting; by the recording's id.
    submitted: BTreeMap<u64, Resting>,
    /// From before the recording, or revealed: at most one per price.
    inherited: BTreeMap<(Side, i64), Resting>,
    left_out: u64,
    revealed: u64,
}

#[derive(Debug, Clone, Copy)]
struct Resting {
    number: u64,
    side: Side,
    price_ticks: i64,
    lots: i64,
}

impl Mapping {
    /// Nothing rests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Messages that acted on liquidity which no row had shown.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Levels that came back into sight with other lots than when they left it.
    pub fn revealed(&self) -> u64 {
        self.revealed
    }

    /// The number of a submitted order that still rests; else of the inherited order at this price.
    pub fn number(&self, order_id: u64, side: Side, price_ticks: i64) -> Option<u64> {
        self.submitted.get(&order_id).or_else(|| self.inherited.get(&(side, price_ticks))).map(|resting| resting.number)
    }

    /// The book before the first message: the first row without what that message did.
    pub fn seed(&mut self, first_row: &Row, first: &Message, out: &mut Vec<Action>) {
        assert_eq!(self.last_number, 0, "a book is seeded before anything else");
        for side in [Side::Buy, Side::Sell] {
            // Worst first, so that nothing is ever quoted better than it was.
            for &(price_ticks, lots) in first_row.side(side).iter().rev() {
                let its_own = (side, price_ticks) == (first.side, first.price_ticks);
                let before = match first.event {
                    Event::Submit if its_own => lots - first.lots,
                    Event::Reduce | Event::Delete | Event::Execute if its_own => lots + first.lots,
                    _ => lots,
                };
                if before > 0 {
                    self.inherit(side, price_ticks, before, out);
                }
            }
        }
        let had_its_level = first_row.side(first.side).iter().any(|(price_ticks, _)| *price_ticks == first.price_ticks);
        if matches!(first.event, Event::Reduce | Event::Delete | Event::Execute) && !had_its_level {
            self.inherit(first.side, first.price_ticks, first.lots, out);
        }
    }

    /// What a message did to the visible book.
    pub fn message(&mut self, message: &Message, out: &mut Vec<Action>) {
        let Message { event, order_id, lots, price_ticks, side, .. } = *message;
        match event {
            Event::Submit => {
                let resting = self.rest(side, price_ticks, lots, out);
                self.submitted.insert(order_id, resting);
            }
            Event::Reduce | Event::Delete | Event::Execute => {
                let is_execution = event == Event::Execute;
                if let Some(resting) = self.submitted.get_mut(&order_id) {
                    let lots = if event == Event::Delete { resting.lots } else { lots };
                    let left = withdraw(resting, lots, is_execution, &mut self.last_number, out);
                    if left == 0 {
                        self.submitted.remove(&order_id);
                    }
                } else if let Some(resting) = self.inherited.get_mut(&(side, price_ticks)) {
                    let left = withdraw(resting, lots, is_execution, &mut self.last_number, out);
                    if left == 0 {
                        self.inherited.remove(&(side, price_ticks));
                    }
                } else {
                    self.left_out += 1;
                }
            }
            Event::ExecuteHidden | Event::Cross | Event::Halt => {}
        }
    }

    /// Corrects what came into sight with this message: levels of `after` that `before` did not show and the message did not make. Says which they
    /// are, as (side, price): nobody who reads the recording could have known them.
    pub fn reveal(&mut self, before: &Row, message: &Message, after: &Row, out: &mut Vec<Action>) -> Vec<(Side, i64)> {
        let mut revealed = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            let was_shown = |price_ticks: i64| before.side(side).iter().any(|(shown, _)| *shown == price_ticks);
            let is_its_own = |price_ticks: i64| message.event == Event::Submit && (side, price_ticks) == (message.side, message.price_ticks);
            let shown: BTreeMap<i64, i64> = after.side(side).iter().copied().collect();
            for (&price_ticks, &lots) in &shown {
                if !was_shown(price_ticks) && !is_its_own(price_ticks) {
                    revealed.push((side, price_ticks));
                    self.correct(side, price_ticks, lots, out);
                }
            }
            // What we remember within sight, but is not there, went while it was out of sight.
            let Some(&(worst, _)) = after.side(side).last() else { continue };
            let in_sight = |price_ticks: i64| if side == Side::Buy { price_ticks >= worst } else { price_ticks <= worst };
            let gone: Vec<i64> = self.prices(side).filter(|price| in_sight(*price) && !shown.contains_key(price) && !was_shown(*price)).collect();
            for price_ticks in gone {
                revealed.push((side, price_ticks));
                self.correct(side, price_ticks, 0, out);
            }
        }
        revealed
    }

    /// Replaces all that rests at a price by one order, unless the lots are right.
    fn correct(&mut self, side: Side, price_ticks: i64, lots: i64, out: &mut Vec<Action>) {
        let is_there = |resting: &Resting| (resting.side, resting.price_ticks) == (side, price_ticks);
        let remembered: i64 = self.submitted.values().chain(self.inherited.values()).filter(|resting| is_there(resting)).map(|resting| resting.lots).sum();
        if remembered == lots {
            return;
        }
        self.revealed += 1;
        let gone = self.inherited.extract_if(.., |_, resting| is_there(resting)).map(|(_, resting)| resting);
        let gone = gone.chain(self.submitted.extract_if(.., |_, resting| is_there(resting)).map(|(_, resting)| resting));
        out.extend(gone.map(|resting| Action::Cancel { number: resting.number }));
        if lots > 0 {
            self.inherit(side, price_ticks, lots, out);
        }
    }

    fn prices(&self, side: Side) -> impl Iterator<Item = i64> {
        self.submitted.values().chain(self.inherited.values()).filter(move |resting| resting.side == side).map(|resting| resting.price_ticks)
    }

    fn inherit(&mut self, side: Side, price_ticks: i64, lots: i64, out: &mut Vec<Action>) {
        let resting = self.rest(side, price_ticks, lots, out);
        let before = self.inherited.insert((side, price_ticks), resting);
        assert!(before.is_none(), "one inherited order per price");
    }

    fn rest(&mut self, side: Side, price_ticks: i64, lots: i64, out: &mut Vec<Action>) -> Resting {
        self.last_number += 1;
        out.push(Action::Rest { number: self.last_number, side, price_ticks, lots });
        Resting { number: self.last_number, side, price_ticks, lots }
    }
}

/// Takes lots from an order, by a taker or by its owner; says what is left.
fn withdraw(resting: &mut Resting, lots: i64, by_taker: bool, last_number: &mut u64, out: &mut Vec<Action>) -> i64 {
    let lots = lots.min(resting.lots);
    resting.lots -= lots;
    if by_taker {
        *last_number += 1;
        out.push(Action::Take { number: *last_number, side: resting.side.opposite(), price_ticks: resting.price_ticks, lots });
    } else if resting.lots == 0 {
        out.push(Action::Cancel { number: resting.number });
    } else {
        out.push(Action::Reduce { number: resting.number, lots, left: resting.lots });
    }
    resting.lots
}
