//! What the exchange's invariants look at: the final logs as a reader sees them behind the drop rule, the clients' operations, the senders of records,
//! hashes recorded live and the rows of the store. All of it was taken at the ports; nothing is a service's own word.

use crate::operation::Operation;
use crate::sieve::{Fate, Sieve};
use log::Delivered;
use log::history::Phase;
use services::ports::store::Row;
use services::runner::Service;
use services::runner::tenure::Tenure;
use std::collections::BTreeMap;
use wire::{Body, Stamp, SymbolSpec, Topic};

/// A partition of a topic of the exchange.
pub type Place = (Topic, u32);

/// One record of the final read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Its offset.
    pub offset: i64,
    /// Of its value, as the history names it.
    pub crc: u32,
    /// Its header.
    pub stamp: Stamp,
    /// Its body.
    pub body: Body,
}

/// A step of a client's operation.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientStep {
    /// Simulated microseconds.
    pub at_us: u64,
    /// Who: `client-3`.
    pub node: String,
    /// Pairs `Invoke` with its end.
    pub op: u64,
    /// How it stands.
    pub phase: Phase,
    /// What was asked, and the answer.
    pub operation: Operation,
}

/// A machine's state as it was while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveHash {
    /// Where.
    pub node: String,
    /// `account`, `matching_engine`.
    pub service: String,
    /// Its input.
    pub place: Place,
    /// Next offset of its input.
    pub next: i64,
    /// The hash.
    pub hash: u64,
}

/// A record that the drop rule took out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Where it stands.
    pub place: Place,
    /// At which offset.
    pub offset: i64,
    /// Header.
    pub stamp: Stamp,
    /// Why.
    pub fate: Fate,
}

/// When the run turned from safety to liveness, and how that went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settling {
    /// Simulated ms at which every fault was healed.
    pub healed_ms: u64,
    /// Simulated ms at which everything was found settled; `None`: never within the bound.
    pub settled_ms: Option<u64>,
    /// The bound, ms after `healed_ms`.
    pub bound_ms: u64,
    /// What was still open at the last look, in domain words.
    pub open: Vec<String>,
    /// Was every record read that there is? If not, nothing can be said of what is missing, and the run has failed by its liveness.
    pub read_to_end: bool,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Were outputs and positions committed in transactions?
    pub transactions: bool,
    /// The symbols traded.
    pub specs: Vec<SymbolSpec>,
    /// The final read, behind the drop rule, in order of offset.
    pub logs: BTreeMap<Place, Vec<Read>>,
    /// The same before the drop rule, as it was read.
    pub raw: BTreeMap<Place, Vec<Delivered>>,
    /// Records that are no frame, with place and reason.
    pub unreadable: Vec<String>,
    /// Partitions of every topic.
    pub partitions_of: BTreeMap<Topic, u32>,
    /// Distance of ticks.
    pub tick_ms: u64,
    /// What the drop rule took out, and what it stopped at.
    pub dropped: Vec<Dropped>,
    /// In order of time.
    pub clients: Vec<ClientStep>,
    /// Node and life of every send, by the checksum of the record's value.
    pub senders: BTreeMap<u32, Vec<String>>,
    /// In order of time.
    pub hashes: Vec<LiveHash>,
    /// The recorder's rows.
    pub rows: Vec<Row>,
    /// The liveness phase.
    pub settling: Settling,
}

impl Evidence {
    /// Puts the final read of one partition through the drop rule.
    pub fn read(&mut self, place: Place, records: Vec<Read>) {
        let mut sieve = Sieve::default();
        let log = self.logs.entry(place).or_default();
        for record in records {
            match sieve.judge(&record.stamp) {
                Fate::Counts => log.push(record),
                fate => self.dropped.push(Dropped { place, offset: record.offset, stamp: record.stamp, fate }),
            }
        }
    }

    /// A machine of this service without a past, to be fed the final read of its input.
    pub fn replayer<S: Service>(&self, service: &S, (topic, partition): Place) -> Tenure<S> {
        let outputs = service.outputs();
        let partitions = self.partitions_of.iter().filter(|(topic, _)| outputs.contains(topic)).map(|(topic, count)| (*topic, *count)).collect();
        Tenure::new(service, topic, partition, partitions, self.tick_ms)
    }

    /// Takes the final read of one partition. A record that is no frame of ours is noted; nobody in the exchange writes one.
    pub fn take_log(&mut self, place: Place, records: Vec<Delivered>) {
        let mut reads = Vec::with_capacity(records.len());
        for record in &records {
            let value = record.value.as_deref().unwrap_or_default();
            match wire::frame::decode(value) {
                Ok((stamp, body)) => reads.push(Read { offset: record.offset, crc: crc32c::crc32c(value), stamp, body }),
                Err(error) => self.unreadable.push(format!("{}-{}@{}: {error}", place.0.name(), place.1, record.offset)),
            }
        }
        self.read(place, reads);
        self.raw.insert(place, records);
    }

    /// What counts of a topic, partition by partition.
    pub fn topic(&self, topic: Topic) -> impl Iterator<Item = (u32, &Read)> {
        self.logs.iter().filter(move |((name, _), _)| *name == topic).flat_map(|((_, partition), log)| log.iter().map(move |read| (*partition, read)))
    }

    /// The partitions of a topic that were read, in order.
    pub fn partitions(&self, topic: Topic) -> impl Iterator<Item = (u32, &[Read])> {
        self.logs.iter().filter(move |((name, _), _)| *name == topic).map(|((_, partition), log)| (*partition, log.as_slice()))
    }
}
