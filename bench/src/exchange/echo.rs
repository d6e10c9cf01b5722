//! The least that a request over loopback can cost: a thread that sends back what it gets.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

/// Bytes there and back: about those of a small request and its answer.
const BYTES: usize = 150;

/// A connection to a thread that answers; it ends when this is dropped.
pub struct Echo(TcpStream);

impl Echo {
    /// How it is measured, as a condition.
    pub const METHOD: &str = "150 bytes to another thread and back over a loopback connection, nothing parsed";

    /// Starts the thread, and connects.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a free port of loopback")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut bytes = [0; BYTES];
            // The other end has gone, or takes what was sent.
            while stream.read_exact(&mut bytes).and_then(|()| stream.write_all(&bytes)).is_ok() {}
        });
        let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        Ok(Echo(stream))
    }

    /// Nanoseconds of `count` round trips.
    pub fn round_trips(&mut self, count: usize) -> Result<Vec<u64>> {
        let mut bytes = [7; BYTES];
        let round_trip = |_| {
            let begin = Instant::now();
            self.0.write_all(&bytes)?;
            self.0.read_exact(&mut bytes)?;
            Ok(begin.elapsed().as_nanos() as u64)
        };
        (0..count).map(round_trip).collect()
    }
}
