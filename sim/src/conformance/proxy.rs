//! A relay before a server that can be made to throw the server's answers away: what was asked is done, and nobody hears of it.

use runtime::net::{ByteStream, Listener, connect};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;

/// The relay. It goes on after the value is dropped, with the runtime.
#[derive(Clone)]
pub struct Proxy {
    address: String,
    switch: Arc<Switch>,
}

#[derive(Default)]
struct Switch {
    /// Written by `swallow` and `pass`, read by every connection.
    swallows: AtomicBool,
    changed: Notify,
}

impl Proxy {
    /// Listens on `listen`, and relays to `server`.
    pub async fn start(listen: &str, server: String) -> io::Result<Proxy> {
        let mut listener = Listener::bind(listen).await?;
        let address = listener.local_address();
        let switch = Arc::<Switch>::default();
        let relays = switch.clone();
        runtime::task::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                runtime::task::spawn(relay(client, server.clone(), relays.clone()));
            }
        });
        Ok(Proxy { address, switch })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Throws answers away from now on; requests pass.
    pub fn swallow(&self) {
        self.switch.swallows.store(true, Ordering::Release);
    }

    /// Lets answers pass again; a connection that lost some is closed.
    pub fn pass(&self) {
        self.switch.swallows.store(false, Ordering::Release);
        self.switch.changed.notify_waiters();
    }
}

async fn relay(client: ByteStream, server: String, switch: Arc<Switch>) {
    let Ok(server) = connect(&server).await else { return };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    // Either end closes both: the other half is dropped here.
    runtime::select! {
        _ = copy(from_client, to_server) => {}
        _ = answers(from_server, to_client, switch) => {}
    }
}

async fn copy(mut from: ReadHalf<ByteStream>, mut to: WriteHalf<ByteStream>) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}

async fn answers(mut from: ReadHalf<ByteStream>, mut to: WriteHalf<ByteStream>, switch: Arc<Switch>) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut torn = false;
    loop {
        let changed = switch.changed.notified();
        if torn && !switch.swallows.load(Ordering::Acquire) {
            return Ok(());
        }
        let read = runtime::select! {
            read = from.read(&mut buffer) => read?,
            () = changed => continue,
        };
        if read == 0 {
            return Ok(());
        }
        if switch.swallows.load(Ordering::Acquire) || torn {
            torn = true;
            continue;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}
