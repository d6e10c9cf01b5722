//! Network: byte streams (HTTP) and framed connections (everything else).
//!
//! Addresses are `host:port` texts: `127.0.0.1:9092` in production, `broker-1:9092` (node name and port) in simulation.

use bytes::Bytes;

#[cfg(madsim)]
mod madsim;
#[cfg(not(madsim))]
mod tcp;

#[cfg(madsim)]
pub use madsim::{ByteStream, FrameReader, FrameWriter, Listener, connect, framed};
#[cfg(not(madsim))]
pub use tcp::{ByteStream, FrameReader, FrameWriter, Listener, connect, framed};

#[cfg(madsim)]
pub(crate) use madsim::network::Network;
#[cfg(madsim)]
pub use madsim::{link::Latency, link::Touched, network::Down};

mod codec;

/// A framed message: length of the body u32, kind u16, correlation u32 (little-endian), then the body. A response has its request's kind with
/// [`RESPONSE`] set.
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
