//! The fast book against every case, and against ten thousand random histories, whatever its window.

mod state_machine;

use book::{BookConfig, Fast};

#[test]
fn conformance() {
    book::conformance::conformance(Fast::new);
    book::conformance::conformance(|config: BookConfig| Fast::with_window(config, 64));
    book::conformance::conformance(Fast::growing);
}

#[test]
fn random_histories() {
    state_machine::random_histories(Fast::new);
}

/// A market that wanders over all prices, jumps, and leaves orders far behind, in a window of 64 prices: whatever the naive book says, the fast one
/// says, and the states are equal after every step.
mod twins {
    use super::*;
    use book::{Book, Naive};
    use proptest::prelude::*;
    use wire::ids::{AccountId, OrderId, Symbol};
    use wire::order::{OrderType, Side, TimeInForce};
    use wire::slot::Command;

    /// What happens to the market's price, and then in it.
    #[derive(Debug, Clone, Copy)]
    struct Step {
        drift: i64,
        off: i64,
        what: u8,
        pick: usize,
        lots: i64,
        origin: u64,
    }

    fn step() -> impl Strategy<Value = Step> {
        let drift = prop_oneof![20 => Just(0_i64), 10 => -20..=20_i64, 1 => -5_000..=5_000_i64, 1 => any::<i64>()];
        let off = prop_oneof![10 => -8..=8_i64, 3 => -200..=200_i64, 1 => -100_000..=100_000_i64];
        (drift, off, 0..32_u8, any::<usize>(), 1..20_i64, 0..5_u64).prop_map(|(drift, off, what, pick, lots, origin)| Step {
            drift,
            off,
            what,
            pick,
            lots,
            origin,
        })
    }

    fn command(step: Step, market: i64, number: u64, ids: &[OrderId], price_max: i64) -> Command {
        let symbol = Symbol(*b"BTCUSD");
        let Step { off, what, pick, lots, origin, .. } = step;
        let price_ticks = market.saturating_add(off).clamp(1, price_max);
        let order_id = if ids.is_empty() { OrderId(number) } else { ids[pick % ids.len()] };
        let account = AccountId(1);
        match what {
            0..8 => Command::Cancel { symbol, order_id, account },
            8..10 => Command::Reduce { symbol, order_id, account, lots },
            10..14 => Command::Replace { symbol, order_id, account, price_ticks, quantity_lots: lots },
            _ => {
                let side = if pick % 2 == 0 { Side::Buy } else { Side::Sell };
                let order_type = [OrderType::Limit, OrderType::Limit, OrderType::Limit, OrderType::LimitMaker, OrderType::Market][what as usize % 5];
                let time_in_force = [TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok][pick % 5];
                Command::Place { symbol, side, order_type, time_in_force, order_id: OrderId(origin << 40 | number), account, price_ticks, quantity_lots: lots }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn agree(
            steps in prop::collection::vec(step(), 1..120),
            price_ticks_max in prop_oneof![Just(100_i64), Just(200_000), Just(1 << 40), Just(i64::MAX)],
            quantity_lots_max in prop_oneof![Just(1_000_i64), Just(i64::MAX)],
            (orders_max, levels_max) in prop_oneof![Just((64_usize, 64_usize)), (1..20_usize, 1..10_usize)],
        ) {
            let config = BookConfig { price_ticks_max, quantity_lots_max, orders_max, levels_max, origins_max: 4 };
            let (mut naive, mut fast) = (Naive::new(config), Fast::with_window(config, 64));
            let (mut expected, mut reports, mut ids) = (Vec::new(), Vec::new(), Vec::new());
            let mut market = price_ticks_max / 2;
            for (number, step) in (1..).zip(steps) {
                market = market.saturating_add(step.drift).clamp(1, price_ticks_max);
                let command = command(step, market, number, &ids, price_ticks_max);
                if let Command::Place { order_id, .. } = command {
                    ids.push(order_id);
                }
                expected.clear();
                reports.clear();
                naive.apply(&command, &mut expected);
                fast.prefetch(&command);
                fast.prefetch_further(&command);
                fast.apply(&command, &mut reports);
                prop_assert_eq!(&reports, &expected, "{:?}", command);
                prop_assert_eq!(fast.state_hash(), naive.state_hash(), "{:?}", command);
            }
        }
    }
}
