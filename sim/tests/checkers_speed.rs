//! How fast the checkers are, and what they hold. Ignored: it measures. `--ignored --nocapture`
#![allow(clippy::disallowed_methods)] // it measures from outside

use log::history::Phase;
use log::{Event, Isolation, TopicId, Tp};
use runtime::rng::Rng;
use sim::Entry;
use sim::checkers::operations::Operations;
use sim::checkers::{Law, check};
use std::sync::Arc;

const PARTITIONS: u32 = 16;
const WRITERS: u64 = 32;
const READERS: u64 = 2;

/// CPU time of this thread: the wall clock also counts what others do on the machine.
fn cpu_seconds() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    times.split_whitespace().next().expect("a number comes first").parse::<u64>().expect("nanoseconds") as f64 / 1e9
}

fn resident_peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("it is always there");
    line.split_whitespace().nth(1).expect("a number follows").parse().expect("a number")
}

/// Writers with transactions of one to eight sends over 16 partitions, three of four committed; readers that follow in batches of up to 64.
struct Load {
    rng: Rng,
    entries: Vec<Entry>,
    ends: Vec<i64>,
    committed: Vec<Vec<(i64, u32)>>,
    nodes: Vec<Arc<str>>,
    operations: u64,
}

impl Load {
    fn push(&mut self, node: u64, event: Event) {
        let ordinal = self.entries.len() as u64;
        self.entries.push(Entry { ordinal, at_us: ordinal, node: self.nodes[node as usize].clone(), event });
    }

    fn transaction(&mut self, writer: u64) {
        let id = format!("writer-{writer}");
        let event = |phase| Event::Transaction { transactional_id: id.clone(), producer_id: writer as i64, producer_epoch: 0, phase, fenced: false };
        self.push(writer, event(Phase::Invoke));
        let mut written = Vec::new();
        for _ in 0..self.rng.range(1..9) {
            let partition = self.rng.below(u64::from(PARTITIONS)) as u32;
            let (tp, crc, op) = (Tp { topic: TopicId(1), partition }, self.operations as u32, self.operations);
            let offset = self.ends[partition as usize];
            self.ends[partition as usize] += 1;
            let send = |phase, offset| Event::Send { op, tp, phase, crc, offset, transactional: true };
            self.push(writer, send(Phase::Invoke, None));
            self.push(writer, send(Phase::Ok, Some(offset)));
            written.push((partition, offset, crc));
            self.operations += 1;
        }
        let commits = self.rng.below(4) > 0;
        self.push(writer, event(if commits { Phase::Ok } else { Phase::Fail }));
        for (partition, offset, crc) in written {
            // The marker.
            self.ends[partition as usize] = self.ends[partition as usize].max(offset + 2);
            if commits {
                self.committed[partition as usize].push((offset, crc));
            }
        }
    }

    fn reads(&mut self, at: &mut [[usize; PARTITIONS as usize]]) {
        for reader in 0..READERS {
            for partition in 0..PARTITIONS {
                let from = &mut at[reader as usize][partition as usize];
                let to = (*from + 64).min(self.committed[partition as usize].len());
                let records = self.committed[partition as usize][*from..to].to_vec();
                let restarted = *from == 0;
                *from = to;
                if !records.is_empty() {
                    self.operations += records.len() as u64;
                    let tp = Tp { topic: TopicId(1), partition };
                    self.push(WRITERS + reader, Event::Delivered { reader, group: None, tp, isolation: Isolation::ReadCommitted, restarted, records });
                }
            }
        }
    }
}

fn load(operations: u64) -> Load {
    let nodes = (0..WRITERS + READERS).map(|node| Arc::from(format!("node-{node}"))).collect();
    let partitions = PARTITIONS as usize;
    let mut load = Load {
        rng: Rng::keyed(1, &["checkers"]),
        entries: Vec::new(),
        ends: vec![0; partitions],
        committed: vec![Vec::new(); partitions],
        nodes,
        operations: 0,
    };
    let mut at = [[0; PARTITIONS as usize]; READERS as usize];
    while load.operations < operations {
        for _ in 0..100 {
            let writer = load.rng.below(WRITERS);
            load.transaction(writer);
        }
        load.reads(&mut at);
    }
    load
}

#[test]
#[ignore = "measures"]
fn operations_per_second() {
    for millions in [1, 4] {
        let load = load(millions * 1_000_000);
        let before_kb = resident_peak_kb();
        let mut seconds: Vec<f64> = (0..5)
            .map(|_| {
                let start = cpu_seconds();
                for (name, finding) in check(&load.entries, Law::Ours, false) {
                    assert_eq!(finding.violation, None, "{name}");
                }
                cpu_seconds() - start
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let (count, kb) = (load.operations, resident_peak_kb() - before_kb);
        println!(
            "{count} operations in {} facts: best {:.2}, median {:.2} million a CPU second in 5 runs; {} bytes an operation beyond the history",
            load.entries.len(),
            count as f64 / seconds[0] / 1e6,
            count as f64 / seconds[2] / 1e6,
            kb * 1_024 / count
        );
    }
}

/// `HISTORY=target/runs/…/history.jsonl`, several with `:` between them.
#[test]
#[ignore = "measures"]
fn of_saved_histories() {
    for path in std::env::var("HISTORY").expect("HISTORY names files").split(':') {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let entries: Vec<Entry> = text.lines().zip(1..).map(|(line, number)| sim::history::from_json_line(number, line).expect("a history")).collect();
        let start = cpu_seconds();
        let found = check(&entries, Law::Ours, true);
        println!("{path}: {} facts, {} operations in {:.3} CPU s", entries.len(), Operations::of(&entries).count(), cpu_seconds() - start);
        for (name, finding) in found {
            println!("  {name:<24} {:>9}   {:?} {}", finding.checked, finding.violation, finding.remark);
        }
    }
}
