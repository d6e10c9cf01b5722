//! Money is neither made nor lost: per asset the balances add up to the deposits (I-M1), and the two sides of each trade cancel out (I-M5).

use super::{Finding, Invariant, Notes};
use crate::evidence::Evidence;
use crate::ledger::Ledger;
use std::collections::BTreeMap;
use wire::{AccountEvent, Body, Symbol, Topic};

/// See the module.
pub struct Conservation;

impl Invariant for Conservation {
    fn name(&self) -> &'static str {
        "conservation"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        let mut ledger = Ledger::new(&evidence.specs);
        let mut trades: BTreeMap<(Symbol, u64), (u32, i128, i128)> = BTreeMap::new();
        for (partition, log) in evidence.partitions(Topic::AccountEvents) {
            // A symbol's trades settle in several partitions; each journal alone is in order.
            let mut own = Ledger::new(&evidence.specs);
            for read in log {
                let Body::AccountEvent(event) = &read.body else { continue };
                finding.count();
                // What breaks another rule of money is that rule's to tell.
                let _ = own.apply(event);
                if let AccountEvent::Settled { order_id, trade_id, base_change, quote_change, .. } = event {
                    match own.orders.get(order_id) {
                        Some(held) => {
                            let sum = trades.entry((held.order.symbol, *trade_id)).or_default();
                            *sum = (sum.0 + 1, sum.1 + i128::from(*base_change), sum.2 + i128::from(*quote_change));
                        }
                        None => finding.violated(format!("order {} is settled in partition {partition} but was not placed there", order_id.0), Vec::new()),
                    }
                }
            }
            merge(&mut ledger, own);
        }
        for ((symbol, trade_id), (sides, base, quote)) in trades {
            // A trade with one side settled is not over; `eventually_settled` and `settled_once` see to that.
            if sides >= 2 && (base, quote) != (0, 0) {
                finding.violated(format!("trade {trade_id} of {symbol} made {base} base and {quote} quote out of nothing"), Vec::new());
            }
        }
        if evidence.settling.settled_ms.is_some() {
            check_sums(&ledger, &mut finding);
        }
        finding
    }
}

fn check_sums(ledger: &Ledger, finding: &mut Finding) {
    let mut sums: BTreeMap<_, i128> = BTreeMap::new();
    for ((_, asset), money) in &ledger.money {
        *sums.entry(*asset).or_default() += money.free + money.locked;
    }
    for (asset, sum) in sums {
        let deposited = ledger.deposited.get(&asset).copied().unwrap_or(0);
        finding.expect(sum == deposited, || format!("{deposited} {asset:?} were deposited, {sum} are in the accounts"));
    }
}

fn merge(all: &mut Ledger, one: Ledger) {
    for (key, money) in one.money {
        let sum = all.money.entry(key).or_default();
        sum.free += money.free;
        sum.locked += money.locked;
    }
    for (asset, amount) in one.deposited {
        *all.deposited.entry(asset).or_default() += amount;
    }
    all.orders.extend(one.orders);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, change};

    #[test]
    fn a_seller_paid_too_much_is_found() {
        let mut day = a_day();
        change(&mut day.evidence, Topic::AccountEvents, |body| match body {
            Body::AccountEvent(AccountEvent::Settled { quote_change, .. }) if *quote_change > 0 => *quote_change += 1,
            _ => {}
        });
        let violation = Conservation.check(&day.evidence).violation.expect("a unit of quote came out of nothing");
        assert_eq!(violation.headline, "trade 1 of BTCUSD made 0 base and 1 quote out of nothing");
    }

    #[test]
    fn a_repeated_deposit_moves_nothing() {
        let mut day = a_day();
        day.journal(AccountEvent::Deposited { account: day.buyer, deposit_id: 1, asset: day.spec.quote, amount: 1_000_000, duplicate: true });
        assert_eq!(Conservation.check(&day.evidence).violation, None);
    }
}
