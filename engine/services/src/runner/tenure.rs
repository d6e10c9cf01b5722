//! One owner's time with one partition: the machine, and everything beside it that is state: what counts as seen, the numbers of what was put out, the time.
//!
//! Restoring and living run through the same [`Tenure::apply`], so that a rebuild makes the same numbers and bytes again.

use super::drop_rule::{DropRule, Verdict};
use super::machine::{Input, Machine, Output, Outputs, Service, To};
use super::{ServiceError, frame_of};
use bytes::Bytes;
use log::{Delivered, Record};
use std::collections::BTreeMap;
use std::panic::Location;
use wire::partition::partition_of;
use wire::{AccountCommand, Body, OrderCommand, Source, Stamp, Topic};

/// A record to be sent, with its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: u32,
    /// The frame.
    pub record: Record,
    /// The machine's line that put it out.
    pub at: &'static Location<'static>,
}

/// The input has a hole: the machine must not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("input offset {offset}: {source_name:?} jumped to sequence {sequence}, {expected} is missing")]
pub struct SequenceGap {
    /// Where.
    pub offset: i64,
    /// Whose.
    pub source_name: Source,
    /// What came.
    pub sequence: u64,
    /// What should have come.
    pub expected: u64,
}

/// State of one partition of one service.
pub struct Tenure<S: Service> {
    machine: S::Machine,
    source: Source,
    is_policy: bool,
    epoch: u32,
    drop_rule: DropRule,
    sequences: BTreeMap<(Topic, u32), u64>,
    partitions: BTreeMap<Topic, u32>,
    tick_ms: u64,
    last_tick_ms: u64,
    time_ms: u64,
    cause: i64,
    next_index: u32,
    /// Records that were no frame of ours, skipped with their reason.
    pub unreadable: u64,
}

impl<S: Service> Tenure<S> {
    /// A partition's state before its first record. `partitions`: of every topic that the service writes.
    pub fn new(service: &S, input: Topic, partition: u32, partitions: BTreeMap<Topic, u32>, tick_ms: u64) -> Self {
        let source =
            Source { service: service.number(), input_topic: input as u8, partition: u16::try_from(partition).expect("a topic has at most 65,536 partitions") };
        Tenure {
            machine: service.machine(partition),
            source,
            is_policy: service.journal().is_none(),
            epoch: 0,
            drop_rule: DropRule::default(),
            sequences: BTreeMap::new(),
            partitions,
            tick_ms,
            last_tick_ms: 0,
            time_ms: 0,
            cause: -1,
            next_index: 0,
            unreadable: 0,
        }
    }

    /// From here on outputs carry this epoch.
    pub fn begin_epoch(&mut self, epoch: u32) {
        assert!(epoch > self.epoch, "epochs rise");
        self.epoch = epoch;
    }

    /// The claim of this epoch, for the journal. It takes no sequence number: a rebuild from the input alone could not count it.
    pub fn claim(&self, body: &Body, at: i64) -> Record {
        let stamp = Stamp { source: self.source, epoch: self.epoch, index: 0, sequence: 0, cause: at, log_time_ms: self.time_ms, ..Stamp::default() };
        Record { key: None, value: Some(wire::frame::encode(&stamp, body)), timestamp_ms: self.time_ms }
    }

    /// The machine, to look at.
    #[cfg(test)]
    pub fn machine(&self) -> &S::Machine {
        &self.machine
    }

    /// A hash of the machine's state.
    pub fn state_hash(&self) -> u64 {
        self.machine.state_hash()
    }

    /// Applies records in order; gives the outputs in order. A record that is no frame of ours is skipped, at every replay alike.
    pub fn apply(&mut self, records: &[Delivered]) -> Result<Vec<Addressed>, ServiceError> {
        let mut inputs = Vec::with_capacity(records.len());
        for record in records {
            if let Some(input) = self.admit(record)? {
                inputs.push(input);
            }
        }
        let mut outputs = Outputs::default();
        self.machine.apply(&inputs, &mut outputs);
        Ok(outputs.take().into_iter().map(|output| self.address(output)).collect())
    }

    fn admit(&mut self, record: &Delivered) -> Result<Option<Input>, ServiceError> {
        let Some((stamp, body)) = frame_of(record)? else {
            self.unreadable += 1;
            runtime::reached!("unreadable_record_skipped");
            return Ok(None);
        };
        match self.drop_rule.judge(&stamp) {
            Verdict::Pass => {}
            Verdict::Drop => {
                runtime::reached!("record_dropped_by_number");
                return Ok(None);
            }
            Verdict::Gap { expected } => {
                return Err(SequenceGap { offset: record.offset, source_name: stamp.source, sequence: stamp.sequence, expected }.into());
            }
        }
        if let Some(tick_ms) = tick_of(&body) {
            if tick_ms <= self.last_tick_ms {
                return Ok(None);
            }
            self.last_tick_ms = tick_ms;
        }
        self.time_ms = self.time_ms.max(stamp.log_time_ms.clamp(self.last_tick_ms, self.last_tick_ms + self.tick_ms));
        Ok(Some(Input { offset: record.offset, time_ms: self.time_ms, stamp, body }))
    }

    fn address(&mut self, output: Output) -> Addressed {
        if output.cause != self.cause {
            assert!(output.cause > self.cause, "causes rise");
            self.cause = output.cause;
            self.next_index = 0;
        }
        let count = *self.partitions.get(&output.topic).expect("a service names every topic that it writes");
        let (partition, key) = match output.to {
            To::SamePartition => (u32::from(self.source.partition), None),
            To::Key(key) => (partition_of(&key, count), Some(Bytes::from(key))),
        };
        let stamp = Stamp {
            source: self.source,
            epoch: self.epoch,
            index: self.next_index,
            sequence: self.next_sequence(output.topic, partition),
            cause: output.cause,
            correlation: output.correlation,
            log_time_ms: output.time_ms,
        };
        self.next_index += 1;
        let value = wire::frame::encode(&stamp, &output.body);
        Addressed { topic: output.topic, partition, record: Record { key, value: Some(value), timestamp_ms: output.time_ms }, at: output.at }
    }

    fn next_sequence(&mut self, topic: Topic, partition: u32) -> u64 {
        if self.is_policy {
            return 0;
        }
        let sequence = self.sequences.entry((topic, partition)).or_insert(0);
        *sequence += 1;
        *sequence
    }
}

fn tick_of(body: &Body) -> Option<u64> {
    match body {
        Body::AccountCommand(AccountCommand::Tick { time_ms }) | Body::OrderCommand(OrderCommand::Tick { time_ms }) => Some(*time_ms),
        _ => None,
    }
}
