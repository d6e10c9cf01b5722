//! Connections: frames in, frames out from outside, calls from inside; answers of one connection in the order of its requests.

use super::inside::LINES;
use crate::link;
use broker::io::RequestId;
use broker::protocol::{ErrorCode, NodeId, Request, Response};
use runtime::net::{self, ByteStream, Frame, FrameReader, FrameWriter, RESPONSE};
use runtime::time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// What other tasks hand to the host.
pub enum Arrival {
    /// A request from outside; an error if it cannot be read.
    Request { connection: u64, correlation: u32, kind: u16, request: Result<Request, ErrorCode> },
    /// A request from this process.
    Call { connection: u64, correlation: u32, request: Request, answer: link::Answer },
    /// Somebody of this process wants to know when all that was written is on the platter.
    Settle { tell: oneshot::Sender<()> },
    /// That connection is gone.
    Closed { connection: u64 },
    /// The answer to a core's call; `None`: the connection broke.
    Answer { node: NodeId, id: RequestId, response: Option<Response> },
}

/// Every connection.
pub struct Connections {
    open: BTreeMap<u64, Connection>,
    /// How many of them are from inside.
    lines: usize,
    next: u64,
    connections_max: usize,
    requests_max: usize,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

struct Connection {
    /// Correlation and kind of each request without an answer sent, oldest first.
    order: VecDeque<(u32, u16)>,
    /// Answers that wait for an older one; `None`: none will be sent.
    ready: BTreeMap<u32, Option<Response>>,
    answers: Answers,
}

/// Where answers go.
enum Answers {
    /// To a writer. Bounded by the permits: no more answers than requests in work.
    Frames {
        writer: mpsc::UnboundedSender<Frame>,
        permits: Arc<Semaphore>,
        /// Nothing is taken from this connection before, ms on the monotonic clock. The host writes it, the connection's task reads it.
        muted_until_ms: Arc<AtomicU64>,
    },
    /// To those who called, by correlation.
    Calls(BTreeMap<u32, link::Answer>),
}

impl Answers {
    fn give(&mut self, correlation: u32, kind: u16, response: Option<Response>) {
        match (self, response) {
            // The writer may have failed; its task says so by itself.
            (Answers::Frames { writer, .. }, Some(response)) => drop(writer.send(Frame { kind: kind | RESPONSE, correlation, body: response.encode() })),
            (Answers::Frames { permits, .. }, None) => permits.add_permits(1),
            (Answers::Calls(asked), response) => {
                let answer = asked.remove(&correlation).expect("a call is answered once");
                // No answer to a request that wants none (acks = 0): its link would not have waited for one either.
                answer(response.ok_or(link::Broken::Unanswered));
            }
        }
    }
}

impl Connection {
    fn new(answers: Answers) -> Self {
        Connection { order: VecDeque::new(), ready: BTreeMap::new(), answers }
    }
}

impl Connections {
    /// None yet.
    pub fn new(connections_max: usize, requests_max: usize, arrivals: mpsc::UnboundedSender<Arrival>) -> Self {
        Connections { open: BTreeMap::new(), lines: 0, next: 1, connections_max, requests_max, arrivals }
    }

    /// May one more come?
    pub fn has_room(&self) -> bool {
        self.open.len() - self.lines < self.connections_max
    }

    /// Serves a new connection.
    pub fn open(&mut self, stream: ByteStream) {
        let number = self.next;
        self.next += 1;
        let (writer, outgoing) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(self.requests_max));
        let muted_until_ms = Arc::new(AtomicU64::new(0));
        self.open.insert(number, Connection::new(Answers::Frames { writer, permits: permits.clone(), muted_until_ms: muted_until_ms.clone() }));
        let arrivals = self.arrivals.clone();
        let (reader, writer) = net::framed(stream);
        runtime::task::spawn(async move {
            runtime::select! {
                () = arrivals.closed() => {}
                () = receive(number, reader, &permits, &muted_until_ms, &arrivals) => {}
                () = send(writer, outgoing, &permits) => {}
            }
            // The host may have ended.
            let _ = arrivals.send(Arrival::Closed { connection: number });
        });
    }

    /// A call came; with a line's first one the line is open.
    pub fn called(&mut self, line: u64, correlation: u32, kind: u16, answer: link::Answer) {
        let entry = self.open.entry(line).or_insert_with(|| {
            self.lines += 1;
            Connection::new(Answers::Calls(BTreeMap::new()))
        });
        let Answers::Calls(asked) = &mut entry.answers else { unreachable!("a line's number is no other connection's") };
        asked.insert(correlation, answer);
        entry.order.push_back((correlation, kind));
    }

    /// A request came; its answer takes its place in the order. A correlation used twice at a time ends the connection.
    pub fn asked(&mut self, connection: u64, correlation: u32, kind: u16) {
        if let Some(entry) = self.open.get_mut(&connection) {
            if entry.order.iter().any(|(earlier, _)| *earlier == correlation) {
                self.open.remove(&connection);
            } else {
                entry.order.push_back((correlation, kind));
            }
        }
    }

    /// Answers, as soon as every older request of the connection is answered. `None`: no answer will be sent.
    pub fn reply(&mut self, connection: u64, correlation: u32, response: Option<Response>) {
        let Some(entry) = self.open.get_mut(&connection) else { return };
        assert!(entry.order.iter().any(|(asked, _)| *asked == correlation), "a core answers each request once");
        entry.ready.insert(correlation, response);
        while let Some(&(first, kind)) = entry.order.front()
            && let Some(response) = entry.ready.remove(&first)
        {
            entry.order.pop_front();
            entry.answers.give(first, kind, response);
        }
    }

    /// Takes no request from it for so long. Whoever calls from inside is never muted: nobody keeps him from the memory that he shares.
    pub fn mute(&mut self, connection: u64, mute_ms: u64) {
        if let Some(Connection { answers: Answers::Frames { muted_until_ms, .. }, .. }) = self.open.get(&connection) {
            muted_until_ms.fetch_max(time::monotonic_ms() + mute_ms, Ordering::Relaxed);
        }
    }

    /// It is gone.
    pub fn closed(&mut self, connection: u64) {
        if self.open.remove(&connection).is_some() && connection >= LINES {
            self.lines -= 1;
        }
    }
}

async fn receive(connection: u64, mut reader: FrameReader, permits: &Semaphore, muted_until_ms: &AtomicU64, arrivals: &mpsc::UnboundedSender<Arrival>) {
    loop {
        permits.acquire().await.expect("never closed").forget();
        let Ok(Some(frame)) = reader.next().await else { return };
        // Also what was waited for already when it fell silent.
        while muted_until_ms.load(Ordering::Relaxed) > time::monotonic_ms() {
            time::sleep_until_ms(muted_until_ms.load(Ordering::Relaxed)).await;
        }
        let request =
            Request::decode(&frame.body).and_then(|request| if request.kind() == frame.kind { Ok(request) } else { Err(ErrorCode::UnsupportedVersion) });
        if arrivals.send(Arrival::Request { connection, correlation: frame.correlation, kind: frame.kind, request }).is_err() {
            return;
        }
    }
}

async fn send(mut writer: FrameWriter, mut outgoing: mpsc::UnboundedReceiver<Frame>, permits: &Semaphore) {
    while let Some(frame) = outgoing.recv().await {
        if writer.send(frame).await.is_err() {
            return;
        }
        permits.add_permits(1);
    }
}
