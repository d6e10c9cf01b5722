//! The header's structures, and what they mean.

use book::{BookConfig, Level, NewOrder};
use wire::ids::{AccountId, OrderId};
use wire::order::{OrderType, Side, TimeInForce};
use wire::slot::Report;

/// `lockstep_book_config`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct CConfig {
    price_ticks_max: i64,
    quantity_lots_max: i64,
    orders_max: u64,
    levels_max: u64,
    origins_max: u64,
}

/// `lockstep_new_order`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct CNewOrder {
    order_id: u64,
    account: u64,
    price_ticks: i64,
    quantity_lots: i64,
    side: u8,
    order_type: u8,
    time_in_force: u8,
    zero: [u8; 5],
}

/// `lockstep_report`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CReport {
    kind: u32,
    reason: u32,
    order_id: u64,
    account: u64,
    trade_id: u64,
    price_ticks: i64,
    lots: i64,
}

/// `lockstep_level`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct CLevel {
    price_ticks: i64,
    lots: i64,
    orders: u32,
    zero: u32,
}

const _: () = assert!(size_of::<CConfig>() == 40 && size_of::<CNewOrder>() == 40 && size_of::<CReport>() == 48 && size_of::<CLevel>() == 24);

/// A bound that is out of range.
#[derive(Debug)]
pub struct OutOfRange;

impl TryFrom<CConfig> for BookConfig {
    type Error = OutOfRange;

    fn try_from(config: CConfig) -> Result<Self, OutOfRange> {
        let CConfig { price_ticks_max, quantity_lots_max, orders_max, levels_max, origins_max } = config;
        let fits = price_ticks_max >= 1
            && quantity_lots_max >= 1
            && (1..=1 << 29).contains(&orders_max)
            && (1..1 << 31).contains(&levels_max)
            && (1..=1 << 24).contains(&origins_max);
        let room = |bound: u64| usize::try_from(bound).map_err(|_| OutOfRange);
        if !fits {
            return Err(OutOfRange);
        }
        Ok(BookConfig { price_ticks_max, quantity_lots_max, orders_max: room(orders_max)?, levels_max: room(levels_max)?, origins_max: room(origins_max)? })
    }
}

/// None if there is no such side.
pub fn side(number: u8) -> Option<Side> {
    [Side::Buy, Side::Sell].into_iter().find(|side| *side as u8 == number)
}

impl CNewOrder {
    /// None if an enumeration has no such value.
    pub fn checked(&self) -> Option<NewOrder> {
        let order_type = [OrderType::Limit, OrderType::Market, OrderType::LimitMaker].into_iter().find(|order_type| *order_type as u8 == self.order_type)?;
        let time_in_force =
            [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok].into_iter().find(|time_in_force| *time_in_force as u8 == self.time_in_force)?;
        Some(NewOrder {
            order_id: OrderId(self.order_id),
            account: AccountId(self.account),
            side: side(self.side)?,
            order_type,
            time_in_force,
            price_ticks: self.price_ticks,
            quantity_lots: self.quantity_lots,
        })
    }
}

impl CReport {
    pub fn of(report: &Report) -> Self {
        let named = |kind, order_id: OrderId, account: AccountId| CReport { kind, order_id: order_id.0, account: account.0, ..CReport::default() };
        match *report {
            Report::Accepted { order_id, account } => named(1, order_id, account),
            Report::Rejected { reason, order_id, account, quantity_lots } => {
                CReport { reason: reason as u32, lots: quantity_lots, ..named(2, order_id, account) }
            }
            Report::Traded { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots } => {
                CReport { trade_id, price_ticks, lots: quantity_lots, ..named(3, maker_order_id, maker_account) }
            }
            Report::Ended { reason, order_id, account, remaining_lots } => {
                CReport { reason: reason as u32, lots: remaining_lots, ..named(4, order_id, account) }
            }
            Report::Reduced { order_id, account, lots } => CReport { lots, ..named(5, order_id, account) },
            Report::Replaced { side, order_id, account, price_ticks, released_lots } => {
                CReport { reason: side as u32, price_ticks, lots: released_lots, ..named(6, order_id, account) }
            }
            Report::CancelRejected { reason, order_id, account } => CReport { reason: reason as u32, ..named(7, order_id, account) },
        }
    }
}

impl CLevel {
    pub fn of(level: &Level) -> Self {
        CLevel { price_ticks: level.price_ticks, lots: level.lots, orders: level.orders, zero: 0 }
    }
}
