//! A relay before a server that does to its answers what a network can: it loses the next answer to a chosen kind of request, or holds it back, or
//! throws all answers away. What was asked is done all the same, and nobody hears of it, or hears of it late.

use runtime::net::{ByteStream, Listener, connect};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;

/// How the bytes of a connection fall into requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Ours ([`runtime::net::Frame`]); its request kinds are Kafka's API keys.
    Native,
    /// Apache Kafka's.
    Kafka,
}

/// What happens to one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trip {
    /// It is lost, and its connection with it.
    Lose,
    /// It comes so many milliseconds late, and everything behind it too.
    Delay(u64),
}

/// The relay. It goes on after the value is dropped, with the runtime.
#[derive(Clone)]
pub struct Proxy {
    address: String,
    switch: Arc<Switch>,
}

#[derive(Default)]
struct Switch {
    state: Mutex<State>,
    /// Wakes every connection after a change of `state`.
    changed: Notify,
}

#[derive(Default)]
struct State {
    swallows: bool,
    holds: bool,
    /// Each for the next answer to a request of this kind, in this order.
    trips: Vec<(u16, Trip)>,
    tripped: u32,
}

impl Switch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }
}

impl Proxy {
    /// Listens on `listen`, and relays to `server`.
    pub async fn start(listen: &str, server: String, framing: Framing) -> io::Result<Proxy> {
        let mut listener = Listener::bind(listen).await?;
        let address = listener.local_address();
        let switch = Arc::<Switch>::default();
        let relays = switch.clone();
        runtime::task::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                runtime::task::spawn(relay(client, server.clone(), framing, relays.clone()));
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
        self.switch.change(|state| state.swallows = true);
    }

    /// Keeps answers back from now on, as a server that is paused does.
    pub fn hold(&self) {
        self.switch.change(|state| state.holds = true);
    }

    /// Lets answers pass again, those that were held first; a connection that lost some is closed. Nothing is armed any more.
    pub fn pass(&self) {
        self.switch.change(|state| (state.swallows, state.holds, state.trips) = (false, false, Vec::new()));
    }

    /// Does this to the next answer to a request of this kind.
    pub fn trip(&self, kind: u16, trip: Trip) {
        self.switch.change(|state| state.trips.push((kind, trip)));
    }

    /// How many answers were lost or delayed by [`Proxy::trip`].
    pub fn tripped(&self) -> u32 {
        self.switch.state().tripped
    }
}

impl Framing {
    /// Length of the frame at the head of `bytes`, once that can be told.
    fn len(self, bytes: &[u8]) -> Option<usize> {
        let length = *bytes.first_chunk::<4>()?;
        Some(match self {
            Framing::Native => 10 + u32::from_le_bytes(length) as usize,
            Framing::Kafka => 4 + u32::from_be_bytes(length) as usize,
        })
    }

    /// Kind and correlation of a request.
    fn asked(self, frame: &[u8]) -> Option<(u16, u32)> {
        Some(match self {
            Framing::Native => (u16::from_le_bytes(part(frame, 4)?), u32::from_le_bytes(part(frame, 6)?)),
            Framing::Kafka => (u16::from_be_bytes(part(frame, 4)?), u32::from_be_bytes(part(frame, 8)?)),
        })
    }

    /// Correlation of an answer.
    fn answered(self, frame: &[u8]) -> Option<u32> {
        Some(match self {
            Framing::Native => u32::from_le_bytes(part(frame, 6)?),
            Framing::Kafka => u32::from_be_bytes(part(frame, 4)?),
        })
    }
}

fn part<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}

/// Of one connection: kinds of the requests without an answer, by correlation. Written by the relay of requests, read by the relay of answers.
type Open = Arc<Mutex<BTreeMap<u32, u16>>>;

async fn relay(client: ByteStream, server: String, framing: Framing, switch: Arc<Switch>) {
    let Ok(server) = connect(&server).await else { return };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let open = Open::default();
    // Either end closes both: the other half is dropped here.
    runtime::select! {
        _ = requests(Frames::of(from_client, framing), to_server, open.clone()) => {}
        _ = answers(Frames::of(from_server, framing), to_client, open, switch) => {}
    }
}

/// Whole frames of a stream.
struct Frames {
    from: ReadHalf<ByteStream>,
    framing: Framing,
    read: Vec<u8>,
}

impl Frames {
    fn of(from: ReadHalf<ByteStream>, framing: Framing) -> Frames {
        Frames { from, framing, read: Vec::new() }
    }

    /// Cancel-safe: what was read stays. `None` at the end of the stream.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Some(len) = self.framing.len(&self.read).filter(|len| *len <= self.read.len()) {
                let rest = self.read.split_off(len);
                return Ok(Some(std::mem::replace(&mut self.read, rest)));
            }
            match self.from.read(&mut buffer).await? {
                0 => return Ok(None),
                read => self.read.extend_from_slice(&buffer[..read]),
            }
        }
    }
}

async fn requests(mut from: Frames, mut to: WriteHalf<ByteStream>, open: Open) -> io::Result<()> {
    while let Some(frame) = from.next().await? {
        if let Some((kind, correlation)) = from.framing.asked(&frame) {
            open.lock().expect("no panic under the lock").insert(correlation, kind);
        }
        to.write_all(&frame).await?;
        to.flush().await?;
    }
    Ok(())
}

async fn answers(mut from: Frames, mut to: WriteHalf<ByteStream>, open: Open, switch: Arc<Switch>) -> io::Result<()> {
    let (mut torn, mut held) = (false, Vec::new());
    loop {
        let changed = switch.changed.notified();
        let (swallows, holds) = {
            let state = switch.state();
            (state.swallows, state.holds)
        };
        if torn && !swallows {
            return Ok(());
        }
        if !holds {
            for frame in held.drain(..) {
                send(&mut to, frame).await?;
            }
        }
        let frame: Vec<u8> = runtime::select! {
            frame = from.next() => match frame? { Some(frame) => frame, None => return Ok(()) },
            () = changed => continue,
        };
        let correlation = from.framing.answered(&frame);
        let kind = correlation.and_then(|correlation| open.lock().expect("no panic under the lock").remove(&correlation));
        if swallows || torn {
            torn = true;
            continue;
        }
        match take_trip(&switch, kind) {
            Some(Trip::Lose) => return Ok(()),
            Some(Trip::Delay(ms)) => runtime::time::sleep(Duration::from_millis(ms)).await,
            None => {}
        }
        if holds { held.push(frame) } else { send(&mut to, frame).await? }
    }
}

fn take_trip(switch: &Switch, kind: Option<u16>) -> Option<Trip> {
    let kind = kind?;
    let mut state = switch.state();
    let at = state.trips.iter().position(|(armed, _)| *armed == kind)?;
    state.tripped += 1;
    Some(state.trips.remove(at).1)
}

async fn send(to: &mut WriteHalf<ByteStream>, frame: Vec<u8>) -> io::Result<()> {
    to.write_all(&frame).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_framings_tell_length_kind_and_correlation() {
        let native = [3, 0, 0, 0, 26, 0, 7, 0, 0, 0, b'a', b'b', b'c'];
        assert_eq!((Framing::Native.len(&native), Framing::Native.asked(&native), Framing::Native.answered(&native)), (Some(13), Some((26, 7)), Some(7)));
        let kafka = [0, 0, 0, 10, 0, 26, 0, 2, 0, 0, 0, 7, 0xff, 0xff];
        assert_eq!((Framing::Kafka.len(&kafka), Framing::Kafka.asked(&kafka)), (Some(14), Some((26, 7))));
        assert_eq!(Framing::Kafka.answered(&[0, 0, 0, 4, 0, 0, 0, 9]), Some(9));
        assert_eq!((Framing::Kafka.len(&kafka[..3]), Framing::Kafka.asked(&kafka[..8])), (None, None));
    }

    #[test]
    fn a_trip_is_for_one_answer_of_its_kind() {
        let switch = Switch::default();
        switch.state().trips.push((26, Trip::Lose));
        assert_eq!(take_trip(&switch, Some(0)), None);
        assert_eq!(take_trip(&switch, None), None);
        assert_eq!(take_trip(&switch, Some(26)), Some(Trip::Lose));
        assert_eq!(take_trip(&switch, Some(26)), None);
        assert_eq!(switch.state().tripped, 1);
    }
}
