//! What a symbol's rules must satisfy before anybody trades by them. Machines ignore a listing that does not; the operator is told why.

use wire::SymbolSpec;

/// Most digits behind the point of a price or quantity.
pub const DECIMALS_MAX: u8 = 18;

/// A listing that makes no sense; names field and rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// A number that counts or divides something is below 1.
    #[error("{field} {value}: at least 1")]
    BelowOne {
        /// The field.
        field: &'static str,
        /// What stands there.
        value: i64,
    },
    /// More digits than an integer of 64 bits has.
    #[error("{field} {value}: at most {DECIMALS_MAX}")]
    Decimals {
        /// The field.
        field: &'static str,
        /// What stands there.
        value: u8,
    },
    /// Base and quote are one asset: nothing would be exchanged.
    #[error("base and quote are the same asset")]
    SameAsset,
}

/// Checks a listing.
pub fn check(spec: &SymbolSpec) -> Result<(), ListingError> {
    let counts = [
        ("base_per_lot", spec.base_per_lot),
        ("quote_per_tick_lot", spec.quote_per_tick_lot),
        ("price_ticks_max", spec.price_ticks_max),
        ("quantity_lots_max", spec.quantity_lots_max),
        ("tick_step", i64::from(spec.tick_step)),
        ("lot_step", i64::from(spec.lot_step)),
    ];
    if let Some((field, value)) = counts.into_iter().find(|(_, value)| *value < 1) {
        return Err(ListingError::BelowOne { field, value });
    }
    let digits = [("price_decimals", spec.price_decimals), ("quantity_decimals", spec.quantity_decimals)];
    if let Some((field, value)) = digits.into_iter().find(|(_, value)| *value > DECIMALS_MAX) {
        return Err(ListingError::Decimals { field, value });
    }
    if spec.base == spec.quote { Err(ListingError::SameAsset) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::btcusd;

    #[test]
    fn a_sound_listing_passes_and_every_bad_field_is_named() {
        assert_eq!(check(&btcusd()), Ok(()));
        let bad = [
            (SymbolSpec { base_per_lot: 0, ..btcusd() }, "base_per_lot 0: at least 1"),
            (SymbolSpec { quote_per_tick_lot: -1, ..btcusd() }, "quote_per_tick_lot -1: at least 1"),
            (SymbolSpec { price_ticks_max: 0, ..btcusd() }, "price_ticks_max 0: at least 1"),
            (SymbolSpec { quantity_lots_max: 0, ..btcusd() }, "quantity_lots_max 0: at least 1"),
            (SymbolSpec { tick_step: 0, ..btcusd() }, "tick_step 0: at least 1"),
            (SymbolSpec { lot_step: 0, ..btcusd() }, "lot_step 0: at least 1"),
            (SymbolSpec { price_decimals: 19, ..btcusd() }, "price_decimals 19: at most 18"),
            (SymbolSpec { base: btcusd().quote, ..btcusd() }, "base and quote are the same asset"),
        ];
        for (spec, said) in bad {
            assert_eq!(check(&spec).expect_err(said).to_string(), said);
        }
    }
}
