//! The version order of each partition: what stands at which offset, who put it there, who was given it first.

use super::operations::{NONE, Operations, Outcome, Poll};
use std::collections::BTreeMap;

/// What stands at an offset.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    /// CRC-32C of the record's value, as first told.
    pub value: u32,
    /// The acknowledged send that put it there; [`NONE`]: not known.
    pub writer: u32,
    /// The first delivery of it, to any reader.
    pub first_poll: u32,
    /// The first delivery of it to a reader of committed records.
    pub first_committed_poll: u32,
    /// Its place among all versions of the partition.
    pub index: u32,
    /// How many versions before it readers of committed records may be given; its own place among them, if it is one.
    pub committed_index: u32,
}

/// Two values at one offset.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// Number of the partition.
    pub partition: u32,
    /// Where.
    pub offset: i64,
    /// Two facts that differ.
    pub facts: [String; 2],
}

const PAGE: i64 = 256;
const ABSENT: Version = Version { value: 0, writer: NONE, first_poll: NONE, first_committed_poll: NONE, index: 0, committed_index: 0 };

type Page = Box<[Version; PAGE as usize]>;

/// The versions of one partition.
#[derive(Debug, Default)]
pub struct Partition {
    pages: BTreeMap<i64, Page>,
    /// Offsets that some reader went over without being set elsewhere, first and last included; ascending, apart.
    read_over: Vec<(i64, i64)>,
}

/// The versions of all partitions, by number.
#[derive(Debug, Default)]
pub struct Versions {
    partitions: Vec<Partition>,
    /// Disagreements found on the way; a few are enough.
    pub conflicts: Vec<Conflict>,
}

const CONFLICTS_MAX: usize = 16;

impl Version {
    fn is_known(&self) -> bool {
        self.writer != NONE || self.first_poll != NONE
    }

    /// May readers of committed records be given it: was one, or is its send ok?
    pub fn is_committed(&self, operations: &Operations<'_>) -> bool {
        self.first_committed_poll != NONE || operations.sends.get(self.writer as usize).is_some_and(|send| operations.outcome(send) == Outcome::Ok)
    }
}

impl Partition {
    fn slot(&mut self, offset: i64) -> &mut Version {
        let page = self.pages.entry(offset.div_euclid(PAGE)).or_insert_with(|| Box::new([ABSENT; PAGE as usize]));
        &mut page[offset.rem_euclid(PAGE) as usize]
    }

    /// What stands at an offset, if anything is known of it.
    pub fn at(&self, offset: i64) -> Option<&Version> {
        let page = self.pages.get(&offset.div_euclid(PAGE))?;
        Some(&page[offset.rem_euclid(PAGE) as usize]).filter(|version| version.is_known())
    }

    /// All versions in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &Version)> {
        self.pages
            .iter()
            .flat_map(|(number, page)| page.iter().enumerate().map(move |(at, version)| (number * PAGE + at as i64, version)))
            .filter(|(_, version)| version.is_known())
    }

    /// Did a reader go past this offset, from before it or from it on?
    pub fn was_read_over(&self, offset: i64) -> bool {
        let before = self.read_over.partition_point(|(first, _)| *first <= offset);
        self.read_over[..before].last().is_some_and(|(_, last)| offset <= *last)
    }
}

impl Versions {
    /// From all that was delivered and acknowledged.
    pub fn of(operations: &Operations<'_>) -> Self {
        let mut versions = Versions { partitions: Vec::new(), conflicts: Vec::new() };
        versions.partitions.resize_with(operations.partitions.len(), Partition::default);
        for (number, poll) in operations.polls.iter().enumerate() {
            versions.polled(operations, number as u32, poll);
        }
        for (number, send) in operations.sends.iter().enumerate() {
            if send.offset >= 0 && operations.outcome(send) != Outcome::Fail {
                versions.acknowledged(operations, number as u32);
            }
        }
        for partition in &mut versions.partitions {
            number(partition, operations);
            merge(&mut partition.read_over);
        }
        versions
    }

    /// One partition's.
    pub fn of_partition(&self, partition: u32) -> &Partition {
        &self.partitions[partition as usize]
    }

    /// All of them, by number.
    pub fn partitions(&self) -> impl Iterator<Item = (u32, &Partition)> {
        self.partitions.iter().enumerate().map(|(number, partition)| (number as u32, partition))
    }

    fn polled(&mut self, operations: &Operations<'_>, number: u32, poll: &Poll) {
        let records = operations.records(poll);
        let partition = &mut self.partitions[poll.partition as usize];
        for (offset, value) in records {
            let version = partition.slot(*offset);
            if version.first_poll == NONE {
                (version.value, version.first_poll) = (*value, number);
            } else if version.value != *value && self.conflicts.len() < CONFLICTS_MAX {
                let told = |poll: u32, value: u32| format!("{}, value {value:08x}", operations.cite_poll(poll, *offset));
                let facts = [told(version.first_poll, version.value), told(number, *value)];
                self.conflicts.push(Conflict { partition: poll.partition, offset: *offset, facts });
            }
            if poll.committed && version.first_committed_poll == NONE {
                version.first_committed_poll = number;
            }
        }
        let last = records.last().expect("a poll is not empty").0;
        let first = match operations.polls.get(poll.before as usize) {
            Some(before) => operations.records(before).last().expect("a poll is not empty").0,
            None => records[0].0,
        };
        // A reader that goes on lengthens its stretch.
        match partition.read_over.last_mut() {
            Some((from, to)) if *from <= first && first <= *to => *to = (*to).max(last),
            _ => partition.read_over.push((first.min(last), last.max(first))),
        }
    }

    fn acknowledged(&mut self, operations: &Operations<'_>, number: u32) {
        let send = &operations.sends[number as usize];
        let is_certain = operations.outcome(send) == Outcome::Ok;
        let partition = &mut self.partitions[send.partition as usize];
        let version = match is_certain {
            true => partition.slot(send.offset),
            // It is part of the order only if somebody was given it.
            false => match partition.at(send.offset) {
                Some(_) => partition.slot(send.offset),
                None => return,
            },
        };
        if version.first_poll == NONE && version.writer == NONE {
            (version.value, version.writer) = (send.value, number);
        } else if version.value == send.value {
            // Two sends that were told the same place: the one that is certain counts; the checker of duplicates counts the values.
            if version.writer == NONE || is_certain {
                version.writer = number;
            }
        } else if is_certain && self.conflicts.len() < CONFLICTS_MAX {
            let other = match version.first_poll {
                NONE => operations.cite_send(&operations.sends[version.writer as usize]),
                poll => format!("{}, value {:08x}", operations.cite_poll(poll, send.offset), version.value),
            };
            self.conflicts.push(Conflict { partition: send.partition, offset: send.offset, facts: [operations.cite_send(send), other] });
        }
    }
}

fn number(partition: &mut Partition, operations: &Operations<'_>) {
    let (mut index, mut committed_index) = (0, 0);
    for version in partition.pages.values_mut().flat_map(|page| page.iter_mut()).filter(|version| version.is_known()) {
        (version.index, version.committed_index) = (index, committed_index);
        index += 1;
        committed_index += u32::from(version.is_committed(operations));
    }
}

fn merge(stretches: &mut Vec<(i64, i64)>) {
    stretches.sort_unstable();
    stretches.dedup_by(|next, kept| {
        let touches = next.0 <= kept.1;
        if touches {
            kept.1 = kept.1.max(next.1);
        }
        touches
    });
}
