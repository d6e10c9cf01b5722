//! The simulated network as the engine sees it. Only madsim's executor, timers and node ids are used, none of its sockets: every fault is ours.

use super::{Frame, codec};
use crate::simulated::{self, Life, Simulation, UNPOISONED};
use bytes::{Bytes, BytesMut};
use network::{Network, Parcel, SideId};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) mod link;
pub(crate) mod network;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    simulation: Arc<Simulation>,
    life: Life,
    port: u16,
}

/// One connection's byte stream. Written bytes are sent without a flush.
#[derive(Debug)]
pub struct ByteStream {
    side: Side,
}

/// The reading half of a framed connection.
#[derive(Debug)]
pub struct FrameReader {
    side: Arc<Side>,
    /// What came as bytes and is not yet a frame.
    buffer: BytesMut,
}

/// The writing half of a framed connection.
#[derive(Debug)]
pub struct FrameWriter {
    side: Arc<Side>,
}

/// Holds one side of a connection; its drop closes it.
#[derive(Debug)]
struct Side {
    simulation: Arc<Simulation>,
    at: SideId,
}

impl Listener {
    /// Listens on `address`; port 0 takes a free one.
    pub async fn bind(address: &str) -> io::Result<Self> {
        let simulation = simulated::current();
        let life = simulation.current_life();
        let (host, port) = parse(address)?;
        if !is_local(host) && host != simulation.name_of(life.node) {
            let text = format!("cannot listen on {address}: this node is {}", simulation.name_of(life.node));
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        let bound = network(&simulation).bind(&life, port);
        let port = bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        Ok(Listener { simulation, life, port })
    }

    /// The next connection and its peer's address. Cancel-safe.
    pub async fn accept(&mut self) -> io::Result<(ByteStream, String)> {
        let at = poll_fn(|cx| network(&self.simulation).poll_accept(&self.life, self.port, cx)).await;
        let peer = network(&self.simulation).peer_address(at);
        Ok((ByteStream { side: Side { simulation: self.simulation.clone(), at } }, peer))
    }

    /// Where it listens.
    pub fn local_address(&self) -> String {
        format!("{}:{}", self.simulation.name_of(self.life.node), self.port)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let now_ns = self.simulation.now_ns();
        network(&self.simulation).unbind(&self.simulation, &self.life, self.port, now_ns);
    }
}

/// Connects. May hang for as long as the network does: give it a timeout.
pub async fn connect(address: &str) -> io::Result<ByteStream> {
    let simulation = simulated::current();
    let life = simulation.current_life();
    let (host, port) = parse(address)?;
    let to = if is_local(host) { life.node } else { simulation.number_of(host) };
    loop {
        let changed = network(&simulation).changed();
        // Registered before the look, so that a heal between the two is not missed.
        let mut changed = std::pin::pin!(changed.notified());
        changed.as_mut().enable();
        let round_trip = network(&simulation).reach(life.node, to);
        let Some(round_trip) = round_trip else {
            changed.await;
            continue;
        };
        crate::time::sleep(round_trip).await;
        // A cut in the meantime holds the handshake.
        if network(&simulation).reach(life.node, to).is_none() {
            continue;
        }
        let established = network(&simulation).establish(&simulation, &life, to, port);
        let at = established.map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")))?;
        return Ok(ByteStream { side: Side { simulation: simulation.clone(), at } });
    }
}

fn parse(address: &str) -> io::Result<(&str, u16)> {
    let parsed = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parsed.filter(|(host, _)| !host.is_empty()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("address {address:?} is not host:port")))
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0")
}

fn network(simulation: &Simulation) -> MutexGuard<'_, Network> {
    simulation.network.lock().expect(UNPOISONED)
}

/// Splits a stream into the two halves of a framed connection. Dropping both closes it.
pub fn framed(stream: ByteStream) -> (FrameReader, FrameWriter) {
    let side = Arc::new(stream.side);
    (FrameReader { side: side.clone(), buffer: BytesMut::new() }, FrameWriter { side })
}

impl Side {
    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Parcel> {
        network(&self.simulation).poll_take(&self.simulation, self.at, cx)
    }

    fn poll_put(&self, cx: &mut Context<'_>, parcel: impl FnOnce() -> Parcel) -> Poll<io::Result<()>> {
        network(&self.simulation).poll_put(&self.simulation, self.at, cx, parcel)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let now_ns = self.simulation.now_ns();
        network(&self.simulation).release(&self.simulation, self.at, now_ns);
    }
}

impl FrameReader {
    /// The next frame; `None` when the peer closed between frames. Cancel-safe. An error ends the connection.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Frame>>> {
        loop {
            if let Some(frame) = codec::decode(&mut self.buffer)? {
                return Poll::Ready(Ok(Some(frame)));
            }
            match ready!(self.side.poll_take(cx)) {
                Parcel::Frame(frame) if self.buffer.is_empty() => return Poll::Ready(Ok(Some(frame))),
                Parcel::Frame(frame) => self.buffer.extend_from_slice(&codec::encode(&frame)?),
                Parcel::Bytes(bytes) => self.buffer.extend_from_slice(&bytes),
                Parcel::Fin => return Poll::Ready(codec::end_of_stream(&self.buffer)),
                Parcel::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
    }
}

impl FrameWriter {
    /// Sends one frame, whole and flushed. Not cancel-safe: a cancelled send ends the connection.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        codec::header(&frame)?;
        let mut frame = Some(frame);
        poll_fn(|cx| self.side.poll_put(cx, || Parcel::Frame(frame.take().expect("a parcel is made once")))).await
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let bytes = match ready!(self.side.poll_take(cx)) {
            Parcel::Bytes(bytes) => bytes,
            Parcel::Frame(frame) => codec::encode(&frame)?,
            Parcel::Fin => return Poll::Ready(Ok(())),
            Parcel::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        };
        let mut bytes: Bytes = bytes;
        let now = bytes.split_to(bytes.len().min(buf.remaining()));
        buf.put_slice(&now);
        if !bytes.is_empty() {
            network(&self.side.simulation).put_back(self.side.at, bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.side.poll_put(cx, || Parcel::Bytes(Bytes::copy_from_slice(buf))))?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now_ns = self.side.simulation.now_ns();
        network(&self.side.simulation).shut_down(&self.side.simulation, self.side.at, now_ns);
        Poll::Ready(Ok(()))
    }
}
