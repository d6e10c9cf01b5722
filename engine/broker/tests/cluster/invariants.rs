//! What the notes of a run must say, whatever happened: what was once below a leader's high watermark stays where it was, and every later leader has it.

use broker::{NodeId, Note, Tp};
use std::collections::BTreeMap;

/// A batch: last offset and the CRC of its content.
type Stored = (i64, u32);

#[derive(Default)]
struct History {
    /// What each replica's log holds, by first offset.
    logs: BTreeMap<(NodeId, Tp), BTreeMap<i64, Stored>>,
    /// What any leader ever said is replicated, with the epoch of the first that said it.
    committed: BTreeMap<Tp, BTreeMap<i64, (Stored, u32)>>,
    /// Of a leader: its epoch, and how far it was compared.
    compared: BTreeMap<(NodeId, Tp), (u32, i64)>,
    /// Who leads an epoch of the controllers' quorum, and its log's end then.
    controllers: BTreeMap<u32, (NodeId, u64)>,
    /// What counts in the metadata log, whoever says it.
    metadata: BTreeMap<u64, u32>,
}

impl History {
    fn cut(&mut self, node: NodeId, tp: Tp, end: i64) {
        self.logs.entry((node, tp)).or_default().retain(|_, &mut (last, _)| last < end);
    }

    fn append(&mut self, node: NodeId, tp: Tp, first: i64, last: i64, crc: u32) {
        let log = self.logs.entry((node, tp)).or_default();
        let end = log.last_key_value().map_or(0, |(_, (last, _))| last + 1);
        assert_eq!(first, end, "{node} appends to {tp:?} behind its end");
        log.insert(first, (last, crc));
    }

    /// What earlier epochs committed is there. (A leader may hear of its election so late that later epochs have committed already.)
    fn lead(&mut self, node: NodeId, tp: Tp, epoch: u32, end: i64, high_watermark: i64) {
        let log = self.logs.entry((node, tp)).or_default();
        assert_eq!(end, log.last_key_value().map_or(0, |(_, (last, _))| last + 1), "{node} leads {tp:?} from its end");
        assert!(high_watermark <= end);
        for (first, (stored, _)) in self.committed.entry(tp).or_default().iter().filter(|(_, (_, of))| *of < epoch) {
            assert_eq!(log.get(first), Some(stored), "{node} leads {tp:?} without what was committed at {first}");
        }
        self.compared.insert((node, tp), (epoch, 0));
    }

    fn commit(&mut self, node: NodeId, tp: Tp, high_watermark: i64) {
        let (epoch, compared) = self.compared.get_mut(&(node, tp)).expect("only leaders say it");
        assert!(*compared < high_watermark, "the high watermark of {tp:?} at {node} falls to {high_watermark}");
        let committed = self.committed.entry(tp).or_default();
        for (&first, &stored) in self.logs[&(node, tp)].range(*compared..high_watermark) {
            assert!(stored.0 < high_watermark, "a high watermark inside a batch");
            assert_eq!(committed.entry(first).or_insert((stored, *epoch)).0, stored, "{tp:?} at {first} has changed");
        }
        *compared = high_watermark;
    }

    /// One controller an epoch, and it has everything that counts.
    fn elect(&mut self, node: NodeId, epoch: u32, end: u64) {
        assert_eq!(self.controllers.insert(epoch, (node, end)), None, "epoch {epoch} of the quorum has one controller");
        let counts = self.metadata.last_key_value().map_or(0, |(offset, _)| offset + 1);
        assert!(self.controllers.range(epoch + 1..).next().is_some() || end >= counts, "{node} leads epoch {epoch} from {end}, and {counts} entries count");
    }

    fn commit_metadata(&mut self, node: NodeId, offset: u64, crc: u32) {
        assert_eq!(*self.metadata.entry(offset).or_insert(crc), crc, "{node}: entry {offset} of the metadata log has changed");
    }
}

/// Panics at the first note that contradicts those before.
pub fn check(notes: &[(NodeId, Note)]) {
    let mut history = History::default();
    for (node, note) in notes {
        match *note {
            Note::Appended { tp, first, last, crc, .. } => history.append(*node, tp, first, last, crc),
            Note::Truncated { tp, end, .. } | Note::Recovered { tp, end, .. } => history.cut(*node, tp, end),
            Note::BecameLeader { tp, leader_epoch, end, high_watermark } => history.lead(*node, tp, leader_epoch, end, high_watermark),
            Note::HighWatermark { tp, high_watermark } => history.commit(*node, tp, high_watermark),
            Note::ControllerElected { epoch, end } => history.elect(*node, epoch, end),
            Note::MetadataCommitted { offset, crc } => history.commit_metadata(*node, offset, crc),
            _ => {}
        }
    }
}
