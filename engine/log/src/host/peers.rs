//! Calls of this host's cores: to other nodes over one link per (core, node, lane), to each other in memory.

use super::connection::Arrival;
use crate::link::{Link, LinkConfig};
use broker::io::RequestId;
use broker::protocol::{NodeId, Request};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Connection numbers from here on stand for calls between cores of this host; real ones never get that far.
const RESIDENT: u64 = 1 << 63;

/// The outgoing side.
pub struct Peers {
    nodes: BTreeMap<NodeId, String>,
    config: LinkConfig,
    links: BTreeMap<(NodeId, NodeId, u8), Link>,
    /// Calls between cores of this host without an answer, by correlation.
    asked: BTreeMap<(u64, u32), (NodeId, RequestId)>,
    correlation: u32,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl Peers {
    /// Knows where the nodes are; a resident needs no address.
    pub fn new(nodes: BTreeMap<NodeId, String>, config: LinkConfig, residents: impl Iterator<Item = NodeId>, arrivals: mpsc::UnboundedSender<Arrival>) -> Self {
        for node in residents {
            assert!(u64::from(node) < RESIDENT >> 32, "node ids leave room for connection numbers");
        }
        Peers { nodes, config, links: BTreeMap::new(), asked: BTreeMap::new(), correlation: 0, arrivals }
    }

    /// Asks a core of this host: the connection and correlation under which it will hear it.
    pub fn ask_resident(&mut self, from: NodeId, to: NodeId, id: RequestId) -> (u64, u32) {
        let connection = RESIDENT | u64::from(from) << 32 | u64::from(to);
        self.correlation = self.correlation.wrapping_add(1);
        self.asked.insert((connection, self.correlation), (from, id));
        (connection, self.correlation)
    }

    /// Whose call that reply is for, if a core of this host asked.
    pub fn asker(&mut self, connection: u64, correlation: u32) -> Option<(NodeId, RequestId)> {
        self.asked.remove(&(connection, correlation))
    }

    /// Asks another node; its answer, or `None` when the connection broke, arrives later.
    pub fn ask(&mut self, from: NodeId, to: NodeId, lane: u8, id: RequestId, request: &Request) {
        let arrivals = self.arrivals.clone();
        let answered = move |response: Option<_>| {
            // The host may have ended.
            let _ = arrivals.send(Arrival::Answer { node: from, id, response });
        };
        let Some(address) = self.nodes.get(&to) else { return answered(None) };
        let link = self.links.entry((from, to, lane)).or_insert_with(|| Link::open(address.clone(), self.config));
        let wait_ms = match request {
            Request::Fetch { wait_ms_max, .. } | Request::FetchMetadata { wait_ms_max, .. } | Request::FetchQuorum { wait_ms_max, .. } => {
                u64::from(*wait_ms_max)
            }
            _ => 0,
        };
        link.start(request, wait_ms, move |answer| answered(answer.ok()));
    }
}
