//! The accounts as the journal `account_events` tells them, kept a second time and as plainly as possible: what the money invariants compare with.

use std::collections::BTreeMap;
use wire::{AccountEvent, AccountId, Asset, Balance, OrderId, OrderState, Side, Symbol, SymbolSpec};

/// Free and locked minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Money {
    /// May be spent.
    pub free: i128,
    /// Held for open orders.
    pub locked: i128,
}

/// An order and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Whose.
    pub account: AccountId,
    /// As first answered.
    pub order: OrderState,
    /// Lots paid for.
    pub settled_lots: i64,
    /// Quote paid or received for them.
    pub settled_quote: i64,
    /// Lots given free.
    pub released_lots: i64,
}

impl Held {
    /// Nothing more will happen to it.
    pub fn is_closed(&self) -> bool {
        self.settled_lots + self.released_lots == self.order.quantity_lots
    }
}

/// All accounts of any number of partitions.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    specs: BTreeMap<Symbol, SymbolSpec>,
    /// By account and asset.
    pub money: BTreeMap<(AccountId, Asset), Money>,
    /// By order id.
    pub orders: BTreeMap<OrderId, Held>,
    /// Credited deposits by asset.
    pub deposited: BTreeMap<Asset, i128>,
}

impl Ledger {
    /// Without money.
    pub fn new(specs: &[SymbolSpec]) -> Self {
        Ledger { specs: specs.iter().map(|spec| (spec.symbol, *spec)).collect(), ..Ledger::default() }
    }

    /// Applies the next record of a journal; the error says which rule of money it breaks.
    pub fn apply(&mut self, event: &AccountEvent) -> Result<(), String> {
        match event {
            AccountEvent::Deposited { account, asset, amount, duplicate: false, .. } => {
                *self.deposited.entry(*asset).or_default() += i128::from(*amount);
                self.change(*account, *asset, i128::from(*amount), 0)
            }
            AccountEvent::Placed { account, order, duplicate: false } => self.place(*account, order),
            AccountEvent::Settled { account, order_id, base_change, quote_change, .. } => self.settle(*account, *order_id, *base_change, *quote_change),
            AccountEvent::Released { account, order_id, lots, .. } => self.release(*account, *order_id, *lots),
            AccountEvent::AccountIs { account, balances } => self.compare(*account, balances),
            _ => Ok(()),
        }
    }

    /// Balances of an account by asset, none that is zero.
    pub fn balances(&self, account: AccountId) -> Vec<(Asset, Money)> {
        let of = self.money.range((account, Asset(*b"\0\0\0"))..=(account, Asset(*b"\xff\xff\xff")));
        of.map(|((_, asset), money)| (*asset, *money)).filter(|(_, money)| *money != Money::default()).collect()
    }

    fn spec(&self, symbol: Symbol) -> Result<SymbolSpec, String> {
        self.specs.get(&symbol).copied().ok_or_else(|| format!("{symbol} is not listed"))
    }

    /// Every change ends here: no balance below zero at any step.
    fn change(&mut self, account: AccountId, asset: Asset, free: i128, locked: i128) -> Result<(), String> {
        let money = self.money.entry((account, asset)).or_default();
        money.free += free;
        money.locked += locked;
        if money.free < 0 || money.locked < 0 {
            return Err(format!("account {} has {} {asset:?} free and {} locked", account.0, money.free, money.locked));
        }
        Ok(())
    }

    /// What `lots` of an order hold, and in which asset.
    fn hold(&self, order: &OrderState, lots: i64) -> Result<(Asset, i128), String> {
        let spec = self.spec(order.symbol)?;
        Ok(match order.side {
            Side::Buy => (spec.quote, i128::from(order.price_ticks) * i128::from(lots) * i128::from(spec.quote_per_tick_lot)),
            Side::Sell => (spec.base, i128::from(lots) * i128::from(spec.base_per_lot)),
        })
    }

    fn place(&mut self, account: AccountId, order: &OrderState) -> Result<(), String> {
        let held = Held { account, order: order.clone(), settled_lots: 0, settled_quote: 0, released_lots: 0 };
        if self.orders.insert(order.order_id, held).is_some() {
            return Err(format!("order {} was placed twice", order.order_id.0));
        }
        let (asset, amount) = self.hold(order, order.quantity_lots)?;
        self.change(account, asset, -amount, amount)
    }

    fn settle(&mut self, account: AccountId, order_id: OrderId, base_change: i64, quote_change: i64) -> Result<(), String> {
        let held = self.held(account, order_id)?;
        let order = held.order.clone();
        let spec = self.spec(order.symbol)?;
        let signs_fit = match order.side {
            Side::Buy => base_change > 0 && quote_change < 0,
            Side::Sell => base_change < 0 && quote_change > 0,
        };
        if !signs_fit || base_change % spec.base_per_lot != 0 {
            return Err(format!("order {} ({:?}) was settled with {base_change} {:?} and {quote_change} {:?}", order_id.0, order.side, spec.base, spec.quote));
        }
        let lots = base_change.abs() / spec.base_per_lot;
        let held = self.orders.get_mut(&order_id).expect("it was just found");
        held.settled_lots += lots;
        held.settled_quote += quote_change.abs();
        self.check_filled(order_id)?;
        let (asset, amount) = self.hold(&order, lots)?;
        self.change(account, asset, 0, -amount)?;
        match order.side {
            Side::Buy => {
                self.change(account, spec.base, i128::from(base_change), 0)?;
                // What the price was better than the limit goes back to the owner.
                let spared = amount + i128::from(quote_change);
                if spared < 0 {
                    return Err(format!("order {} paid {} {:?} above its limit", order_id.0, -spared, spec.quote));
                }
                self.change(account, spec.quote, spared, 0)
            }
            Side::Sell => self.change(account, spec.quote, i128::from(quote_change), 0),
        }
    }

    fn release(&mut self, account: AccountId, order_id: OrderId, lots: i64) -> Result<(), String> {
        let held = self.held(account, order_id)?;
        let order = held.order.clone();
        self.orders.get_mut(&order_id).expect("it was just found").released_lots += lots;
        self.check_filled(order_id)?;
        let (asset, amount) = self.hold(&order, lots)?;
        self.change(account, asset, amount, -amount)
    }

    fn held(&self, account: AccountId, order_id: OrderId) -> Result<&Held, String> {
        match self.orders.get(&order_id) {
            Some(held) if held.account == account => Ok(held),
            Some(held) => Err(format!("order {} of account {} was settled for account {}", order_id.0, held.account.0, account.0)),
            None => Err(format!("order {} was settled before it was placed", order_id.0)),
        }
    }

    fn check_filled(&self, order_id: OrderId) -> Result<(), String> {
        let held = &self.orders[&order_id];
        if held.settled_lots + held.released_lots > held.order.quantity_lots {
            let (settled, released, ordered) = (held.settled_lots, held.released_lots, held.order.quantity_lots);
            return Err(format!("order {} of {ordered} lots has {settled} settled and {released} released", order_id.0));
        }
        Ok(())
    }

    fn compare(&self, account: AccountId, told: &[Balance]) -> Result<(), String> {
        let told: Vec<(Asset, Money)> = told.iter().map(|b| (b.asset, Money { free: b.free.into(), locked: b.locked.into() })).collect();
        let own = self.balances(account);
        if told == own { Ok(()) } else { Err(format!("account {} was told {told:?}, the journal says {own:?}", account.0)) }
    }
}
