//! Decimal texts of users to ticks, lots and minor units, and back. Exact: no binary floating point, nothing is ever rounded; what does not fit its
//! symbol's steps is an error that names the filter.

use std::collections::BTreeMap;
use wire::{Asset, SymbolSpec};

/// What a decimal text looks like; also what an error tells.
pub const PATTERN: &str = r"^([0-9]{1,20})(\.[0-9]{1,20})?$";

/// Why a text is no price or quantity of its symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not `PATTERN`.
    #[error("legal range is '{PATTERN}'")]
    Malformed,
    /// Below one tick, above the highest price, or between two ticks.
    #[error("Filter failure: PRICE_FILTER")]
    PriceFilter,
    /// Below one lot, above the largest quantity, or between two lots.
    #[error("Filter failure: LOT_SIZE")]
    LotSize,
}

/// An asset whose minor units cannot be printed as a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// One unit is no power of ten of minor units.
    #[error("{symbol}: one {asset:?} is {numerator}/{denominator} minor units: must be a power of ten up to 10^18")]
    NoPowerOfTen {
        /// Where it follows from.
        symbol: wire::Symbol,
        /// The asset.
        asset: Asset,
        /// Minor units …
        numerator: i128,
        /// … in so many whole units.
        denominator: i128,
    },
    /// Two symbols disagree.
    #[error("{asset:?} has {one} decimals in one symbol and {other} in {symbol}")]
    Disagree {
        /// The asset.
        asset: Asset,
        /// Decimals by an earlier symbol.
        one: u8,
        /// Decimals by this symbol.
        other: u8,
        /// This symbol.
        symbol: wire::Symbol,
    },
}

/// A price text to ticks: 1 to the symbol's highest.
pub fn price_to_ticks(spec: &SymbolSpec, text: &str) -> Result<i64, DecimalError> {
    steps(text, spec.price_decimals, spec.tick_step, spec.price_ticks_max, DecimalError::PriceFilter)
}

/// A quantity text to lots: 1 to the symbol's largest.
pub fn quantity_to_lots(spec: &SymbolSpec, text: &str) -> Result<i64, DecimalError> {
    steps(text, spec.quantity_decimals, spec.lot_step, spec.quantity_lots_max, DecimalError::LotSize)
}

/// Ticks as a price text, with all of the symbol's decimals.
pub fn ticks_to_price(spec: &SymbolSpec, ticks: i64) -> String {
    print(i128::from(ticks) * i128::from(spec.tick_step), spec.price_decimals)
}

/// Lots as a quantity text, with all of the symbol's decimals.
pub fn lots_to_quantity(spec: &SymbolSpec, lots: i64) -> String {
    print(i128::from(lots) * i128::from(spec.lot_step), spec.quantity_decimals)
}

/// Minor units of an asset with so many decimals.
pub fn amount_to_text(minor_units: i64, decimals: u8) -> String {
    print(i128::from(minor_units), decimals)
}

/// Decimals of every asset, as they follow from the symbols' rules.
pub fn scales(specs: &[SymbolSpec]) -> Result<BTreeMap<Asset, u8>, ScaleError> {
    let mut scales = BTreeMap::new();
    for spec in specs {
        let (price, quantity) = (10_i128.pow(u32::from(spec.price_decimals)), 10_i128.pow(u32::from(spec.quantity_decimals)));
        let (tick, lot) = (i128::from(spec.tick_step), i128::from(spec.lot_step));
        let base = (spec.base, i128::from(spec.base_per_lot) * quantity, lot);
        // One tick and lot are tick × lot of the last digits of price and quantity.
        let quote = (spec.quote, i128::from(spec.quote_per_tick_lot).saturating_mul(price * quantity), tick * lot);
        for (asset, numerator, denominator) in [base, quote] {
            let decimals = power_of_ten(numerator, denominator).ok_or(ScaleError::NoPowerOfTen { symbol: spec.symbol, asset, numerator, denominator })?;
            let known = *scales.entry(asset).or_insert(decimals);
            if known != decimals {
                return Err(ScaleError::Disagree { asset, one: known, other: decimals, symbol: spec.symbol });
            }
        }
    }
    Ok(scales)
}

fn power_of_ten(numerator: i128, denominator: i128) -> Option<u8> {
    (0..=18).find(|power| 10_i128.pow(u32::from(*power)).checked_mul(denominator) == Some(numerator))
}

/// Whole steps in a text, 1 to `max`.
fn steps(text: &str, decimals: u8, step: u32, max: i64, filter: DecimalError) -> Result<i64, DecimalError> {
    let (whole, fraction) = split(text).ok_or(DecimalError::Malformed)?;
    let (kept, beyond) = fraction.split_at(fraction.len().min(usize::from(decimals)));
    if beyond.bytes().any(|digit| digit != b'0') {
        return Err(filter);
    }
    let zeros = usize::from(decimals) - kept.len();
    let digits = whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', zeros));
    // 20 whole digits and 18 decimals are 38: an i128 holds them.
    let units = digits.fold(0_i128, |units, digit| units * 10 + i128::from(digit - b'0'));
    let step = i128::from(step);
    let steps = i64::try_from(units / step).map_err(|_| filter)?;
    if units % step == 0 && (1..=max).contains(&steps) { Ok(steps) } else { Err(filter) }
}

/// Whole and fractional digits, if it is a decimal text.
fn split(text: &str) -> Option<(&str, &str)> {
    let is_digits = |part: &str| (1..=20).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => (is_digits(whole) && is_digits(fraction)).then_some((whole, fraction)),
        None => is_digits(text).then_some((text, "")),
    }
}

fn print(units: i128, decimals: u8) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = 10_u128.pow(u32::from(decimals));
    let (whole, fraction) = (units.unsigned_abs() / scale, units.unsigned_abs() % scale);
    match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction:0width$}", width = usize::from(decimals)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::btcusd;
    use proptest::prelude::*;

    #[test]
    fn prices() {
        let spec = SymbolSpec { tick_step: 5, ..btcusd() };
        let table = [
            ("100.50", Ok(2_010)),
            ("100.5", Ok(2_010)),
            ("100.500000", Ok(2_010)),
            ("00100.5", Ok(2_010)),
            ("0.05", Ok(1)),
            ("100.51", Err(DecimalError::PriceFilter)),
            ("100.505", Err(DecimalError::PriceFilter)),
            ("0", Err(DecimalError::PriceFilter)),
            ("0.00", Err(DecimalError::PriceFilter)),
            ("99999999999999999999.99999999999999999999", Err(DecimalError::PriceFilter)),
            ("54975581388.80", Ok(1 << 40)),
            ("54975581388.85", Err(DecimalError::PriceFilter)),
            ("", Err(DecimalError::Malformed)),
            (".", Err(DecimalError::Malformed)),
            (".5", Err(DecimalError::Malformed)),
            ("5.", Err(DecimalError::Malformed)),
            ("1e3", Err(DecimalError::Malformed)),
            ("-1", Err(DecimalError::Malformed)),
            ("+1", Err(DecimalError::Malformed)),
            (" 1", Err(DecimalError::Malformed)),
            ("1.2.3", Err(DecimalError::Malformed)),
            ("٣", Err(DecimalError::Malformed)),
            ("100000000000000000000000", Err(DecimalError::Malformed)),
        ];
        for (text, expected) in table {
            assert_eq!(price_to_ticks(&spec, text), expected, "{text}");
        }
    }

    #[test]
    fn quantities_name_their_own_filter() {
        assert_eq!(quantity_to_lots(&btcusd(), "1.5"), Ok(1_500));
        assert_eq!(quantity_to_lots(&btcusd(), "0.0001"), Err(DecimalError::LotSize));
        assert_eq!(quantity_to_lots(&btcusd(), "2000000"), Err(DecimalError::LotSize));
        assert_eq!(DecimalError::LotSize.to_string(), "Filter failure: LOT_SIZE");
    }

    #[test]
    fn texts_have_all_decimals() {
        assert_eq!(ticks_to_price(&btcusd(), 10_050), "100.50");
        assert_eq!(ticks_to_price(&SymbolSpec { price_decimals: 0, ..btcusd() }, 7), "7");
        assert_eq!(lots_to_quantity(&btcusd(), 1), "0.001");
        assert_eq!(amount_to_text(-5, 2), "-0.05");
        assert_eq!(amount_to_text(i64::MIN, 18), "-9.223372036854775808");
    }

    /// A lot of 0.001 is 1,000 minor units, so that one BTC is 10^6; a tick of 0.01 times a lot is 10 minor units, so that one USD is 10^6.
    #[test]
    fn scales_follow_from_the_rules() {
        assert_eq!(scales(&[btcusd()]), Ok(BTreeMap::from([(Asset(*b"BTC"), 6), (Asset(*b"USD"), 6)])));
        let odd = SymbolSpec { base_per_lot: 7, ..btcusd() };
        assert_eq!(scales(&[odd]).expect_err("7 × 10^3").to_string(), "BTCUSD: one BTC is 7000/1 minor units: must be a power of ten up to 10^18");
        let other = SymbolSpec { symbol: wire::Symbol(*b"ETHUSD"), base: Asset(*b"ETH"), quote_per_tick_lot: 1, ..btcusd() };
        assert_eq!(scales(&[btcusd(), other]).expect_err("6 and 5").to_string(), "USD has 6 decimals in one symbol and 5 in ETHUSD");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(decimals in 0..=18_u8, step in 1..=u32::MAX, ticks in 1..=i64::MAX) {
            let spec = SymbolSpec { price_decimals: decimals, tick_step: step, price_ticks_max: i64::MAX, ..btcusd() };
            let text = ticks_to_price(&spec, ticks);
            // Larger prices print with more digits than a user may send.
            prop_assume!(text.split('.').next().is_some_and(|whole| whole.len() <= 20));
            prop_assert_eq!(price_to_ticks(&spec, &text), Ok(ticks), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.]{0,44}") {
            if let Ok(ticks) = price_to_ticks(&btcusd(), &text) {
                prop_assert!((1..=btcusd().price_ticks_max).contains(&ticks));
                prop_assert_eq!(price_to_ticks(&btcusd(), &ticks_to_price(&btcusd(), ticks)), Ok(ticks));
            }
        }
    }
}
