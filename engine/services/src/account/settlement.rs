//! What the wallet says: Settle for each side of a trade, Release for lots that will never trade.
//!
//! The two commute: each names the order, the lots and the price, and a hold closes when settled + released = ordered lots. A Settle is told by
//! (order, trade id), a Release by the order's end, or by the name that the wallet gives to what made it smaller; a repeat moves nothing and is not answered
//! again. What contradicts its order is refused whole: an order's price is the one that it is held at, so that whoever offers to replace orders must
//! send the replacement through this machine.

use super::AccountMachine;
use super::ledger::Ledger;
use super::orders::{End, Order};
use super::terms::{base_amount, quote_amount};
use crate::runner::{Input, Outputs};
use wire::{AccountEvent, AccountId, Correlation, OrderId, RefusalReason, Side, Symbol, SymbolSpec};

/// One side of a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    pub account: AccountId,
    pub order_id: OrderId,
    pub trade_id: u64,
    pub symbol: Symbol,
    pub side: Side,
    pub price_ticks: i64,
    pub lots: i64,
}

/// Lots that will never trade. `end`: the order left the book with them; otherwise it became smaller in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    pub account: AccountId,
    pub order_id: OrderId,
    pub symbol: Symbol,
    pub lots: i64,
    pub end: Option<End>,
}

/// Minor units that one Settle moves; none negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Amounts {
    base: i64,
    quote: i64,
    /// What a buyer had held beyond the trade's price.
    improvement: i64,
}

impl AccountMachine {
    pub(super) fn settle(&mut self, input: &Input, outputs: &mut Outputs, settle: &Settle) {
        match self.try_settle(settle) {
            Ok(Some(event)) => self.answer(input, outputs, event),
            Ok(None) => {}
            Err(reason) => self.refuse(input, outputs, settle.account, None, reason),
        }
    }

    /// `None`: it had been settled before.
    fn try_settle(&mut self, settle: &Settle) -> Result<Option<AccountEvent>, RefusalReason> {
        let Settle { account, order_id, trade_id, symbol, .. } = *settle;
        let order = self.order_of(account, order_id, symbol)?;
        if order.trades.contains(&trade_id) {
            return Ok(None);
        }
        let spec = self.listings[&symbol];
        let amounts = amounts(&spec, order, settle)?;
        let (incoming, incoming_asset) = match settle.side {
            Side::Buy => (amounts.base, spec.base),
            Side::Sell => (amounts.quote, spec.quote),
        };
        if !self.ledger.can_receive(account, incoming_asset, incoming) || order.state.settled_quote.checked_add(amounts.quote).is_none() {
            return Err(RefusalReason::Overflow);
        }
        exchange(&mut self.ledger, &spec, settle, amounts);
        let closed = self.orders.change(order_id, |order| order.settle(trade_id, settle.lots, amounts.quote)).is_closed();
        let (base_change, quote_change) = match settle.side {
            Side::Buy => (amounts.base, -amounts.quote),
            Side::Sell => (-amounts.base, amounts.quote),
        };
        Ok(Some(AccountEvent::Settled { account, order_id, trade_id, base_change, quote_change, closed }))
    }

    pub(super) fn release(&mut self, input: &Input, outputs: &mut Outputs, release: &Release) {
        match self.try_release(release, input.stamp.correlation) {
            Ok(Some(event)) => self.answer(input, outputs, event),
            Ok(None) => {}
            Err(reason) => self.refuse(input, outputs, release.account, None, reason),
        }
    }

    /// `None`: it had been released before.
    fn try_release(&mut self, release: &Release, name: Correlation) -> Result<Option<AccountEvent>, RefusalReason> {
        let Release { account, order_id, symbol, lots, end } = *release;
        let order = self.order_of(account, order_id, symbol)?;
        let is_repeat = if end.is_some() { order.end.is_some() } else { order.reductions.contains(&name) };
        if is_repeat {
            return Ok(None);
        }
        if !(1..=order.open_lots()).contains(&lots) {
            return Err(RefusalReason::QuantityOutOfRange);
        }
        let held_before = held(&self.listings[&symbol], order);
        let order = self.orders.change(order_id, |order| {
            match end {
                Some(_) => order.end = end,
                None => assert!(order.reductions.insert(name), "a reduction is released once"),
            }
            order.release(lots);
        });
        let (asset, left) = held(&self.listings[&symbol], order);
        self.ledger.give_back(account, asset, held_before.1 - left);
        Ok(Some(AccountEvent::Released { account, order_id, lots, closed: order.is_closed() }))
    }

    fn order_of(&self, account: AccountId, order_id: OrderId, symbol: Symbol) -> Result<&Order, RefusalReason> {
        let order = self.orders.get(order_id).filter(|order| order.account == account).ok_or(RefusalReason::UnknownOrder)?;
        if order.state.symbol == symbol { Ok(order) } else { Err(RefusalReason::UnknownSymbol) }
    }
}

/// What a Settle moves, if it fits its order.
fn amounts(spec: &SymbolSpec, order: &Order, settle: &Settle) -> Result<Amounts, RefusalReason> {
    let limit = order.state.price_ticks;
    let within = match settle.side {
        Side::Buy => (1..=limit).contains(&settle.price_ticks),
        Side::Sell => (limit..=spec.price_ticks_max).contains(&settle.price_ticks),
    };
    if !within || settle.side != order.state.side {
        return Err(RefusalReason::PriceOutOfRange);
    }
    if !(1..=order.open_lots()).contains(&settle.lots) {
        return Err(RefusalReason::QuantityOutOfRange);
    }
    let base = base_amount(spec, settle.lots).ok_or(RefusalReason::Overflow)?;
    let quote = quote_amount(spec, settle.price_ticks, settle.lots).ok_or(RefusalReason::Overflow)?;
    let improvement = match settle.side {
        Side::Buy => quote_amount(spec, limit - settle.price_ticks, settle.lots).expect("less than was held"),
        Side::Sell => 0,
    };
    Ok(Amounts { base, quote, improvement })
}

fn exchange(ledger: &mut Ledger, spec: &SymbolSpec, settle: &Settle, amounts: Amounts) {
    let account = settle.account;
    match settle.side {
        Side::Buy => {
            ledger.pay(account, spec.quote, amounts.quote);
            ledger.give_back(account, spec.quote, amounts.improvement);
            ledger.receive(account, spec.base, amounts.base);
        }
        Side::Sell => {
            ledger.pay(account, spec.base, amounts.base);
            ledger.receive(account, spec.quote, amounts.quote);
        }
    }
}

/// What an order has locked: exactly what its open lots still need.
pub(super) fn held(spec: &SymbolSpec, order: &Order) -> (wire::Asset, i64) {
    let lots = order.open_lots();
    match order.state.side {
        Side::Buy => (spec.quote, quote_amount(spec, order.state.price_ticks, lots).expect("at most what was held at first")),
        Side::Sell => (spec.base, base_amount(spec, lots).expect("at most what was held at first")),
    }
}
