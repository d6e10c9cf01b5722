//! A scripted broker: one node that leads every partition and coordinates everything, and answers as a test says.

use super::Notebook;
use broker::protocol::{PartitionMetadata, Request, Response, TopicId, TopicMetadata, Tp};
use log::native::{ClientConfig, Native};
use runtime::net::{Frame, Listener, RESPONSE, framed};
use runtime::task::JoinHandle;
use runtime::time;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the script does with a request.
pub enum Act {
    /// Answers.
    Answer(Response),
    /// Answers later; what came behind on this connection waits.
    Later(u64, Response),
    /// Never answers.
    Silence,
    /// Closes the connection.
    Close,
    /// As a plain broker would.
    Usual,
}

type Script = dyn FnMut(&Request) -> Act + Send;

/// The broker.
pub struct Fake {
    pub address: String,
    pub asked: Arc<Mutex<Vec<Request>>>,
    pub notebook: Arc<Notebook>,
    task: JoinHandle<()>,
}

/// Its only topic's partitions.
pub fn tp(partition: u32) -> Tp {
    Tp { topic: TopicId(1), partition }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Follows a script.
    pub async fn start(script: impl FnMut(&Request) -> Act + Send + 'static) -> Fake {
        Fake::led_from(None, script).await
    }

    /// The same; the partitions are led by a node at that address.
    pub async fn led_from(leader: Option<String>, script: impl FnMut(&Request) -> Act + Send + 'static) -> Fake {
        let mut listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_address();
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let (own, log) = (address.clone(), asked.clone());
        let task = runtime::task::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, own, leader, log) = (script.clone(), own.clone(), leader.clone(), log.clone());
                runtime::task::spawn(async move {
                    let (mut reader, mut writer) = framed(stream);
                    while let Ok(Some(frame)) = reader.next().await {
                        let request = Request::decode(&frame.body).expect("a request of ours");
                        log.lock().expect("no panic").push(request.clone());
                        let act = script.lock().expect("no panic")(&request);
                        let response = match act {
                            Act::Answer(response) => response,
                            Act::Usual => usual(&request, &own, leader.as_ref()),
                            Act::Silence => continue,
                            Act::Close => return,
                            Act::Later(ms, response) => {
                                time::sleep(Duration::from_millis(ms)).await;
                                response
                            }
                        };
                        let frame = Frame { kind: frame.kind | RESPONSE, correlation: frame.correlation, body: response.encode() };
                        if writer.send(frame).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Fake { address, asked, notebook: Arc::default(), task }
    }

    /// A client that gives up quickly.
    pub fn client(&self) -> Native {
        let mut config = ClientConfig::new("test", [self.address.clone()]);
        config.connect_timeout_ms = 100;
        config.request_timeout_ms = 300;
        config.retry_backoff_ms = 5;
        config.fetch_wait_ms_max = 50;
        config.heartbeat_ms = 50;
        Native::new(config, self.notebook.clone())
    }

    /// A client that waits long for an answer.
    pub fn patient_client(&self) -> Native {
        let mut config = ClientConfig::new("test", [self.address.clone()]);
        config.retry_backoff_ms = 5;
        Native::new(config, self.notebook.clone())
    }

    /// What it was asked, of one kind.
    pub fn asked<T>(&self, pick: impl Fn(&Request) -> Option<T>) -> Vec<T> {
        self.asked.lock().expect("no panic").iter().filter_map(pick).collect()
    }
}

fn usual(request: &Request, own: &str, leader: Option<&String>) -> Response {
    match request {
        Request::Metadata { .. } => {
            let node = if leader.is_some() { 2 } else { 1 };
            let partition = |partition| PartitionMetadata { partition, leader: Some(node), leader_epoch: 4, replicas: vec![node], isr: vec![node] };
            let mut brokers = vec![(1, own.to_owned())];
            brokers.extend(leader.map(|address| (2, address.clone())));
            let topic = TopicMetadata { name: "t".to_owned(), id: TopicId(1), partitions: (0..2).map(partition).collect() };
            Response::Metadata { brokers, topics: vec![topic], unknown: vec![] }
        }
        Request::FindCoordinator { .. } => Response::FindCoordinator { node: 1, address: own.to_owned() },
        Request::InitProducerId { .. } => Response::InitProducerId { producer_id: 7, producer_epoch: 0 },
        Request::AddPartitionsToTxn { partitions, .. } => Response::AddPartitionsToTxn { partitions: partitions.iter().map(|tp| (*tp, Ok(()))).collect() },
        Request::Produce { partitions, .. } => Response::Produce { partitions: partitions.iter().map(|(tp, _)| (*tp, Ok(100))).collect() },
        Request::AddOffsetsToTxn { .. } => Response::AddOffsetsToTxn,
        Request::TxnOffsetCommit { offsets, .. } => Response::TxnOffsetCommit { partitions: offsets.iter().map(|(tp, _)| (*tp, Ok(()))).collect() },
        Request::OffsetCommit { offsets, .. } => Response::OffsetCommit { partitions: offsets.iter().map(|(tp, _)| (*tp, Ok(()))).collect() },
        Request::EndTxn { .. } => Response::EndTxn,
        Request::Heartbeat { .. } => Response::Heartbeat,
        Request::LeaveGroup { .. } => Response::LeaveGroup,
        other => panic!("the script says nothing about {other:?}"),
    }
}
