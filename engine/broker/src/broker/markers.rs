//! Transaction markers (A40): a control batch per partition, answered when replicated; never earlier than the group coordinator of that partition
//! has acted on it.

use super::appends::{Kind, Part};
use super::produce::Acks;
use super::{Broker, Version};
use crate::batch::{Batch, ControlKind};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, ProducerEpoch, ProducerId, Tp};

/// What a coordinator asks to have written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marker {
    pub version: Version,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub coordinator_epoch: u32,
    pub commit: bool,
}

impl Broker {
    pub(super) fn write_txn_markers(&mut self, to: ReplyTo, marker: Marker, partitions: &[Tp]) {
        let id = self.appends.next_id();
        let write = |(index, &tp)| (tp, self.write_marker((id, index), tp, marker).unwrap_or_else(|error| Part::Done(Err(error))));
        let parts = (0..).zip(partitions).map(write).collect();
        self.answer_when_done(id, to, Kind::Markers, parts, None);
    }

    fn write_marker(&mut self, part: (u64, u32), tp: Tp, marker: Marker) -> Result<Part, ErrorCode> {
        self.may_append(tp, Acks::All)?;
        let timestamp_ms = self.wall_ms();
        let replica = self.replicas.get_mut(&tp).expect("this broker leads");
        replica.producers.check_marker(marker.producer_id, marker.producer_epoch, marker.coordinator_epoch)?;
        if marker.version == Version::Two {
            replica.producers.check_raised(marker.producer_id, marker.producer_epoch)?;
        }
        let kind = if marker.commit { ControlKind::Commit } else { ControlKind::Abort };
        let base = replica.log.end();
        let leader_epoch = replica.leader_epoch.expect("a leader has an epoch");
        let batch = Batch::control(kind, marker.producer_id, marker.producer_epoch, marker.coordinator_epoch, timestamp_ms).assign(base, leader_epoch);
        replica.append(&batch, true, self.config.segment_bytes, &mut self.io);
        self.marker_overtakes_verification(tp, marker.producer_id);
        self.queue_marker(tp, batch);
        Ok(self.await_offset(part, tp, base, base + 1, Acks::All))
    }
}
