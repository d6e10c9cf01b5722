//! A fast book allocates what its bounds say when it is made, and then never again: not when it is full, not when its window moves.

use book::{BookConfig, Fast, Venue};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::{OrderType, RejectReason, Side, TimeInForce};
use wire::slot::{Command, Report};

/// Bytes that were ever asked for. Written by whoever allocates, read by the test; the order of other memory does not matter.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const SYMBOL: Symbol = Symbol(*b"BTCUSD");
const CONFIG: BookConfig = BookConfig { price_ticks_max: 1 << 40, quantity_lots_max: 1 << 20, orders_max: 1_000, levels_max: 300, origins_max: 16 };

/// A market that runs up and down and jumps, with more orders than there is room for.
fn commands() -> Vec<Command> {
    let mut state = 1_u64;
    let mut next = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % bound
    };
    let mut market = 1_i64 << 20;
    let command = |number: u64| {
        market = match number % 5_000 {
            0 => 1_000 + next(1 << 38) as i64,
            _ => (market + next(9) as i64 - 4).max(1_000),
        };
        let (account, order_id) = (AccountId(1), OrderId((number % 16) << 40 | number));
        let older = number.saturating_sub(next(2_000)).max(1);
        let older = OrderId((older % 16) << 40 | older);
        let (side, price_ticks) = if next(2) == 0 { (Side::Buy, market - next(300) as i64) } else { (Side::Sell, market + next(300) as i64) };
        let quantity_lots = 1 + next(50) as i64;
        match next(10) {
            0..2 => Command::Cancel { symbol: SYMBOL, order_id: older, account },
            2 => Command::Replace { symbol: SYMBOL, order_id: older, account, price_ticks, quantity_lots },
            _ => {
                let (order_type, time_in_force) = (OrderType::Limit, TimeInForce::Gtc);
                Command::Place { symbol: SYMBOL, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots }
            }
        }
    };
    (1..100_000).map(command).collect()
}

/// One test in this file: another thread would allocate meanwhile.
#[test]
fn nothing_is_allocated_after_the_start() {
    let commands = commands();
    let mut reports: Vec<Report> = Vec::with_capacity(10_000);
    let before = ALLOCATED.load(Ordering::Relaxed);
    let book = Fast::with_window(CONFIG, 256);
    assert_eq!(ALLOCATED.load(Ordering::Relaxed) - before, Fast::bytes(&CONFIG, 256), "it allocates what it says");
    let mut venue = Venue::new(1);
    assert!(venue.list(SYMBOL, book));
    let before = ALLOCATED.load(Ordering::Relaxed);
    let (mut full, mut trades) = (0, 0);
    for batch in commands.chunks(100) {
        venue.apply_all(
            batch,
            &mut reports,
            |_| unreachable!("the symbol is listed"),
            |_, reports| {
                full += usize::from(matches!(reports[0], Report::Rejected { reason: RejectReason::BookFull, .. }));
                trades += reports.iter().filter(|report| matches!(report, Report::Traded { .. })).count();
            },
        );
    }
    assert_eq!(ALLOCATED.load(Ordering::Relaxed) - before, 0, "bytes allocated by commands");
    assert!(full > 1_000 && trades > 1_000, "the book was full {full} times, there were {trades} trades");
}
