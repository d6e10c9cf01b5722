//! What an order is held at: its price in ticks and the money that leaves free for locked.

use wire::{Asset, OrderType, RefusalReason, Side, SymbolSpec};

/// Price and hold of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The limit; of a market order the protection price: nothing trades at a worse one.
    pub price_ticks: i64,
    /// What is held.
    pub asset: Asset,
    /// How much of it, minor units.
    pub amount: i64,
}

/// What an order must be held at, by its symbol's rules.
///
/// * Limit and post-only: a buyer holds price × quantity in quote, a seller the quantity in base.
/// * Market buy: the protection price is the highest at which the free quote pays for the whole quantity, rounded down to a tick, at most the symbol's
///   highest; below one tick it is refused. Market sell: one tick.
pub fn terms(spec: &SymbolSpec, side: Side, order_type: OrderType, price_ticks: i64, quantity_lots: i64, free_quote: i64) -> Result<Terms, RefusalReason> {
    if !(1..=spec.quantity_lots_max).contains(&quantity_lots) {
        return Err(RefusalReason::QuantityOutOfRange);
    }
    let price_ticks = match (order_type, side) {
        (OrderType::Market, Side::Sell) => 1,
        (OrderType::Market, Side::Buy) => protection_price(spec, quantity_lots, free_quote)?,
        (OrderType::Limit | OrderType::LimitMaker, _) => price_ticks,
    };
    if !(1..=spec.price_ticks_max).contains(&price_ticks) {
        return Err(RefusalReason::PriceOutOfRange);
    }
    let quote = quote_amount(spec, price_ticks, quantity_lots).ok_or(RefusalReason::Overflow)?;
    let base = base_amount(spec, quantity_lots).ok_or(RefusalReason::Overflow)?;
    Ok(match side {
        Side::Buy => Terms { price_ticks, asset: spec.quote, amount: quote },
        Side::Sell => Terms { price_ticks, asset: spec.base, amount: base },
    })
}

/// Rounds down: the hold never exceeds what is free.
fn protection_price(spec: &SymbolSpec, quantity_lots: i64, free_quote: i64) -> Result<i64, RefusalReason> {
    assert!(quantity_lots >= 1 && free_quote >= 0, "checked before: {quantity_lots} lots, {free_quote} free");
    let per_tick = i128::from(quantity_lots) * i128::from(spec.quote_per_tick_lot);
    let affordable = i128::from(free_quote) / per_tick;
    if affordable < 1 {
        return Err(RefusalReason::InsufficientBalance);
    }
    Ok(i64::try_from(affordable.min(i128::from(spec.price_ticks_max))).expect("at most price_ticks_max"))
}

/// Quote minor units of `lots` at a price; `None` if that is no i64.
pub fn quote_amount(spec: &SymbolSpec, price_ticks: i64, lots: i64) -> Option<i64> {
    let tick_lots = i128::from(price_ticks) * i128::from(lots);
    i64::try_from(tick_lots.checked_mul(i128::from(spec.quote_per_tick_lot))?).ok()
}

/// Base minor units of `lots`; `None` if that is no i64.
pub fn base_amount(spec: &SymbolSpec, lots: i64) -> Option<i64> {
    lots.checked_mul(spec.base_per_lot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::btcusd;
    use proptest::prelude::*;

    fn check(side: Side, order_type: OrderType, price_ticks: i64, quantity_lots: i64, free_quote: i64) -> Result<(i64, i64), RefusalReason> {
        terms(&btcusd(), side, order_type, price_ticks, quantity_lots, free_quote).map(|terms| (terms.price_ticks, terms.amount))
    }

    /// `btcusd`: 1,000 minor units of base per lot, 10 of quote per tick and lot, prices to 2^40 ticks, quantities to 2^30 lots.
    #[test]
    fn holds() {
        use OrderType::{Limit, LimitMaker, Market};
        use Side::{Buy, Sell};
        assert_eq!(check(Buy, Limit, 100, 3, 0), Ok((100, 3_000)));
        assert_eq!(check(Buy, LimitMaker, 100, 3, 0), Ok((100, 3_000)));
        assert_eq!(check(Sell, Limit, 100, 3, 0), Ok((100, 3_000)), "3 lots of 1,000");
        assert_eq!(check(Sell, Market, 0, 3, 0), Ok((1, 3_000)));
        assert_eq!(check(Buy, Market, 0, 3, 3_000), Ok((100, 3_000)));
        assert_eq!(check(Buy, Market, 0, 3, 3_029), Ok((100, 3_000)), "rounded down to a tick");
        assert_eq!(check(Buy, Market, 0, 3, 30), Ok((1, 30)));
        assert_eq!(check(Buy, Market, 0, 3, 29), Err(RefusalReason::InsufficientBalance), "not one tick");
        assert_eq!(check(Buy, Market, 0, 1, i64::MAX).map(|(price, _)| price), Ok(1 << 40), "capped");
    }

    #[test]
    fn ranges_and_overflow() {
        use OrderType::Limit;
        for quantity in [i64::MIN, -1, 0, (1 << 30) + 1, i64::MAX] {
            assert_eq!(check(Side::Buy, Limit, 1, quantity, 0), Err(RefusalReason::QuantityOutOfRange), "{quantity}");
        }
        for price in [i64::MIN, -1, 0, (1 << 40) + 1, i64::MAX] {
            assert_eq!(check(Side::Sell, Limit, price, 1, 0), Err(RefusalReason::PriceOutOfRange), "{price}");
        }
        for side in [Side::Buy, Side::Sell] {
            assert_eq!(check(side, Limit, 1 << 40, 1 << 30, 0), Err(RefusalReason::Overflow), "2^70 × 10, {side:?}");
        }
        let dear = SymbolSpec { quote_per_tick_lot: i64::MAX, price_ticks_max: i64::MAX, quantity_lots_max: i64::MAX, ..btcusd() };
        assert_eq!(terms(&dear, Side::Buy, Limit, i64::MAX, i64::MAX, 0), Err(RefusalReason::Overflow), "not even an i128");
    }

    proptest! {
        #[test]
        fn a_market_buy_holds_at_most_what_is_free_and_one_tick_more_would_not_fit(quantity in 1..=1_i64 << 30, free in 0..=i64::MAX) {
            match check(Side::Buy, OrderType::Market, 0, quantity, free) {
                Ok((price, amount)) => {
                    prop_assert!(amount <= free);
                    let dearer = quote_amount(&btcusd(), price + 1, quantity);
                    prop_assert!(price == btcusd().price_ticks_max || dearer.is_none_or(|dearer| dearer > free));
                }
                Err(reason) => {
                    prop_assert_eq!(reason, RefusalReason::InsufficientBalance);
                    prop_assert!(quote_amount(&btcusd(), 1, quantity).is_none_or(|least| least > free));
                }
            }
        }
    }
}
