//! Neither free nor locked money is ever below zero, no order is held, settled or released beyond what it ordered, and every balance that was told is
//! the journal's (I5, I-M2, I-M3, I-M9).

use super::{Finding, Invariant, Notes};
use crate::evidence::Evidence;
use crate::ledger::Ledger;
use wire::{Body, Topic};

/// See the module.
pub struct NoNegativeBalance;

impl Invariant for NoNegativeBalance {
    fn name(&self) -> &'static str {
        "no_negative_balance"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        for (partition, log) in evidence.partitions(Topic::AccountEvents) {
            let mut ledger = Ledger::new(&evidence.specs);
            for read in log {
                let Body::AccountEvent(event) = &read.body else { continue };
                finding.count();
                if let Err(broken) = ledger.apply(event) {
                    finding.violated(broken, vec![format!("account_events-{partition}@{} {event:?}", read.offset)]);
                    break;
                }
            }
            for ((account, asset), money) in &ledger.money {
                let held: i128 = ledger.orders.values().filter(|held| held.account == *account && !held.is_closed()).count() as i128;
                let fits = held > 0 || money.locked == 0;
                finding
                    .expect(fits || finding.violation.is_some(), || format!("account {} has {} {asset:?} locked and no open order", account.0, money.locked));
            }
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, change};
    use wire::AccountEvent;

    #[test]
    fn an_order_beyond_the_deposit_is_found() {
        let mut day = a_day();
        change(&mut day.evidence, Topic::AccountEvents, |body| {
            if let Body::AccountEvent(AccountEvent::Deposited { amount, .. }) = body {
                *amount = 4;
            }
        });
        let violation = NoNegativeBalance.check(&day.evidence).violation.expect("five lots are held of four");
        assert_eq!(violation.headline, "account 2 has -1 BTC free and 5 locked");
    }

    #[test]
    fn a_balance_told_wrong_is_found() {
        let mut day = a_day();
        day.journal(AccountEvent::AccountIs { account: day.buyer, balances: Vec::new() });
        assert!(NoNegativeBalance.check(&day.evidence).violation.is_some());
    }

    #[test]
    fn everything_may_be_spent() {
        let mut day = a_day();
        change(&mut day.evidence, Topic::AccountEvents, |body| match body {
            Body::AccountEvent(AccountEvent::Deposited { amount, asset, .. }) if asset.as_str() == "BTC" => *amount = 5,
            Body::AccountEvent(AccountEvent::Deposited { amount, .. }) => *amount = 303,
            _ => {}
        });
        assert_eq!(NoNegativeBalance.check(&day.evidence).violation, None);
    }
}
