//! What is traded, as an operator writes it: a JSON list of symbols, or the one that comes with the product.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use wire::{Asset, Symbol, SymbolSpec};

/// A symbol in a listing file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    symbol: String,
    base: String,
    quote: String,
    base_per_lot: i64,
    quote_per_tick_lot: i64,
    price_ticks_max: i64,
    quantity_lots_max: i64,
    price_decimals: u8,
    tick_step: u32,
    quantity_decimals: u8,
    lot_step: u32,
}

/// BTCUSD: prices to the cent, quantities to a hundred-thousandth.
pub fn default() -> Vec<SymbolSpec> {
    vec![SymbolSpec {
        symbol: Symbol(*b"BTCUSD"),
        base: Asset(*b"BTC"),
        quote: Asset(*b"USD"),
        // 1 lot = 0.00001 BTC = 1,000 units of 10^-8; 1 tick × 1 lot = 10^-7 USD.
        base_per_lot: 1_000,
        quote_per_tick_lot: 1,
        price_ticks_max: 100_000_000,
        quantity_lots_max: 1_000_000_000,
        price_decimals: 2,
        tick_step: 1,
        quantity_decimals: 5,
        lot_step: 1,
    }]
}

/// Reads a listing file; the error names the file and the field.
pub fn read(path: &Path) -> Result<Vec<SymbolSpec>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("listing {}", path.display()))?;
    let listed: Vec<Listed> = serde_json::from_str(&text).with_context(|| format!("listing {}", path.display()))?;
    ensure!(!listed.is_empty(), "listing {}: at least one symbol", path.display());
    listed.iter().map(|entry| spec(entry).with_context(|| format!("listing {}: symbol {:?}", path.display(), entry.symbol))).collect()
}

fn spec(entry: &Listed) -> Result<SymbolSpec> {
    let spec = SymbolSpec {
        symbol: Symbol::parse(&entry.symbol)?,
        base: Asset::parse(&entry.base)?,
        quote: Asset::parse(&entry.quote)?,
        base_per_lot: entry.base_per_lot,
        quote_per_tick_lot: entry.quote_per_tick_lot,
        price_ticks_max: entry.price_ticks_max,
        quantity_lots_max: entry.quantity_lots_max,
        price_decimals: entry.price_decimals,
        tick_step: entry.tick_step,
        quantity_decimals: entry.quantity_decimals,
        lot_step: entry.lot_step,
    };
    services::listing::check(&spec)?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_that_comes_with_the_product_is_sound() {
        for spec in default() {
            services::listing::check(&spec).expect("sound");
        }
    }

    #[test]
    fn a_bad_file_names_file_and_field() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("listing.json");
        std::fs::write(&path, r#"[{"symbol":"BTCUSDT","base":"BTC","quote":"USD","base_per_lot":1,"quote_per_tick_lot":1,"price_ticks_max":9,"quantity_lots_max":9,"price_decimals":2,"tick_step":1,"quantity_decimals":0,"lot_step":1}]"#).expect("writable");
        let said = format!("{:#}", read(&path).expect_err("seven characters"));
        assert!(said.contains("listing.json") && said.contains("alphanumeric of 6 digits"), "{said}");
    }
}
