//! The host's own promises, with scripted cores: answers in order, disk operations in order, errors told, stopping.

mod support;

use broker::io::{Core, DiskAnswer, DiskError, Input, Now, Output};
use broker::protocol::{ErrorCode, Request, Response};
use bytes::Bytes;
use log::host::{Host, HostConfig, Inside};
use log::link::Link;
use runtime::disk::{Disk, Entry};
use runtime::net::{Frame, Listener, RESPONSE, connect, framed};
use runtime::task::{JoinHandle, Stopper, stop_channel};
use runtime::{BoxFuture, time};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use support::{MemoryDisk, Notebook};
use tokio::sync::Semaphore;

type Heard = Arc<Mutex<VecDeque<Input>>>;

/// Does what a test says; notes what it hears.
struct Scripted<F> {
    heard: Heard,
    act: F,
}

impl<F: FnMut(Now, &Input, &mut Vec<Output>) + Send> Core for Scripted<F> {
    fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        (self.act)(now, &input, out);
        if matches!(input, Input::ShutDown) {
            out.push(Output::Stopped);
        }
        self.heard.lock().expect("no panic").push_back(input);
    }
}

struct Running {
    address: String,
    heard: Heard,
    stopper: Stopper,
    inside: Inside,
    task: JoinHandle<io::Result<()>>,
}

async fn host(disk: Arc<dyn Disk>, act: impl FnMut(Now, &Input, &mut Vec<Output>) + Send + 'static) -> Running {
    host_that(false, disk, act).await
}

async fn host_that(withholds: bool, disk: Arc<dyn Disk>, act: impl FnMut(Now, &Input, &mut Vec<Output>) + Send + 'static) -> Running {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_address();
    let heard: Heard = Arc::default();
    let core: Box<dyn Core> = Box::new(Scripted { heard: heard.clone(), act });
    let (stopper, stop) = stop_channel();
    let config = HostConfig { withholds, ..HostConfig::new(address.clone(), BTreeMap::new()) };
    let host = Host::new(config, vec![(1, core)], disk, Arc::new(Notebook::default()), 7).expect("memory");
    let inside = host.inside();
    Running { address, heard, stopper, inside, task: runtime::task::spawn(host.serve(listener, stop)) }
}

/// Waits until the core heard something that `pick` picks.
async fn hear<T>(running: &Running, pick: impl Fn(&Input) -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(found) = running.heard.lock().expect("no panic").iter().find_map(&pick) {
            return found;
        }
        time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not heard");
}

fn done(op: u64) -> impl Fn(&Input) -> Option<Result<DiskAnswer, DiskError>> {
    move |input| if let Input::DiskDone { op: of, result } = input { (*of == op).then(|| result.clone()) } else { None }
}

fn metadata() -> Request {
    Request::Metadata { topics: None }
}

#[tokio::test]
async fn answers_of_a_connection_keep_the_order_of_its_requests() {
    let mut asked = Vec::new();
    let running = host(Arc::new(MemoryDisk::default()), move |_, input, out| {
        if let Input::Request { connection, correlation, .. } = input {
            asked.push((*connection, *correlation));
        }
        // Answers the last first, and none to the second.
        if asked.len() == 3 {
            for (connection, correlation) in std::mem::take(&mut asked).into_iter().rev() {
                out.push(match correlation {
                    11 => Output::NoReply { connection, correlation },
                    _ => Output::Reply { connection, correlation, response: Response::Heartbeat, reads: vec![] },
                });
            }
        }
    })
    .await;
    let (mut reader, mut writer) = framed(connect(&running.address).await.expect("it listens"));
    for correlation in [10, 11, 12] {
        writer.send(Frame { kind: metadata().kind(), correlation, body: metadata().encode() }).await.expect("sent");
    }
    for correlation in [10, 12] {
        let frame = reader.next().await.expect("no error").expect("an answer");
        assert_eq!((frame.kind, frame.correlation), (metadata().kind() | RESPONSE, correlation));
    }
    drop((reader, writer));
    hear(&running, |input| matches!(input, Input::Closed { .. }).then_some(())).await;
}

/// A69: the second request is on its way before the first is answered.
#[tokio::test]
async fn a_connection_that_is_muted_is_read_again_later_and_no_other_waits_for_it() {
    let asked: Arc<Mutex<Vec<(u32, u64)>>> = Arc::default();
    let seen = asked.clone();
    let running = host(Arc::new(MemoryDisk::default()), move |now, input, out| {
        if let Input::Request { connection, correlation, .. } = *input {
            seen.lock().expect("no panic").push((correlation, now.monotonic_ms));
            match correlation {
                1 => out.push(Output::Mute { connection, mute_ms: 400 }),
                5 => out.push(Output::Mute { connection, mute_ms: 3_600_000 }),
                _ => {}
            }
            out.push(Output::Reply { connection, correlation, response: Response::Heartbeat, reads: vec![] });
        }
    })
    .await;
    let ask = |correlation| Frame { kind: metadata().kind(), correlation, body: metadata().encode() };
    let (mut reader, mut writer) = framed(connect(&running.address).await.expect("it listens"));
    writer.send(ask(1)).await.expect("sent");
    assert_eq!(reader.next().await.expect("no error").expect("an answer").correlation, 1, "who is muted is answered");
    writer.send(ask(2)).await.expect("sent");
    let (mut silenced_reader, mut silenced) = framed(connect(&running.address).await.expect("it listens"));
    silenced.send(ask(5)).await.expect("sent");
    assert_eq!(silenced_reader.next().await.expect("no error").expect("an answer").correlation, 5);
    silenced.send(ask(6)).await.expect("sent");
    let (mut other_reader, mut other) = framed(connect(&running.address).await.expect("it listens"));
    other.send(ask(3)).await.expect("sent");
    assert_eq!(other_reader.next().await.expect("no error").expect("an answer").correlation, 3);
    assert_eq!(reader.next().await.expect("no error").expect("an answer").correlation, 2);
    let at_ms: BTreeMap<u32, u64> = asked.lock().expect("no panic").iter().copied().collect();
    assert!(at_ms[&2] >= at_ms[&1] + 400 && !at_ms.contains_key(&6), "{at_ms:?}");
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_and_the_connection_goes_on() {
    let running = host(Arc::new(MemoryDisk::default()), |_, input, out| {
        if let Input::Request { connection, correlation, .. } = input {
            out.push(Output::Reply { connection: *connection, correlation: *correlation, response: Response::Heartbeat, reads: vec![] });
        }
    })
    .await;
    let (mut reader, mut writer) = framed(connect(&running.address).await.expect("it listens"));
    for (correlation, kind, body) in [(1, 3, Bytes::from_static(b"\xff\xff")), (2, 12, metadata().encode()), (3, 3, metadata().encode())] {
        writer.send(Frame { kind, correlation, body }).await.expect("sent");
    }
    let mut answers = Vec::new();
    for _ in 0..3 {
        let frame = reader.next().await.expect("no error").expect("an answer");
        answers.push(Response::decode(&frame.body).expect("ours"));
    }
    let refused = Response::Error(ErrorCode::UnsupportedVersion);
    assert_eq!(answers, [refused.clone(), refused, Response::Heartbeat]);
}

#[tokio::test]
async fn files_are_listed_changed_and_read_in_order() {
    let disk = Arc::new(MemoryDisk::default());
    disk.append("node-1/left.tmp", b"half").expect("memory");
    disk.append("node-1/old", b"abc").expect("memory");
    disk.append("node-2/other", b"abc").expect("memory");
    let running = host(disk.clone(), |_, input, out| {
        if let Input::Start { .. } = input {
            let file = || "dir/f".to_owned();
            out.push(Output::Append { op: 1, file: file(), bytes: Bytes::from_static(b"abc") });
            out.push(Output::Replace { op: 2, file: file(), bytes: Bytes::from_static(b"new") });
            out.push(Output::Append { op: 3, file: file(), bytes: Bytes::from_static(b"er one") });
            out.push(Output::Sync { op: 4, files: vec![file()] });
            out.push(Output::Read { op: 5, file: file(), offset: 1, len: 100 });
            out.push(Output::Truncate { op: 6, file: file(), len: 3 });
            out.push(Output::Read { op: 7, file: file(), offset: 0, len: 100 });
            out.push(Output::Remove { op: 8, file: "old".to_owned() });
            out.push(Output::Read { op: 9, file: "nowhere".to_owned(), offset: 0, len: 1 });
        }
    })
    .await;
    let start = hear(&running, |input| if let Input::Start { listing, incarnation } = input { Some((listing.clone(), *incarnation)) } else { None }).await;
    assert_eq!(start, (vec![("old".to_owned(), 3)], 7));
    let bytes = |text: &'static str| Ok(DiskAnswer::Bytes(Bytes::from_static(text.as_bytes())));
    assert_eq!(hear(&running, done(5)).await, bytes("ewer one"));
    assert_eq!(hear(&running, done(7)).await, bytes("new"));
    assert_eq!(hear(&running, done(9)).await, Err(DiskError));
    for op in [1, 2, 3, 4, 6, 8] {
        assert_eq!(hear(&running, done(op)).await, Ok(DiskAnswer::Done), "operation {op}");
    }
    assert_eq!(disk.list("").expect("memory"), [("node-1/dir/f".to_owned(), 3), ("node-2/other".to_owned(), 3)]);
}

/// Each sync waits until a test allows it, and may fail. Keeps no order over a power loss, of which there is none here.
struct Ruled {
    files: MemoryDisk,
    allowed: Semaphore,
    fails: AtomicBool,
}

impl Ruled {
    fn new(allowed: usize, fails: bool) -> Arc<Self> {
        Arc::new(Ruled { files: MemoryDisk::default(), allowed: Semaphore::new(allowed), fails: AtomicBool::new(fails) })
    }
}

impl Disk for Ruled {
    fn append(&self, file: &str, bytes: &[u8]) -> io::Result<u64> {
        self.files.append(file, bytes)
    }
    fn read(&self, file: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        self.files.read(file, offset, len)
    }
    fn truncate(&self, file: &str, len: u64) -> io::Result<()> {
        self.files.truncate(file, len)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove(&self, file: &str) -> io::Result<()> {
        self.files.remove(file)
    }
    fn list(&self, prefix: &str) -> io::Result<Vec<Entry>> {
        self.files.list(prefix)
    }
    fn sync<'a>(&'a self, _files: &'a [String]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            self.allowed.acquire().await.expect("never closed").forget();
            if self.fails.load(Ordering::Relaxed) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        })
    }
    fn keeps_order(&self) -> bool {
        true
    }
    fn sync_dir<'a>(&'a self, _dir: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_sync_that_fails_is_told_and_a_core_that_ends_by_it_ends_the_host() {
    let running = host(Ruled::new(1, true), |_, input, out| match input {
        Input::Start { .. } => {
            out.push(Output::Append { op: 1, file: "f".to_owned(), bytes: Bytes::from_static(b"a") });
            out.push(Output::Sync { op: 2, files: vec!["f".to_owned()] });
        }
        Input::DiskDone { op: 2, result: Err(DiskError) } => out.push(Output::Stopped),
        _ => {}
    })
    .await;
    assert_eq!(hear(&running, done(2)).await, Err(DiskError));
    assert!(running.task.await.expect("no panic").is_err());
}

#[tokio::test]
async fn a_timer_wakes_the_core_and_a_stop_ends_it() {
    let running = host(Arc::new(MemoryDisk::default()), |now, input, out| {
        if let Input::Start { .. } = input {
            out.push(Output::Timer { at_ms: now.monotonic_ms + 30 });
        }
    })
    .await;
    hear(&running, |input| matches!(input, Input::Tick).then_some(())).await;
    running.stopper.stop();
    running.task.await.expect("no panic").expect("left in good order");
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_answers_nothing() {
    let running = host(Arc::new(MemoryDisk::default()), |_, input, out| {
        if let Input::Start { .. } = input {
            out.push(Output::Request { to: 9, lane: 0, id: 5, request: metadata() });
        }
    })
    .await;
    hear(&running, |input| matches!(input, Input::Response { id: 5, response: None }).then_some(())).await;
}

/// Writes a byte for each request, then answers.
fn writes_and_answers(_: Now, input: &Input, out: &mut Vec<Output>) {
    if let Input::Request { connection, correlation, .. } = input {
        out.push(Output::Append { op: 1, file: "f".to_owned(), bytes: Bytes::from_static(b"a") });
        out.push(Output::Reply { connection: *connection, correlation: *correlation, response: Response::Heartbeat, reads: vec![] });
    }
}

/// Is it ready now? Looks once.
async fn is_ready<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready())).await
}

#[tokio::test]
async fn inside_what_is_written_counts_and_nothing_leaves_before_it_is_synced() {
    let disk = Ruled::new(0, false);
    let running = host_that(true, disk.clone(), writes_and_answers).await;
    let (mut reader, mut writer) = framed(connect(&running.address).await.expect("it listens"));
    writer.send(Frame { kind: metadata().kind(), correlation: 1, body: metadata().encode() }).await.expect("sent");
    hear(&running, |input| matches!(input, Input::Request { correlation: 1, .. }).then_some(())).await;
    let link = Link::inside(&running.inside);
    // The first wait begins before the second write, the second behind it.
    let mut first = Box::pin(running.inside.settled());
    assert!(!is_ready(&mut first).await);
    assert_eq!(link.call(&metadata(), 0).await, Ok(Response::Heartbeat), "answered while nothing is synced");
    let mut second = Box::pin(running.inside.settled());
    assert!(!is_ready(&mut second).await);
    assert_eq!(link.call(&metadata(), 0).await, Ok(Response::Heartbeat));
    let mut outside = Box::pin(reader.next());
    assert!(!is_ready(&mut outside).await && !is_ready(&mut first).await && !is_ready(&mut second).await);
    // The round that runs was for the one outside; all others wait for the next.
    disk.allowed.add_permits(1);
    assert_eq!(outside.await.expect("no error").expect("an answer").correlation, 1);
    assert_eq!(link.call(&metadata(), 0).await, Ok(Response::Heartbeat));
    assert!(!is_ready(&mut first).await && !is_ready(&mut second).await);
    disk.allowed.add_permits(1);
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
}

#[tokio::test]
async fn what_is_synced_is_not_waited_for() {
    let disk = Ruled::new(0, false);
    let running = host_that(true, disk.clone(), writes_and_answers).await;
    // What is found at the start may not be on the platter either.
    disk.allowed.add_permits(1);
    assert_eq!(running.inside.settled().await, Ok(()));
    assert_eq!(running.inside.settled().await, Ok(()), "without a sync");
    running.stopper.stop();
    running.task.await.expect("no panic").expect("left in good order");
    assert!(running.inside.settled().await.is_err(), "there is no log any more");
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_host_and_lets_nothing_out() {
    let running = host_that(true, Ruled::new(1, true), writes_and_answers).await;
    let (mut reader, mut writer) = framed(connect(&running.address).await.expect("it listens"));
    writer.send(Frame { kind: metadata().kind(), correlation: 1, body: metadata().encode() }).await.expect("sent");
    assert!(matches!(reader.next().await, Ok(None) | Err(_)), "the connection ends without an answer");
    assert!(running.task.await.expect("no panic").is_err());
    assert!(running.inside.settled().await.is_err());
}
