//! What a loop asks of a machine.

use std::panic::Location;
use wire::{Body, Correlation, Stamp, Topic};

/// One record of the input partition that passed the drop rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its offset: the cause of whatever the machine puts out because of it.
    pub offset: i64,
    /// Machine time in ms: log time clamped to [last tick, last tick + tick_ms], never backwards.
    pub time_ms: u64,
    /// Its header.
    pub stamp: Stamp,
    /// Its body.
    pub body: Body,
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// The partition numbered as the input's (journals and per-symbol outputs of the matching engine).
    SamePartition,
    /// The partition of this key, by the one partition function.
    Key(Vec<u8>),
}

/// One output. The loop adds source, epoch, index, sequence, log time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Offset of the input that caused it.
    pub cause: i64,
    /// Machine time of that input.
    pub time_ms: u64,
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub to: To,
    /// Taken over from the command that it answers; zero otherwise.
    pub correlation: Correlation,
    /// The message.
    pub body: Body,
    /// The line that put it out. Never sent: whoever replays the input learns it again (the `said` line of a failure).
    pub at: &'static Location<'static>,
}

/// Where a machine puts its outputs: in order of cause, and within one cause in the order of its own choosing (which must be the same at every replay).
#[derive(Debug, Default)]
pub struct Outputs {
    outputs: Vec<Output>,
}

impl Outputs {
    /// Puts one out.
    #[track_caller]
    pub fn emit(&mut self, input: &Input, topic: Topic, to: To, body: Body) {
        self.emit_as(input, input.stamp.correlation, topic, to, body);
    }

    /// Puts one out that answers nobody's request.
    #[track_caller]
    pub fn emit_uncorrelated(&mut self, input: &Input, topic: Topic, to: To, body: Body) {
        self.emit_as(input, Correlation::default(), topic, to, body);
    }

    /// Puts one out under a correlation of its own.
    #[track_caller]
    pub fn emit_as(&mut self, input: &Input, correlation: Correlation, topic: Topic, to: To, body: Body) {
        assert!(self.outputs.last().is_none_or(|last| last.cause <= input.offset), "outputs come in the order of their causes");
        self.outputs.push(Output { cause: input.offset, time_ms: input.time_ms, topic, to, correlation, body, at: Location::caller() });
    }

    /// Everything put out so far, in order; leaves this empty.
    pub fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Nothing was put out.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }
}

/// A state machine over one input partition.
pub trait Machine: Send + 'static {
    /// Applies inputs in order. The same inputs in any division into calls give the same outputs and the same state.
    fn apply(&mut self, inputs: &[Input], outputs: &mut Outputs);
    /// A hash of the whole state, the same on every machine.
    fn state_hash(&self) -> u64;
}

/// What makes a service a machine or a policy of the transact loop.
pub trait Service: Clone + Send + Sync + 'static {
    /// The machine of one partition.
    type Machine: Machine;
    /// Its name: `account`, `matching_engine`, `wallet`. Transactional ids are `name-topic-partition`.
    fn name(&self) -> &'static str;
    /// Its number in a frame's source: 1 account, 2 matching_engine, 3 wallet.
    fn number(&self) -> u8;
    /// Its consumer group.
    fn group(&self) -> &'static str;
    /// Input topics. A machine has one; a policy may have several.
    fn inputs(&self) -> Vec<Topic>;
    /// Every topic it writes.
    fn outputs(&self) -> Vec<Topic>;
    /// A machine's journal, the one partition that only it writes; `None` makes it a policy: nothing is restored, epoch and sequence are 0.
    fn journal(&self) -> Option<Topic>;
    /// The claim of an epoch, as a message of the journal.
    fn owned(&self, epoch: u32, claim: u64) -> Body;
    /// A machine without a past.
    fn machine(&self, partition: u32) -> Self::Machine;
}
