//! Which controller is active. A broker that is sent to and fro asks the voters who leads, and believes no epoch below the highest it has heard of: an answer
//! of a leader that has been deposed without knowing could otherwise be taken for the newer one's. (With it: "definite, nothing changed" from the old one
//! about an ISR that the new one has changed, and a high watermark that counts one replica too few.)

use super::{Broker, Local, Purpose, Timer};
use crate::io::RequestId;
use crate::protocol::{ErrorCode, NodeId, Request, Response};
use std::collections::{BTreeMap, BTreeSet};

/// After so many heartbeats' time without an answer the voters are asked whether another leads.
const HEARTBEATS_MISSED: u64 = 3;

/// What is known of them.
pub(super) struct Controllers {
    /// Highest heard of.
    epoch: u32,
    active: Option<NodeId>,
    /// Voters that owe an answer to who leads.
    questioned: BTreeSet<NodeId>,
    /// The next round of questions is due then.
    find_at_ms: u64,
    /// Which controller a request went to.
    asked: BTreeMap<RequestId, NodeId>,
}

impl Controllers {
    /// One controller is known from the start.
    pub fn new(voters: &[NodeId]) -> Self {
        let active = if let [only] = voters { Some(*only) } else { None };
        Controllers { epoch: 0, active, questioned: BTreeSet::new(), find_at_ms: 0, asked: BTreeMap::new() }
    }
}

impl Broker {
    fn has_quorum(&self) -> bool {
        self.config.controllers.len() > 1
    }

    /// Asks the active controller; while none is known the request goes to nobody, and is answered so.
    pub(super) fn ask_controller(&mut self, lane: u8, request: Request, purpose: Purpose) {
        match self.controllers.active {
            Some(controller) => {
                let id = self.ask(controller, lane, request, purpose);
                if self.has_quorum() {
                    self.controllers.asked.insert(id, controller);
                }
            }
            None => {
                self.next_request += 1;
                self.requests.insert(self.next_request, purpose);
                self.inbox.push_back(Local::Response { id: self.next_request, response: None });
                self.find_controller();
            }
        }
    }

    /// Somebody who does not answer, or does not lead, is not asked again before the voters were.
    pub(super) fn controller_answered(&mut self, id: RequestId, response: Option<&Response>) {
        let Some(asked) = self.controllers.asked.remove(&id) else { return };
        if self.controllers.active == Some(asked) && matches!(response, None | Some(Response::Error(ErrorCode::NotController))) {
            self.controllers.active = None;
            self.find_controller();
        }
    }

    /// A heartbeat is out: if it stays so for long, another may lead.
    pub(super) fn watch_controller(&mut self) {
        if self.has_quorum() {
            self.io.set_timer_in(HEARTBEATS_MISSED * self.config.heartbeat_interval_ms, Timer::FindController);
        }
    }

    /// Asks every voter that does not owe an answer already, a round each `controller_retry_ms`, while nobody is known or the known one is silent.
    pub(super) fn find_controller(&mut self) {
        let now_ms = self.now_ms();
        let silent = self.heartbeat_out_ms().is_some_and(|ms| ms >= HEARTBEATS_MISSED * self.config.heartbeat_interval_ms);
        if self.controllers.active.is_some() && !silent || now_ms < self.controllers.find_at_ms {
            return;
        }
        self.controllers.find_at_ms = now_ms + self.config.controller_retry_ms;
        self.io.set_timer(self.controllers.find_at_ms, Timer::FindController);
        for voter in self.config.controllers.clone() {
            if self.controllers.questioned.insert(voter) {
                self.ask(voter, 0, Request::DescribeQuorum, Purpose::FindController(voter));
            }
        }
    }

    pub(super) fn quorum_described(&mut self, voter: NodeId, response: Option<Response>) {
        self.controllers.questioned.remove(&voter);
        if let Some(Response::Quorum { epoch, leader: Some(leader) }) = response
            && (epoch > self.controllers.epoch || epoch == self.controllers.epoch && self.controllers.active.is_none())
        {
            self.controllers.epoch = epoch;
            self.controllers.active = Some(leader);
            // Nobody waits for a controller that leads no more: what it was asked may have been executed.
            let former = self.controllers.asked.extract_if(.., |_, asked| *asked != leader);
            self.inbox.extend(former.map(|(id, _)| Local::Response { id, response: None }));
        }
    }
}
