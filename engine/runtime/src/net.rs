//! Network: byte streams (HTTP) and framed connections (everything else).
//!
//! Addresses are `host:port` texts: `127.0.0.1:9092` in production, `broker-1:9092` (node name and port) in simulation.

use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A framed message: length u32, kind u16, correlation u32 (little-endian), then the body. A response has its request's kind with [`RESPONSE`] set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which request, or the response to which.
    pub kind: u16,
    /// Chosen by the requester, unique per connection.
    pub correlation: u32,
    /// The message.
    pub body: Bytes,
}

/// Set in the kind of a response.
pub const RESPONSE: u16 = 0x8000;

/// Largest body; a longer one is refused before anything is allocated for it.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {}

/// One connection's byte stream. Written bytes are sent without a flush.
#[derive(Debug)]
pub struct ByteStream {}

/// The reading half of a framed connection.
#[derive(Debug)]
pub struct FrameReader {}

/// The writing half of a framed connection.
#[derive(Debug)]
pub struct FrameWriter {}

impl Listener {
    /// Listens on `address`; port 0 takes a free one.
    pub async fn bind(_address: &str) -> io::Result<Self> {
        todo!("runtime: written next")
    }

    /// The next connection and its peer's address. Cancel-safe.
    pub async fn accept(&mut self) -> io::Result<(ByteStream, String)> {
        todo!("runtime: written next")
    }

    /// Where it listens.
    pub fn local_address(&self) -> String {
        todo!("runtime: written next")
    }
}

/// Connects. May hang for as long as the network does: give it a timeout.
pub async fn connect(_address: &str) -> io::Result<ByteStream> {
    todo!("runtime: written next")
}

/// Splits a stream into the two halves of a framed connection. Dropping both closes it.
pub fn framed(_stream: ByteStream) -> (FrameReader, FrameWriter) {
    todo!("runtime: written next")
}

impl FrameReader {
    /// The next frame; `None` when the peer closed between frames. Cancel-safe. An error ends the connection.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        todo!("runtime: written next")
    }
}

impl FrameWriter {
    /// Sends one frame, whole and flushed. Not cancel-safe: a cancelled send ends the connection.
    pub async fn send(&mut self, _frame: Frame) -> io::Result<()> {
        todo!("runtime: written next")
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, _buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        todo!("runtime: written next")
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, _buf: &[u8]) -> Poll<io::Result<usize>> {
        todo!("runtime: written next")
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!("runtime: written next")
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!("runtime: written next")
    }
}
