//! What a core asks for, done in order.

use super::Host;
use super::files::Withheld;
use super::inside::LINES;
use crate::history::Event;
use broker::io::{DiskAnswer, DiskError, Input, Output};
use broker::protocol::{ErrorCode, FetchedPartition, NodeId, Request, Response};
use bytes::Bytes;
use std::io;

impl Host {
    pub(super) fn execute(&mut self, node: NodeId, output: Output) {
        if let Some(file) = self.files.replaced_by(node, &output) {
            return self.files.defer(file, node, output);
        }
        match output {
            Output::Reply { connection, correlation, mut response, reads } => {
                self.fill(node, &mut response, &reads);
                self.reply(connection, correlation, Some(response));
            }
            Output::NoReply { connection, correlation } => self.reply(connection, correlation, None),
            Output::Mute { connection, mute_ms } => self.connections.mute(connection, mute_ms),
            Output::Request { to, lane, id, request } => self.request(node, to, lane, id, request),
            Output::Append { op, file, bytes } => {
                let result = self.files.append(node, &file, &bytes);
                self.done(node, op, result);
            }
            Output::Truncate { op, file, len } => {
                let result = self.files.truncate(node, &file, len);
                self.done(node, op, result);
            }
            Output::Read { op, file, offset, len } => {
                let result = self.files.read(node, &file, offset, len).map(DiskAnswer::Bytes);
                self.answered(node, op, result);
            }
            Output::Replace { op, file, bytes } => {
                if let Err(error) = self.files.replace(node, op, &file, &bytes) {
                    self.done(node, op, Err(error));
                }
            }
            Output::Remove { op, file } => {
                if let Err(error) = self.files.remove(node, op, &file) {
                    self.done(node, op, Err(error));
                }
            }
            Output::Sync { op, files } => self.files.sync(node, op, &files),
            Output::Timer { at_ms } => self.timers.set(node, at_ms),
            Output::Note(note) => {
                let mark = note.mark();
                // Taken down first: a fault that waits for the mark may end this life there.
                self.observer.observe_with(|| Event::Broker(note));
                if let Some(mark) = mark {
                    runtime::reached!(mark);
                }
            }
            Output::Stopped => self.stopped(node),
        }
    }

    pub(super) fn done(&mut self, node: NodeId, op: u64, result: io::Result<()>) {
        self.answered(node, op, result.map(|()| DiskAnswer::Done));
    }

    fn answered(&mut self, node: NodeId, op: u64, result: io::Result<DiskAnswer>) {
        let result = result.map_err(|error| {
            self.disk_error.get_or_insert(error);
            DiskError
        });
        self.ready.push_back((node, Input::DiskDone { op, result }));
    }

    /// Reads what a fetch's answer names into it.
    fn fill(&self, node: NodeId, response: &mut Response, reads: &[(usize, String, u64, u32)]) {
        if reads.is_empty() {
            return;
        }
        let Response::Fetch { partitions } = response else { panic!("only a fetch's answer is read from the disk") };
        for (index, file, offset, len) in reads {
            let partition = &mut partitions[*index];
            match self.files.read(node, file, *offset, u64::from(*len)) {
                Ok(bytes) if partition.records.is_empty() => partition.records = bytes,
                Ok(bytes) => partition.records = [&partition.records[..], &bytes[..]].concat().into(),
                Err(_) => *partition = FetchedPartition { error: Some(ErrorCode::KafkaStorageError), records: Bytes::new(), ..partition.clone() },
            }
        }
    }

    fn reply(&mut self, connection: u64, correlation: u32, response: Option<Response>) {
        match self.peers.asker(connection, correlation) {
            Some((node, id)) => self.ready.push_back((node, Input::Response { id, response })),
            None if connection >= LINES => self.connections.reply(connection, correlation, response),
            None => self.release(Withheld::Reply { connection, correlation, response }),
        }
    }

    /// Now, or when what was written is on the platter.
    pub(super) fn release(&mut self, what: Withheld) {
        if self.withholds && !self.files.is_durable() { self.files.withhold(what) } else { self.let_out(what) }
    }

    pub(super) fn let_out(&mut self, what: Withheld) {
        match what {
            Withheld::Reply { connection, correlation, response } => self.connections.reply(connection, correlation, response),
            // He may have given up.
            Withheld::Word(tell) => drop(tell.send(())),
        }
    }

    fn request(&mut self, from: NodeId, to: NodeId, lane: u8, id: u64, request: Request) {
        if self.residents.get(&to).is_some_and(|resident| !resident.stopped) {
            let (connection, correlation) = self.peers.ask_resident(from, to, id);
            self.ready.push_back((to, Input::Request { connection, correlation, request }));
        } else {
            self.peers.ask(from, to, lane, id, &request);
        }
    }
}
