//! TCP: tokio's in production, turmoil's twin in its build.
#![allow(clippy::disallowed_types)] // the seam itself

use super::{Frame, codec};
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[cfg(not(turmoil))]
use tokio::net::{TcpListener, TcpStream};
#[cfg(turmoil)]
use turmoil::net::{TcpListener, TcpStream};

/// A listening socket.
pub struct Listener {
    inner: TcpListener,
    address: String,
    /// Places for connections that are open at a time.
    room: Option<Arc<Semaphore>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

/// One connection's byte stream. Written bytes are sent without a flush.
#[derive(Debug)]
pub struct ByteStream {
    inner: TcpStream,
    /// Given back to its listener with the connection's end.
    _place: Option<OwnedSemaphorePermit>,
}

/// The reading half of a framed connection.
#[derive(Debug)]
pub struct FrameReader {
    inner: ReadHalf<ByteStream>,
    buffer: BytesMut,
}

/// The writing half of a framed connection.
#[derive(Debug)]
pub struct FrameWriter {
    inner: WriteHalf<ByteStream>,
    /// A send was cancelled half way: nothing that follows would be understood.
    torn: bool,
}

impl Listener {
    /// Listens on `address`; port 0 takes a free one.
    pub async fn bind(address: &str) -> io::Result<Self> {
        let inner = TcpListener::bind(bindable(address)?).await.map_err(|error| named(address, "listen on", error))?;
        let address = inner.local_addr()?.to_string();
        Ok(Listener { inner, address, room: None })
    }

    /// With so many accepted connections open at a time; the next waits in the system's queue until one of them ends.
    pub fn at_most(self, connections: usize) -> Self {
        Listener { room: Some(Arc::new(Semaphore::new(connections))), ..self }
    }

    /// The next connection and its peer's address. Cancel-safe.
    pub async fn accept(&mut self) -> io::Result<(ByteStream, String)> {
        let place = match &self.room {
            Some(room) => Some(Arc::clone(room).acquire_owned().await.expect("never closed")),
            None => None,
        };
        let (inner, peer) = self.inner.accept().await?;
        inner.set_nodelay(true)?;
        Ok((ByteStream { inner, _place: place }, peer.to_string()))
    }

    /// Where it listens.
    pub fn local_address(&self) -> String {
        self.address.clone()
    }
}

/// Connects. May hang for as long as the network does: give it a timeout.
pub async fn connect(address: &str) -> io::Result<ByteStream> {
    let inner = TcpStream::connect(address).await.map_err(|error| named(address, "connect to", error))?;
    inner.set_nodelay(true)?;
    Ok(ByteStream { inner, _place: None })
}

/// turmoil binds wildcard addresses only; its host is the node.
fn bindable(address: &str) -> io::Result<String> {
    let (_, port) = address.rsplit_once(':').ok_or_else(|| {
        let text = format!("address {address:?} is not host:port");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })?;
    Ok(if cfg!(turmoil) { format!("0.0.0.0:{port}") } else { address.to_string() })
}

fn named(address: &str, what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {address}: {error}"))
}

/// Splits a stream into the two halves of a framed connection. Dropping both closes it.
pub fn framed(stream: ByteStream) -> (FrameReader, FrameWriter) {
    let (read, write) = tokio::io::split(stream);
    (FrameReader { inner: read, buffer: BytesMut::new() }, FrameWriter { inner: write, torn: false })
}

impl FrameReader {
    /// The next frame; `None` when the peer closed between frames. Cancel-safe. An error ends the connection.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = codec::decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(4096);
            if self.inner.read_buf(&mut self.buffer).await? == 0 {
                return codec::end_of_stream(&self.buffer);
            }
        }
    }
}

impl FrameWriter {
    /// Sends one frame, whole and flushed. Not cancel-safe: a cancelled send ends the connection.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "an earlier send was cancelled half way"));
        }
        let header = codec::header(&frame)?;
        self.torn = true;
        self.inner.write_all_buf(&mut Buf::chain(header.as_slice(), frame.body)).await?;
        self.inner.flush().await?;
        self.torn = false;
        Ok(())
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
