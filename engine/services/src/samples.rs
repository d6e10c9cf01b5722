//! Values for tests.

use wire::{Asset, Symbol, SymbolSpec};

/// A symbol with every number different: 1,000 minor units of base per lot, 10 of quote per tick and lot; prices `100.50`, step 0.01; quantities `0.001`.
pub fn btcusd() -> SymbolSpec {
    SymbolSpec {
        symbol: Symbol(*b"BTCUSD"),
        base: Asset(*b"BTC"),
        quote: Asset(*b"USD"),
        base_per_lot: 1_000,
        quote_per_tick_lot: 10,
        price_ticks_max: 1 << 40,
        quantity_lots_max: 1 << 30,
        price_decimals: 2,
        tick_step: 1,
        quantity_decimals: 3,
        lot_step: 1,
    }
}
