//! Numbers have no gap: the sequence of each (source, destination partition), and the trade ids of each symbol from 1 (I7, I-O13), across every change
//! of owner.

use super::{Finding, Invariant, Notes};
use crate::evidence::Evidence;
use crate::sieve::Fate;
use std::collections::BTreeMap;
use wire::{Body, Symbol, Topic};

/// See the module.
pub struct GaplessSequence;

impl Invariant for GaplessSequence {
    fn name(&self) -> &'static str {
        "gapless_sequence"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        for log in evidence.logs.values() {
            finding.checked += log.iter().filter(|read| read.stamp.sequence > 0).count() as u64;
        }
        for dropped in &evidence.dropped {
            if let Fate::Gap { expected } = dropped.fate {
                let (topic, partition) = dropped.place;
                let headline = format!(
                    "{}-{partition}@{} has sequence {} of source {:?}, {expected} should have come",
                    topic.name(),
                    dropped.offset,
                    dropped.stamp.sequence,
                    dropped.stamp.source
                );
                finding.violated(headline, Vec::new());
            }
        }
        let mut last: BTreeMap<Symbol, u64> = BTreeMap::new();
        for (_, read) in evidence.topic(Topic::TradeExecuted) {
            let Body::Trades(list) = &read.body else { continue };
            for trade in &list.trades {
                let before = last.insert(list.symbol, trade.trade_id).unwrap_or(0);
                finding.expect(trade.trade_id == before + 1, || format!("trade {} of {} came after trade {before}", trade.trade_id, list.symbol));
            }
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, change};

    #[test]
    fn a_missing_trade_id_is_found() {
        let mut day = a_day();
        change(&mut day.evidence, Topic::TradeExecuted, |body| {
            if let Body::Trades(list) = body {
                list.trades[0].trade_id = 2;
            }
        });
        let violation = GaplessSequence.check(&day.evidence).violation.expect("trade 1 is missing");
        assert_eq!(violation.headline, "trade 2 of BTCUSD came after trade 0");
    }

    #[test]
    fn a_missing_record_of_a_machine_is_found() {
        let mut day = a_day();
        day.skip_sequence(Topic::AccountEvents);
        day.journal(wire::AccountEvent::AccountIs { account: day.buyer, balances: Vec::new() });
        assert!(GaplessSequence.check(&day.evidence).violation.is_some());
    }

    #[test]
    fn offsets_may_be_sparse_and_a_new_owner_may_repeat() {
        let mut day = a_day();
        day.skip_offsets(7);
        day.repeat_last(Topic::AccountEvents);
        day.journal(wire::AccountEvent::AccountIs { account: day.buyer, balances: Vec::new() });
        assert_eq!(GaplessSequence.check(&day.evidence).violation, None);
    }
}
