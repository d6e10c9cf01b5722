//! `account`: one machine per partition of `account_commands`. It holds the money of its accounts, assigns order ids, and remembers client order ids.
//!
//! * **Place**: a client order id that was used before is answered with the first order as it stands now, also after that order ended, for 24 h of log
//!   time; a Place stamped before that is refused. Otherwise the money is held, the order gets its id, and the order goes to the matching engine
//!   *in the same transaction* as the answer.
//! * **Cancel** goes the same way and cannot overtake. **Queries** are commands: they see settled state.
//! * **Settle** and **Release**: see [`settlement`].
//!
//! Every command of an edge is answered by one event with its correlation; ticks, listings and rules by none. Nothing is ever rounded but a market
//! buy's protection price (down).

mod digest;
mod ledger;
mod orders;
mod settlement;
mod terms;
#[cfg(test)]
mod tests;

pub use ledger::SUPPLY_MAX;
pub use orders::DEDUP_WINDOW_MS;

use crate::listing;
use crate::runner::{Input, Machine, Outputs, Service, To};
use book::StateHash;
use digest::{SetDigest, add_text};
use ledger::{Ledger, asset_word};
use orders::{End, Order, Orders};
use settlement::{Release, Settle};
use std::collections::BTreeMap;
use terms::terms;
use wire::{
    AccountCommand, AccountEvent, AccountId, Body, ClientOrderId, OrderCommand, OrderId, OrderState, OrderStatus, OrderType, RefusalReason, Side, Symbol,
    SymbolSpec, TimeInForce, Topic,
};

/// Most partitions of `account_commands`: keeps balances inside an i64 ([`SUPPLY_MAX`]).
pub const PARTITIONS_MAX: u32 = 1_024;

/// Bits of an order id below the partition.
const ORDER_NUMBER_BITS: u32 = 40;

/// The service; see the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountService;

impl Service for AccountService {
    type Machine = AccountMachine;

    fn name(&self) -> &'static str {
        "account"
    }

    fn number(&self) -> u8 {
        1
    }

    fn group(&self) -> &'static str {
        "account"
    }

    fn inputs(&self) -> Vec<Topic> {
        vec![Topic::AccountCommands]
    }

    fn outputs(&self) -> Vec<Topic> {
        vec![Topic::AccountEvents, Topic::OrderCommands]
    }

    fn journal(&self) -> Option<Topic> {
        Some(Topic::AccountEvents)
    }

    fn owned(&self, epoch: u32, claim: u64) -> Body {
        Body::AccountEvent(AccountEvent::Owned { epoch, claim })
    }

    fn machine(&self, partition: u32) -> AccountMachine {
        AccountMachine::new(partition)
    }
}

/// State of one partition's accounts.
#[derive(Debug)]
pub struct AccountMachine {
    partition: u32,
    rules: u32,
    /// Number of the last order.
    last_order: u64,
    ledger: Ledger,
    orders: Orders,
    listings: BTreeMap<Symbol, SymbolSpec>,
}

/// A new order, as it was asked for.
struct Place<'a> {
    account: AccountId,
    client_order_id: &'a ClientOrderId,
    symbol: Symbol,
    side: Side,
    order_type: OrderType,
    time_in_force: TimeInForce,
    price_ticks: i64,
    quantity_lots: i64,
    stamp_ms: u64,
}

impl Machine for AccountMachine {
    fn apply(&mut self, inputs: &[Input], outputs: &mut Outputs) {
        for input in inputs {
            // Anything else in this topic is a foreign writer's mistake, at every replay alike.
            if let Body::AccountCommand(command) = &input.body {
                self.step(input, command, outputs);
            }
        }
    }

    fn state_hash(&self) -> u64 {
        let mut hash = StateHash::new();
        hash.add(u64::from(self.rules));
        hash.add(self.last_order);
        for digest in self.ledger.digests() {
            hash.add(digest);
        }
        hash.add(self.orders.digest());
        hash.add(self.listings_digest());
        hash.finish()
    }
}

impl AccountMachine {
    /// A partition without a past.
    pub fn new(partition: u32) -> Self {
        assert!(partition < PARTITIONS_MAX, "account_commands has at most {PARTITIONS_MAX} partitions: {partition}");
        AccountMachine { partition, rules: 0, last_order: 0, ledger: Ledger::default(), orders: Orders::default(), listings: BTreeMap::new() }
    }

    fn step(&mut self, input: &Input, command: &AccountCommand, outputs: &mut Outputs) {
        match *command {
            AccountCommand::Deposit { account, deposit_id, asset, amount } => match self.ledger.deposit(account, deposit_id, asset, amount) {
                Ok(is_new) => self.answer(input, outputs, AccountEvent::Deposited { account, deposit_id, asset, amount, duplicate: !is_new }),
                Err(reason) => self.refuse(input, outputs, account, None, reason),
            },
            AccountCommand::Place { account, ref client_order_id, symbol, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms } => {
                let place = Place { account, client_order_id, symbol, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms };
                self.place(input, outputs, &place);
            }
            AccountCommand::Cancel { account, ref client_order_id, symbol } => self.cancel(input, outputs, account, client_order_id, symbol),
            AccountCommand::QueryOrder { account, ref client_order_id, symbol } => {
                match self.find(account, client_order_id, symbol).map(|order| order.state.clone()) {
                    Some(order) => self.answer(input, outputs, AccountEvent::OrderIs { account, order }),
                    None => self.refuse(input, outputs, account, Some(client_order_id), RefusalReason::UnknownOrder),
                }
            }
            AccountCommand::QueryAccount { account } => {
                self.answer(input, outputs, AccountEvent::AccountIs { account, balances: self.ledger.balances(account) })
            }
            AccountCommand::Settle { account, order_id, trade_id, symbol, side, price_ticks, lots } => {
                self.settle(input, outputs, &Settle { account, order_id, trade_id, symbol, side, price_ticks, lots });
            }
            AccountCommand::Release { account, order_id, symbol, lots, rejected, end } => {
                let end = rejected.map(End::Rejected).or(end.map(End::Ended));
                self.release(input, outputs, &Release { account, order_id, symbol, lots, end });
            }
            AccountCommand::Listing(spec) => self.list(spec),
            AccountCommand::Tick { time_ms } => self.orders.prune(time_ms),
            AccountCommand::Rules { version } => self.rules = self.rules.max(version),
        }
    }

    fn place(&mut self, input: &Input, outputs: &mut Outputs, place: &Place<'_>) {
        if let Some(first) = self.orders.by_client_id(place.account, place.client_order_id) {
            let order = first.state.clone();
            self.answer(input, outputs, AccountEvent::Placed { account: place.account, order, duplicate: true });
            return;
        }
        match self.take(place, input.time_ms) {
            Ok(order) => {
                let command = OrderCommand::Place {
                    order_id: order.order_id,
                    account: place.account,
                    symbol: place.symbol,
                    side: place.side,
                    order_type: place.order_type,
                    time_in_force: place.time_in_force,
                    price_ticks: order.price_ticks,
                    quantity_lots: place.quantity_lots,
                };
                self.answer(input, outputs, AccountEvent::Placed { account: place.account, order, duplicate: false });
                self.send_on(input, outputs, place.symbol, command);
            }
            Err(reason) => self.refuse(input, outputs, place.account, Some(place.client_order_id), reason),
        }
    }

    /// Holds the money and takes the order in.
    fn take(&mut self, place: &Place<'_>, now_ms: u64) -> Result<OrderState, RefusalReason> {
        if place.stamp_ms.saturating_add(DEDUP_WINDOW_MS) < now_ms {
            return Err(RefusalReason::TooOld);
        }
        let spec = self.listings.get(&place.symbol).ok_or(RefusalReason::UnknownSymbol)?;
        let free_quote = self.ledger.free(place.account, spec.quote);
        let terms = terms(spec, place.side, place.order_type, place.price_ticks, place.quantity_lots, free_quote)?;
        if self.ledger.free(place.account, terms.asset) < terms.amount {
            return Err(RefusalReason::InsufficientBalance);
        }
        self.ledger.hold(place.account, terms.asset, terms.amount);
        let order = OrderState {
            order_id: self.next_order_id(),
            client_order_id: place.client_order_id.clone(),
            symbol: place.symbol,
            side: place.side,
            order_type: place.order_type,
            time_in_force: place.time_in_force,
            price_ticks: terms.price_ticks,
            quantity_lots: place.quantity_lots,
            settled_lots: 0,
            released_lots: 0,
            settled_quote: 0,
            status: OrderStatus::New,
            accepted_ms: now_ms,
        };
        // An edge whose clock is ahead stamps later than log time: its repeats are not refused as too old before that, so the order must be known as long.
        let keep_until_ms = now_ms.max(place.stamp_ms).saturating_add(DEDUP_WINDOW_MS);
        self.orders.insert(Order::new(place.account, order.clone(), keep_until_ms));
        Ok(order)
    }

    fn cancel(&mut self, input: &Input, outputs: &mut Outputs, account: AccountId, client_order_id: &ClientOrderId, symbol: Symbol) {
        let open = self.find(account, client_order_id, symbol).filter(|order| !order.is_closed());
        let Some(order) = open.map(|order| order.state.clone()) else {
            self.refuse(input, outputs, account, Some(client_order_id), RefusalReason::UnknownOrder);
            return;
        };
        let command = OrderCommand::Cancel { order_id: order.order_id, account, symbol };
        self.answer(input, outputs, AccountEvent::CancelSent { account, order });
        self.send_on(input, outputs, symbol, command);
    }

    fn find(&self, account: AccountId, client_order_id: &ClientOrderId, symbol: Symbol) -> Option<&Order> {
        self.orders.by_client_id(account, client_order_id).filter(|order| order.state.symbol == symbol)
    }

    fn list(&mut self, spec: SymbolSpec) {
        if listing::check(&spec).is_ok() {
            self.listings.entry(spec.symbol).or_insert(spec);
        }
    }

    fn next_order_id(&mut self) -> OrderId {
        self.last_order += 1;
        assert!(self.last_order < 1 << ORDER_NUMBER_BITS, "a partition has 2^40 order numbers");
        OrderId(u64::from(self.partition) << ORDER_NUMBER_BITS | self.last_order)
    }

    #[track_caller]
    fn answer(&self, input: &Input, outputs: &mut Outputs, event: AccountEvent) {
        outputs.emit(input, Topic::AccountEvents, To::SamePartition, Body::AccountEvent(event));
    }

    #[track_caller]
    fn refuse(&self, input: &Input, outputs: &mut Outputs, account: AccountId, client_order_id: Option<&ClientOrderId>, reason: RefusalReason) {
        self.answer(input, outputs, AccountEvent::Refused { account, client_order_id: client_order_id.cloned(), reason });
    }

    #[track_caller]
    fn send_on(&self, input: &Input, outputs: &mut Outputs, symbol: Symbol, command: OrderCommand) {
        outputs.emit(input, Topic::OrderCommands, To::Key(symbol.0.to_vec()), Body::OrderCommand(command));
    }

    /// I-M3, I-M4: what is locked is what the open lots of each order still need, account by account and asset by asset; I-O9 by construction.
    #[cfg(test)]
    pub(crate) fn assert_holds_are_exact(&self) {
        let mut needed = BTreeMap::new();
        for order in self.orders.all() {
            let (asset, amount) = settlement::held(&self.listings[&order.state.symbol], order);
            *needed.entry((order.account, asset)).or_insert(0) += amount;
            assert_eq!(order.is_closed(), order.state.status.is_terminal(), "{:?}", order.state);
        }
        needed.retain(|_, amount| *amount != 0);
        let locked = self.ledger.all().filter(|(_, balance)| balance.locked != 0).map(|(account, balance)| ((account, balance.asset), balance.locked));
        assert_eq!(needed, locked.collect(), "open orders need what is locked");
        assert_eq!(self.orders.digest(), self.orders.digest_afresh(), "the digest follows every change");
    }

    /// Free and locked by asset.
    #[cfg(test)]
    pub(crate) fn totals(&self) -> BTreeMap<wire::Asset, (i64, i64)> {
        let mut totals = BTreeMap::new();
        for (_, balance) in self.ledger.all() {
            let (free, locked) = totals.entry(balance.asset).or_insert((0, 0));
            *free += balance.free;
            *locked += balance.locked;
        }
        totals
    }

    fn listings_digest(&self) -> u64 {
        let mut digest = SetDigest::default();
        for spec in self.listings.values() {
            let mut hash = StateHash::new();
            add_text(&mut hash, &spec.symbol.0);
            hash.add(asset_word(spec.base));
            hash.add(asset_word(spec.quote));
            for number in [spec.base_per_lot, spec.quote_per_tick_lot, spec.price_ticks_max, spec.quantity_lots_max] {
                hash.add(number.cast_unsigned());
            }
            for number in [u32::from(spec.price_decimals), spec.tick_step, u32::from(spec.quantity_decimals), spec.lot_step] {
                hash.add(u64::from(number));
            }
            digest.add(hash.finish());
        }
        digest.value()
    }
}
