//! Commands, six bytes each and up to sixteen times, for a fast book in a small window, a growing one, and the naive one: each says and is the same.

use crate::Target;
use ::book::{Book, BookConfig, Fast, Naive};
use std::collections::BTreeSet;
use wire::slot::{Command, Report};
use wire::{AccountId, OrderId, OrderType, Side, Symbol, TimeInForce};

pub const TARGET: Target = Target { name: "book", about: "the fast book against the naive one", seeds, run };

/// Commands of one input.
const COMMANDS_MAX: usize = 2_000;

fn seeds() -> Vec<Vec<u8>> {
    let market = (0..60_u8).flat_map(|n| [n, n.wrapping_mul(37), n % 7, 3, n.wrapping_mul(11), n]);
    // More orders than a growing book starts with, none of which trades.
    let ladder = (0..40_u8).flat_map(|n| [0xc3, if n % 2 == 0 { 0x80 | n } else { n }, 0, 2, 0, n % 2]);
    [vec![0x00, 0x21], vec![0x13, 0x07], vec![0xff, 0xff]]
        .into_iter()
        .map(|bounds| bounds.into_iter().chain(market.clone()).chain(ladder.clone()).chain(market.clone()).collect())
        .collect()
}

fn run(input: &[u8]) -> String {
    let Some(([bounds, room], steps)) = input.split_first_chunk() else { return "no bounds".to_owned() };
    let config = BookConfig {
        price_ticks_max: [100, 200_000, 1 << 40, i64::MAX][usize::from(bounds & 3)],
        quantity_lots_max: [1_000, i64::MAX][usize::from(bounds >> 2 & 1)],
        orders_max: 1 + usize::from(room & 0x3f) * if bounds & 8 == 0 { 1 } else { 16 },
        levels_max: 1 + usize::from(room >> 6) * 100 + usize::from(room & 7),
        origins_max: 1 + usize::from(bounds >> 4 & 3),
    };
    let (mut naive, mut fast, mut growing) = (Naive::new(config), Fast::with_window(config, 64), Fast::growing(config));
    let (mut market, mut kinds) = (config.price_ticks_max / 2, BTreeSet::new());
    let (mut expected, mut told) = (Vec::new(), Vec::new());
    let steps = steps.as_chunks().0.iter().flat_map(|step| std::iter::repeat_n(*step, 1 + 5 * usize::from(step[0] >> 6)));
    for (number, step) in (1..).zip(steps.take(COMMANDS_MAX)) {
        let command = command(step, &config, &mut market, number);
        expected.clear();
        naive.apply(&command, &mut expected);
        for book in [&mut fast, &mut growing] {
            told.clear();
            book.prefetch(&command);
            book.prefetch_further(&command);
            book.apply(&command, &mut told);
            assert_eq!(told, expected, "{command:?}");
        }
        kinds.extend(expected.iter().map(kind));
    }
    assert_eq!([fast.state_hash(), growing.state_hash()], [naive.state_hash(); 2], "equal states at the end");
    format!("{kinds:?}")
}

fn command([what, off, drift, lots, pick, flags]: [u8; 6], config: &BookConfig, market: &mut i64, number: u64) -> Command {
    let drift = i64::from(drift.cast_signed());
    // Mostly nearby, sometimes far.
    let drift = if flags & 0xc0 == 0xc0 { drift.saturating_mul(config.price_ticks_max / 256) } else { drift / 16 };
    *market = market.saturating_add(drift).clamp(1, config.price_ticks_max);
    // Out of range as well.
    let price_ticks = market.saturating_add(i64::from(off.cast_signed()));
    let lots = if lots == 0xff { config.quantity_lots_max } else { i64::from(lots % 32) };
    let (symbol, account) = (Symbol(*b"BTCUSD"), AccountId(u64::from(flags >> 5 & 1)));
    let origin = u64::from(pick & 3) << 40;
    let older = OrderId(origin | number.saturating_sub(u64::from(pick >> 2)));
    match what % 8 {
        0 => Command::Cancel { symbol, order_id: older, account },
        1 => Command::Reduce { symbol, order_id: older, account, lots },
        2 => Command::Replace { symbol, order_id: older, account, price_ticks, quantity_lots: lots },
        _ => Command::Place {
            symbol,
            side: if flags & 1 == 0 { Side::Buy } else { Side::Sell },
            order_type: [OrderType::Limit, OrderType::Limit, OrderType::Market, OrderType::LimitMaker][usize::from(flags >> 1 & 3)],
            time_in_force: [TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok][usize::from(flags >> 3 & 3)],
            order_id: OrderId(origin | number),
            account,
            price_ticks,
            quantity_lots: lots,
        },
    }
}

/// The variant and its reason.
fn kind(report: &Report) -> String {
    let text = format!("{report:?}");
    text.split(", ").next().unwrap_or_default().chars().filter(|character| !character.is_ascii_digit()).collect()
}
