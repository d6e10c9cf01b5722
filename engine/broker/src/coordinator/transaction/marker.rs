//! Markers: one per partition of a decided transaction, asked of its leader, for ever if need be (A40).

use super::Step;
use super::record::State;
use super::state::Transaction;
use crate::coordinator::Effect;
use crate::note::Note;
use crate::protocol::{NodeId, Request, Response, Tp};
use std::collections::{BTreeMap, BTreeSet};

/// Partitions that have no marker yet, so far as is known.
#[derive(Debug)]
pub(super) struct Markers {
    /// With the request under way, if there is one.
    missing: BTreeMap<Tp, Option<(u64, NodeId)>>,
    partitions: usize,
}

/// A request for markers that is under way.
pub(super) struct Asked {
    pub(super) transactional_id: String,
    partitions: Vec<Tp>,
}

impl Markers {
    pub(super) fn of(partitions: &BTreeSet<Tp>) -> Self {
        Markers { missing: partitions.iter().map(|&tp| (tp, None)).collect(), partitions: partitions.len() }
    }

    /// Requests under way to a node that no longer leads one of their partitions, or of which one is deleted: it may be silent for ever. A late answer must
    /// not count, for the next transaction may have the same epoch; all partitions of such a request are asked for anew.
    fn give_up(&mut self, step: &Step<'_>) -> BTreeSet<u64> {
        let is_elsewhere = |tp: Tp, node: NodeId| step.view.is_deleted(tp) || step.view.leader(tp).is_some_and(|leader| leader != node);
        let asked = self.missing.iter().filter_map(|(&tp, asked)| asked.map(|(token, node)| (tp, token, node)));
        let given_up: BTreeSet<u64> = asked.filter(|&(tp, _, node)| is_elsewhere(tp, node)).map(|(_, token, _)| token).collect();
        for asked in self.missing.values_mut() {
            *asked = asked.filter(|(token, _)| !given_up.contains(token));
        }
        given_up
    }
}

impl Transaction {
    /// Asks for each marker that is missing and not under way, one request per leader. Where there is no leader, or the leader does not
    /// answer and another has taken over, the alarm brings us back.
    pub(super) fn send_markers(&mut self, step: &mut Step<'_>, id: &str) {
        let markers = self.markers.as_mut().expect("only a decided transaction has markers");
        for token in markers.give_up(step) {
            step.desk.asked.remove(&token);
        }
        // Nobody reads what is of a deleted topic, and nobody can mark it. (One that is merely unknown here has to be waited for.)
        markers.missing.retain(|&tp, _| !step.view.is_deleted(tp));
        if markers.missing.is_empty() {
            return self.complete(step, id);
        }
        let mut by_leader: BTreeMap<NodeId, Vec<Tp>> = BTreeMap::new();
        let mut leaderless = false;
        for &tp in markers.missing.iter().filter(|(_, asked)| asked.is_none()).map(|(tp, _)| tp) {
            match step.view.leader(tp) {
                Some(node) => by_leader.entry(node).or_default().push(tp),
                None => leaderless = true,
            }
        }
        for (node, partitions) in by_leader {
            self.ask(step, id, node, partitions);
        }
        let pause_ms = if leaderless { step.config().marker_retry_ms } else { step.config().transaction_scan_ms };
        step.wake_by(step.after(pause_ms));
    }

    fn ask(&mut self, step: &mut Step<'_>, id: &str, node: NodeId, partitions: Vec<Tp>) {
        let facts = self.facts.as_ref().expect("a prepared transaction is known");
        let (commit, is_raised) = (facts.state == State::PrepareCommit, facts.raised.is_some());
        let (producer_id, producer_epoch, coordinator_epoch) = (facts.producer_id, facts.producer_epoch, step.desk.leader_epoch);
        let token = step.token();
        let markers = self.markers.as_mut().expect("only a decided transaction has markers");
        for tp in &partitions {
            markers.missing.insert(*tp, Some((token, node)));
        }
        step.desk.asked.insert(token, Asked { transactional_id: id.to_owned(), partitions: partitions.clone() });
        let mut request = Request::WriteTxnMarkers { producer_id, producer_epoch, coordinator_epoch, commit, partitions };
        if is_raised {
            request = Request::Tv2(Box::new(request));
        }
        step.out.push(Effect::Ask { token, to: node, request });
    }

    /// A leader answered, or the connection to it broke: what it did not mark is asked for again after a pause.
    pub(super) fn marked(&mut self, step: &mut Step<'_>, asked: Asked, response: Option<Response>) {
        let markers = self.markers.as_mut().expect("an answer that counts belongs to a decided transaction");
        let before = markers.missing.len();
        let written: BTreeSet<Tp> = match response {
            Some(Response::WriteTxnMarkers { partitions }) => partitions.into_iter().filter(|(_, result)| result.is_ok()).map(|(tp, _)| tp).collect(),
            _ => BTreeSet::new(),
        };
        for tp in asked.partitions {
            if written.contains(&tp) {
                markers.missing.remove(&tp);
            } else {
                markers.missing.insert(tp, None);
            }
        }
        let (after, partitions) = (markers.missing.len(), markers.partitions);
        if partitions > 1 && before == partitions && after < before {
            let facts = self.facts.as_ref().expect("a prepared transaction is known");
            let (producer_id, producer_epoch) = (facts.producer_id, facts.producer_epoch);
            step.note(Note::FirstMarkerWritten { transactional_id: asked.transactional_id.clone(), producer_id, producer_epoch });
        }
        match after {
            0 => self.complete(step, &asked.transactional_id),
            _ => step.wake_by(step.after(step.config().marker_retry_ms)),
        }
    }
}
