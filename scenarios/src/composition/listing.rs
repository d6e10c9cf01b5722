//! What is traded in simulation.

use wire::{Asset, Symbol, SymbolSpec};

/// Most symbols that a shape can ask for.
pub const SYMBOLS_MAX: u32 = 4;

const BASES: [&[u8; 3]; SYMBOLS_MAX as usize] = [b"BTC", b"ETH", b"SOL", b"XRP"];

/// The first `count` symbols, all quoted in USD: prices to the cent, quantities to a hundred-thousandth.
pub fn specs(count: u32) -> Vec<SymbolSpec> {
    assert!((1..=SYMBOLS_MAX).contains(&count), "1 to {SYMBOLS_MAX} symbols, not {count}");
    BASES.iter().take(count as usize).map(|base| spec(base)).collect()
}

fn spec(base: &[u8; 3]) -> SymbolSpec {
    let mut symbol = *b"...USD";
    symbol[..3].copy_from_slice(base);
    SymbolSpec {
        symbol: Symbol(symbol),
        base: Asset(*base),
        quote: Asset(*b"USD"),
        // 1 lot = 0.00001 of base = 1,000 units of 10^-8; 1 tick × 1 lot = 10^-7 USD.
        base_per_lot: 1_000,
        quote_per_tick_lot: 1,
        price_ticks_max: 10_000_000,
        quantity_lots_max: 1_000_000,
        price_decimals: 2,
        tick_step: 1,
        quantity_decimals: 5,
        lot_step: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listing_is_sound() {
        let specs = specs(SYMBOLS_MAX);
        assert_eq!(specs.iter().map(|spec| spec.symbol.as_str()).collect::<Vec<_>>(), ["BTCUSD", "ETHUSD", "SOLUSD", "XRPUSD"]);
        assert!(specs.iter().all(|spec| services::listing::check(spec).is_ok()) && services::decimal::scales(&specs).is_ok());
    }
}
