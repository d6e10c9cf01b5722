//! What was acknowledged is in the log and goes on: each acknowledged order stands in the journal, each order of the journal was sent to the matching
//! engine once, and each order it was sent has one verdict and, in the end, exactly one end (I1, I11, I-O12).

use super::{Finding, Invariant, Notes};
use crate::evidence::Evidence;
use crate::operation::{Answer, Ask};
use log::history::Phase;
use std::collections::BTreeMap;
use wire::{AccountEvent, Body, OrderCommand, OrderEvent, OrderId, Topic};

/// See the module.
pub struct NoLostOrder;

impl Invariant for NoLostOrder {
    fn name(&self) -> &'static str {
        "no_lost_order"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        let journal = journal(evidence);
        acknowledged(evidence, &journal, &mut finding);
        sent_on(evidence, &journal, &mut finding);
        ended(evidence, &mut finding);
        finding
    }
}

/// (account, client order id) and cancels sent, by order.
fn journal(evidence: &Evidence) -> BTreeMap<OrderId, (u64, String, u64)> {
    let mut orders: BTreeMap<OrderId, (u64, String, u64)> = BTreeMap::new();
    for (_, read) in evidence.topic(Topic::AccountEvents) {
        match &read.body {
            Body::AccountEvent(AccountEvent::Placed { account, order, duplicate: false }) => {
                orders.insert(order.order_id, (account.0, order.client_order_id.0.clone(), 0));
            }
            Body::AccountEvent(AccountEvent::CancelSent { order, .. }) => {
                if let Some((_, _, cancels)) = orders.get_mut(&order.order_id) {
                    *cancels += 1;
                }
            }
            _ => {}
        }
    }
    orders
}

fn acknowledged(evidence: &Evidence, journal: &BTreeMap<OrderId, (u64, String, u64)>, finding: &mut Finding) {
    for step in evidence.clients.iter().filter(|step| step.phase == Phase::Ok) {
        let (Ask::Place { client_order_id, .. }, Some(Answer::Order { order_id, .. })) = (&step.operation.ask, &step.operation.answer) else { continue };
        let known = journal.get(&OrderId(*order_id));
        let fits = known.is_some_and(|(account, id, _)| *account == step.operation.account && id == client_order_id);
        finding.expect(fits, || {
            let (who, account) = (&step.node, step.operation.account);
            format!("order {order_id} ({client_order_id} of account {account}) was acknowledged to {who}, and the journal does not have it")
        });
    }
}

fn sent_on(evidence: &Evidence, journal: &BTreeMap<OrderId, (u64, String, u64)>, finding: &mut Finding) {
    let mut sent: BTreeMap<OrderId, (u64, u64)> = BTreeMap::new();
    for (_, read) in evidence.topic(Topic::OrderCommands) {
        match &read.body {
            Body::OrderCommand(OrderCommand::Place { order_id, .. }) => sent.entry(*order_id).or_default().0 += 1,
            Body::OrderCommand(OrderCommand::Cancel { order_id, .. }) => sent.entry(*order_id).or_default().1 += 1,
            _ => {}
        }
    }
    for (order_id, (account, _, cancels)) in journal {
        let (places_sent, cancels_sent) = sent.get(order_id).copied().unwrap_or_default();
        finding.expect(places_sent > 0, || format!("order {} of account {account} was held and never sent to the matching engine", order_id.0));
        finding.expect(cancels_sent == *cancels, || format!("{cancels} cancels of order {} were promised and {cancels_sent} sent", order_id.0));
    }
    for order_id in sent.keys() {
        finding.expect(journal.contains_key(order_id), || format!("order {} was sent to the matching engine and nobody holds it", order_id.0));
    }
}

fn ended(evidence: &Evidence, finding: &mut Finding) {
    let mut verdicts: BTreeMap<OrderId, (u64, u64)> = BTreeMap::new();
    for (_, read) in evidence.topic(Topic::OrderEvents) {
        match &read.body {
            Body::OrderEvent(OrderEvent::Accepted { order_id, .. }) => verdicts.entry(*order_id).or_default().0 += 1,
            Body::OrderEvent(OrderEvent::Rejected { order_id, .. }) => {
                let (taken, ends) = verdicts.entry(*order_id).or_default();
                (*taken, *ends) = (*taken + 1, *ends + 1);
            }
            Body::OrderEvent(OrderEvent::Ended { order_id, .. }) => verdicts.entry(*order_id).or_default().1 += 1,
            _ => {}
        }
    }
    let all_over = evidence.settling.settled_ms.is_some();
    for (_, read) in evidence.topic(Topic::OrderCommands) {
        let Body::OrderCommand(OrderCommand::Place { order_id, .. }) = &read.body else { continue };
        let (taken, ends) = verdicts.get(order_id).copied().unwrap_or_default();
        finding.expect(taken <= 1 && ends <= 1, || format!("order {} has {taken} verdicts and {ends} ends", order_id.0));
        if all_over {
            finding.expect(taken == 1 && ends == 1, || format!("order {} has {taken} verdicts and {ends} ends, and nothing is on its way", order_id.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, remove};

    #[test]
    fn an_acknowledged_order_that_is_gone_is_found() {
        let mut day = a_day();
        remove(&mut day.evidence, Topic::AccountEvents, |body| matches!(body, Body::AccountEvent(AccountEvent::Placed { order, .. }) if order.order_id.0 == 2));
        let violation = NoLostOrder.check(&day.evidence).violation.expect("the buyer was told of order 2");
        assert_eq!(violation.headline, "order 2 (b-1 of account 1) was acknowledged to client-1, and the journal does not have it");
    }

    #[test]
    fn an_order_that_never_reached_the_matching_engine_is_found() {
        let mut day = a_day();
        remove(&mut day.evidence, Topic::OrderCommands, |body| matches!(body, Body::OrderCommand(OrderCommand::Place { order_id: OrderId(2), .. })));
        let violation = NoLostOrder.check(&day.evidence).violation.expect("order 2 was never matched");
        assert_eq!(violation.headline, "order 2 of account 1 was held and never sent to the matching engine");
    }

    #[test]
    fn an_unknown_that_did_happen_is_not_lost() {
        let mut day = a_day();
        for step in day.evidence.clients.iter_mut().filter(|step| step.phase == Phase::Ok) {
            step.phase = Phase::Unknown;
        }
        assert_eq!(NoLostOrder.check(&day.evidence).violation, None);
    }
}
