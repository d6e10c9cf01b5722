//! Who was left in doubt is told in the end what the log says: after everything has settled the gateway's answer about each order is the journal's, and
//! nothing that was told as final before is contradicted (I12, I16).

use super::{Finding, Invariant, Notes};
use crate::evidence::{ClientStep, Evidence};
use crate::ledger::Ledger;
use crate::operation::{Answer, Ask, status};
use log::history::Phase;
use std::collections::{BTreeMap, BTreeSet};
use wire::{Body, Topic};

/// See the module.
pub struct UnknownResolvedTruthfully;

/// An order as a client names it.
type Name = (u64, String);

impl Invariant for UnknownResolvedTruthfully {
    fn name(&self) -> &'static str {
        "unknown_resolved_truthfully"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        let truth = truth(evidence);
        let placed: BTreeSet<Name> = places(evidence).filter(|(_, step)| matches!(step.phase, Phase::Ok | Phase::Unknown)).map(|(name, _)| name).collect();
        let in_doubt: BTreeSet<Name> = places(evidence).filter(|(_, step)| step.phase == Phase::Unknown).map(|(name, _)| name).collect();
        let mut resolved: BTreeSet<Name> = BTreeSet::new();
        for step in evidence.clients.iter().filter(|step| matches!(step.phase, Phase::Ok | Phase::Fail)) {
            let (Some(id), Some(answer)) = (step.operation.ask.client_order_id(), &step.operation.answer) else { continue };
            let name = (step.operation.account, id.to_owned());
            if step.operation.last_word {
                resolved.insert(name.clone());
                last_word(&name, answer, truth.get(&name), &mut finding);
            } else {
                before(&name, step, answer, truth.get(&name), placed.contains(&name), &mut finding);
            }
        }
        if evidence.settling.settled_ms.is_some() {
            for name in &in_doubt {
                finding.expect(resolved.contains(name), || format!("{} of account {} was in doubt and its client was never told", name.1, name.0));
            }
        }
        finding
    }
}

/// What the journal says of an order at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Truth {
    order_id: u64,
    ordered_lots: i64,
    executed_lots: i64,
    executed_quote: i64,
}

fn truth(evidence: &Evidence) -> BTreeMap<Name, Truth> {
    let mut truth = BTreeMap::new();
    for (_, log) in evidence.partitions(Topic::AccountEvents) {
        let mut ledger = Ledger::new(&evidence.specs);
        for read in log {
            if let Body::AccountEvent(event) = &read.body {
                // A broken rule of money is told by the invariant of that name.
                let _ = ledger.apply(event);
            }
        }
        truth.extend(ledger.orders.values().map(|held| {
            let name = (held.account.0, held.order.client_order_id.0.clone());
            let (order_id, ordered_lots) = (held.order.order_id.0, held.order.quantity_lots);
            (name, Truth { order_id, ordered_lots, executed_lots: held.settled_lots, executed_quote: held.settled_quote })
        }));
    }
    truth
}

fn places(evidence: &Evidence) -> impl Iterator<Item = (Name, &ClientStep)> {
    evidence.clients.iter().filter_map(|step| match &step.operation.ask {
        Ask::Place { client_order_id, .. } => Some(((step.operation.account, client_order_id.clone()), step)),
        _ => None,
    })
}

fn last_word(name: &Name, answer: &Answer, truth: Option<&Truth>, finding: &mut Finding) {
    let is_true = match (answer, truth) {
        (Answer::Order { order_id, status: number, executed_lots, executed_quote }, Some(truth)) => {
            let filled = *executed_lots == truth.ordered_lots;
            let status_fits = status(*number).is_terminal() && (status(*number) == wire::OrderStatus::Filled) == filled;
            (*order_id, *executed_lots, *executed_quote) == (truth.order_id, truth.executed_lots, truth.executed_quote) && status_fits
        }
        (Answer::Refused { .. }, None) => true,
        _ => false,
    };
    finding.expect(is_true, || format!("the last word about {} of account {} was {answer:?}, the journal says {truth:?}", name.1, name.0));
}

/// Answers while orders still moved: the order must be the journal's, fills must not be above the final ones, and a refusal must stand unless another
/// attempt of the same order was taken or in doubt (it may have come later by an old connection).
fn before(name: &Name, step: &ClientStep, answer: &Answer, truth: Option<&Truth>, may_be_another_attempt: bool, finding: &mut Finding) {
    let is_true = match (answer, truth) {
        (Answer::Order { order_id, executed_lots, .. }, Some(truth)) => *order_id == truth.order_id && *executed_lots <= truth.executed_lots,
        (Answer::Order { .. }, None) => false,
        (Answer::Refused { .. }, Some(_)) if matches!(step.operation.ask, Ask::Place { .. }) => may_be_another_attempt,
        _ => true,
    };
    finding.expect(is_true, || format!("{} was told {answer:?} about {} of account {}, the journal says {truth:?}", step.node, name.1, name.0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::a_day;

    #[test]
    fn an_order_called_refused_that_filled_is_found() {
        let mut day = a_day();
        day.evidence.clients.retain(|step| step.operation.last_word);
        day.tell_buyer(Phase::Fail, false, Answer::Refused { code: -2010, message: "Account has insufficient balance for requested action.".to_owned() });
        let violation = UnknownResolvedTruthfully.check(&day.evidence).violation.expect("order 2 was filled");
        assert!(violation.headline.starts_with("client-1 was told Refused"), "{}", violation.headline);
    }

    #[test]
    fn a_last_word_with_other_fills_is_found() {
        let mut day = a_day();
        day.tell_buyer(Phase::Ok, true, Answer::Order { order_id: 2, status: 3, executed_lots: 2, executed_quote: 200 });
        assert!(UnknownResolvedTruthfully.check(&day.evidence).violation.is_some());
    }

    #[test]
    fn a_late_refusal_of_a_second_attempt_is_legal_while_the_first_is_in_doubt() {
        let mut day = a_day();
        day.doubt_buyer();
        day.tell_buyer(Phase::Fail, false, Answer::Refused { code: -2010, message: String::new() });
        day.tell_buyer(Phase::Ok, true, Answer::Order { order_id: 2, status: 2, executed_lots: 3, executed_quote: 300 });
        assert_eq!(UnknownResolvedTruthfully.check(&day.evidence).violation, None);
    }

    #[test]
    fn a_doubt_that_nobody_ever_resolved_is_found() {
        let mut day = a_day();
        day.evidence.clients.retain(|step| !step.operation.last_word);
        day.doubt_buyer();
        let violation = UnknownResolvedTruthfully.check(&day.evidence).violation.expect("the buyer still wonders");
        assert_eq!(violation.headline, "b-1 of account 1 was in doubt and its client was never told");
    }
}
