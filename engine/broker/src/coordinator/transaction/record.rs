//! What the transaction coordinators store in `__transaction_state`: one record per transition. The key is the transactional id as UTF-8, the value is a
//! [`Facts`] in postcard, fields in the order below; no value: the id has expired. The topic is compacted, the last value of a key is all that counts.

use crate::batch::Record;
use crate::protocol::{ProducerEpoch, ProducerId, Tp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where the transaction of an id is (A38).
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A producer has the id; it has begun nothing.
    Empty,
    /// Partitions are in the transaction.
    Ongoing,
    /// The decision is made; markers are being written.
    PrepareCommit,
    /// The decision is made; markers are being written.
    PrepareAbort,
    /// Every marker is written.
    CompleteCommit,
    /// Every marker is written.
    CompleteAbort,
}

/// All that is known of a transactional id.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The producer that has the id.
    pub producer_id: ProducerId,
    /// Its incarnation; an older one is fenced.
    pub producer_epoch: ProducerEpoch,
    /// How long a transaction may take.
    pub timeout_ms: u32,
    /// Where it is.
    pub state: State,
    /// Partitions in the transaction: each gets a marker.
    pub partitions: BTreeSet<Tp>,
    /// Wall clock of the first partition.
    pub started_ms: u64,
    /// Wall clock of this record.
    pub updated_ms: u64,
    /// Whether the timeout made the decision.
    pub timed_out: bool,
    /// Of the last end under version 2. Stored behind the other fields, and only if it is there: what version 1 writes stays as it was.
    #[serde(skip)]
    pub raised: Option<Raised>,
}

/// An end under version 2 (A42): every one raises the epoch, so that whatever of the transaction comes later is known as such.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// Who asked for it: the same again is a retry.
    pub by: (ProducerId, ProducerEpoch),
    /// While Prepare*: the producer id that takes over, as the epochs of this one are used up.
    pub next_producer_id: Option<ProducerId>,
}

/// One transition; `None`: a tombstone.
pub(super) fn record(timestamp_ms: i64, transactional_id: &str, facts: Option<&Facts>) -> Record {
    let key = Bytes::copy_from_slice(transactional_id.as_bytes());
    let value = facts.map(encode);
    Record { offset: 0, timestamp_ms, key: Some(key), value }
}

fn encode(facts: &Facts) -> Bytes {
    let mut bytes = postcard::to_stdvec(facts).expect("facts have no unserialisable part");
    if let Some(raised) = &facts.raised {
        bytes.extend(postcard::to_stdvec(raised).expect("an end has no unserialisable part"));
    }
    Bytes::from(bytes)
}

fn decode_facts(value: &[u8]) -> Result<Facts, postcard::Error> {
    let (facts, rest) = postcard::take_from_bytes::<Facts>(value)?;
    let raised = if rest.is_empty() { None } else { Some(postcard::from_bytes(rest)?) };
    Ok(Facts { raised, ..facts })
}

/// The id, and its facts unless it has expired.
pub(super) fn decode(record: Record) -> (String, Option<Facts>) {
    let key = record.key.expect("every record of a coordinator has a key");
    let transactional_id = String::from_utf8(key.to_vec()).expect("an id is UTF-8");
    let facts = record.value.map(|value| decode_facts(&value).expect("the partition holds only what its coordinators wrote"));
    (transactional_id, facts)
}
