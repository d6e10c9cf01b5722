//! What a core is told and what it asks for. The host executes outputs in order; outputs on one file strictly so.

use crate::note::Note;
use crate::protocol::{NodeId, Request, Response};
use bytes::Bytes;

/// A request that a core sent to another node; chosen by the core, never reused within one life.
pub type RequestId = u64;

/// Both clocks, read by the host at each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Never backwards: timeouts.
    pub monotonic_ms: u64,
    /// May jump: timestamps.
    pub wall_ms: u64,
}

/// A file operation failed; the replica's directory goes offline (A5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskError;

/// What a finished disk operation gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskAnswer {
    /// Append, truncate, replace, remove, sync.
    Done,
    /// Read: fewer bytes at the end of the file.
    Bytes(Bytes),
}

/// What a core is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// The first input of a life: every file of this core and its length.
    Start {
        /// Sorted by name.
        listing: Vec<(String, u64)>,
        /// Unique to this life of the process.
        incarnation: u64,
    },
    /// A request from a client or another node. Requests of one `connection` are answered in order (the host sees to it).
    Request {
        /// Unique for the life of the process.
        connection: u64,
        /// To be given back in the reply.
        correlation: u32,
        /// What is asked.
        request: Request,
    },
    /// That connection is gone; nobody will read its replies.
    Closed {
        /// As in `Request`.
        connection: u64,
    },
    /// The answer to a request of this core; `None`: the connection broke, it may or may not have been executed.
    Response {
        /// As in `Output::Request`.
        id: RequestId,
        /// The answer.
        response: Option<Response>,
    },
    /// A disk operation finished.
    DiskDone {
        /// As in the output.
        op: u64,
        /// How.
        result: Result<DiskAnswer, DiskError>,
    },
    /// A timer that the core set is due (one too many does no harm).
    Tick,
    /// Leave in good order: hand leaderships over, sync, write the clean-shutdown marker; the core ends with `Output::Stopped`.
    ShutDown,
}

/// What a core asks for.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Output {
    /// Answer a request. `reads`: (index into a fetch's partitions, file, position, length) that the host reads from the disk into `records`.
    Reply { connection: u64, correlation: u32, response: Response, reads: Vec<(usize, String, u64, u32)> },
    /// No answer will come for this request (acks = 0): go on with the next of the connection.
    NoReply { connection: u64, correlation: u32 },
    /// Read no further request of this connection for so long (A69). What was read before is served; what is owed is answered.
    Mute { connection: u64, mute_ms: u64 },
    /// Ask another node. The host keeps one ordered connection per (core, node, lane); a broken one answers `None`. Every request is answered or
    /// answered `None` in the end: the core has no timeouts of its own for them.
    /// Lanes keep a long poll from delaying anything else (0: short requests, 1: fetch).
    Request { to: NodeId, lane: u8, id: RequestId, request: Request },
    /// Write at the end of a file.
    Append { op: u64, file: String, bytes: Bytes },
    /// Cut a file.
    Truncate { op: u64, file: String, len: u64 },
    /// Write a small file whole, atomically and durably (temporary file, sync, rename, sync of the directory).
    Replace { op: u64, file: String, bytes: Bytes },
    /// Remove a file.
    Remove { op: u64, file: String },
    /// Make these files durable, and their names in their directories, one round for all; done when all earlier appends to them are on the platter.
    Sync { op: u64, files: Vec<String> },
    /// Read a file.
    Read { op: u64, file: String, offset: u64, len: u64 },
    /// Wake the core (`Input::Tick`) when the monotonic clock shows `at_ms`. Earlier timers stay.
    Timer { at_ms: u64 },
    /// A fact for the history and for marks; changes nothing.
    Note(Note),
    /// The core has ended: after `Input::ShutDown`, or by itself after a disk error (A5). It answers nothing more.
    Stopped,
}

/// A broker or a controller.
pub trait Core: Send {
    /// One step: pure but for `self`. The host must execute every output, in order.
    fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>);
}
