//! Asks a real broker what [`sim::conformance::log::asked`] asks ours: the same questions, translated into Kafka's own protocol. A client without
//! any memory: one connection for each question, no retry, no deadline but the connection's.
//!
//! Versions: the newest without tagged fields, and those of a client that knows KIP-890's first part only (transactions as in TV1). Both 3.9 and 4.x have
//! them (KIP-896).

mod codec;
mod records;

use codec::{Reader, Writer};
use runtime::net::connect;
use sim::conformance::log::asked::{
    CommittedOffset, CoordinatorKind, ErrorCode, FetchedPartition, Isolation, OffsetSpec, PartitionMetadata, Request, Response, TopicId, TopicMetadata, Tp,
};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CORRELATION: i32 = 7;
const NOT_AN_ANSWER: &str = "the answer is of the kind that was asked for";

/// Names of the topics asked for, by the ids given to them here.
#[derive(Default)]
pub struct Wire {
    names: Mutex<BTreeMap<TopicId, String>>,
}

/// (API key, version, flexible)
fn api(request: &Request) -> (i16, i16, bool) {
    match request {
        Request::Produce { .. } => (0, 7, false),
        Request::Fetch { .. } => (1, 11, false),
        Request::ListOffsets { .. } => (2, 5, false),
        Request::Metadata { .. } => (3, 7, false),
        Request::OffsetCommit { .. } => (8, 7, false),
        Request::OffsetFetch { .. } => (9, 7, true),
        Request::FindCoordinator { .. } => (10, 1, false),
        Request::JoinGroup { .. } => (11, 5, false),
        Request::LeaveGroup { .. } => (13, 1, false),
        Request::SyncGroup { .. } => (14, 3, false),
        Request::InitProducerId { .. } => (22, 1, false),
        Request::AddPartitionsToTxn { .. } => (24, 2, false),
        Request::AddOffsetsToTxn { .. } => (25, 2, false),
        Request::EndTxn { .. } => (26, 2, false),
        Request::TxnOffsetCommit { .. } => (28, 3, true),
        other => panic!("nobody asks a real broker this: {other:?}"),
    }
}

impl Wire {
    /// The answer; `None` if there is none.
    pub async fn ask(&self, address: &str, request: &Request) -> Option<Response> {
        let (key, version, flexible) = api(request);
        let mut out = Writer { bytes: Vec::new(), flexible: false };
        out.i16(key);
        out.i16(version);
        out.i32(CORRELATION);
        out.text("rows");
        out.flexible = flexible;
        out.end();
        self.encode(request, &mut out);
        let mut stream = connect(address).await.ok()?;
        stream.write_all(&i32::try_from(out.bytes.len()).expect("a short request").to_be_bytes()).await.ok()?;
        stream.write_all(&out.bytes).await.ok()?;
        let mut len = [0; 4];
        stream.read_exact(&mut len).await.ok()?;
        let mut answer = vec![0; i32::from_be_bytes(len) as usize];
        stream.read_exact(&mut answer).await.ok()?;
        let mut rest = Reader { rest: &answer, flexible };
        assert_eq!(rest.i32(), CORRELATION);
        rest.end();
        Some(self.decode(request, &mut rest))
    }

    fn name(&self, tp: Tp) -> String {
        self.names.lock().expect("no panic under the lock").get(&tp.topic).expect("asked for in a Metadata request before").clone()
    }

    /// The id of a name: the same for everybody.
    fn learn(&self, name: &str) -> TopicId {
        let id = TopicId(name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)));
        self.names.lock().expect("no panic under the lock").insert(id, name.to_owned());
        id
    }

    /// An array of topics with one partition each.
    fn each_tp<T>(&self, out: &mut Writer, all: &[T], tp: impl Fn(&T) -> Tp, mut fields: impl FnMut(&mut Writer, &T)) {
        out.count(all.len());
        for one in all {
            out.text(&self.name(tp(one)));
            out.count(1);
            out.i32(tp(one).partition as i32);
            fields(out, one);
            out.end();
        }
    }

    /// The way back.
    fn tps<T>(&self, rest: &mut Reader<'_>, mut fields: impl FnMut(&mut Reader<'_>, Tp) -> T) -> Vec<T> {
        let nested = rest.each(|rest| {
            let topic = self.learn(&rest.text());
            let found = rest.each(|rest| {
                let partition = rest.i32() as u32;
                let one = fields(rest, Tp { topic, partition });
                rest.end();
                one
            });
            rest.end();
            found
        });
        nested.into_iter().flatten().collect()
    }

    fn encode(&self, request: &Request, out: &mut Writer) {
        match request {
            Request::Metadata { topics } => {
                match topics {
                    None => out.i32(-1),
                    Some(topics) => out.count(topics.len()),
                }
                topics.iter().flatten().for_each(|name| out.text(name));
                out.i8(0);
            }
            Request::FindCoordinator { kind, key } => {
                out.text(key);
                out.i8(i8::from(*kind == CoordinatorKind::Transaction));
            }
            Request::Produce { acks, timeout_ms, transactional_id, partitions } => {
                out.text_or_none(transactional_id.as_deref());
                out.i16(i16::from(*acks));
                out.i32(*timeout_ms as i32);
                self.each_tp(out, partitions, |(tp, _)| *tp, |out, (_, batches)| out.blob(&records::to_kafka(batches)));
            }
            Request::Fetch { wait_ms_max, bytes_min, bytes_max, isolation, partitions, .. } => {
                out.i32(-1);
                out.i32(*wait_ms_max as i32);
                out.i32(*bytes_min as i32);
                out.i32(*bytes_max as i32);
                out.i8(i8::from(*isolation == Isolation::ReadCommitted));
                out.i32(0);
                out.i32(-1);
                self.each_tp(
                    out,
                    partitions,
                    |one| one.tp,
                    |out, one| {
                        out.i32(one.current_leader_epoch.map_or(-1, |epoch| epoch as i32));
                        out.i64(one.offset);
                        out.i64(-1);
                        out.i32(one.bytes_max as i32);
                    },
                );
                out.count(0);
                out.text("");
            }
            Request::ListOffsets { isolation, partitions } => {
                out.i32(-1);
                out.i8(i8::from(*isolation == Isolation::ReadCommitted));
                self.each_tp(
                    out,
                    partitions,
                    |(tp, ..)| *tp,
                    |out, (_, spec, epoch)| {
                        out.i32(epoch.map_or(-1, |epoch| epoch as i32));
                        out.i64(match spec {
                            OffsetSpec::Earliest => -2,
                            OffsetSpec::Latest => -1,
                            OffsetSpec::Timestamp(at) => *at,
                        });
                    },
                );
            }
            Request::InitProducerId { transactional_id, transaction_timeout_ms } => {
                out.text_or_none(transactional_id.as_deref());
                out.i32(*transaction_timeout_ms as i32);
            }
            Request::AddPartitionsToTxn { transactional_id, producer_id, producer_epoch, partitions, .. } => {
                out.text(transactional_id);
                out.i64(*producer_id);
                out.i16(*producer_epoch);
                self.each_tp(out, partitions, |tp| *tp, |_, _| {});
            }
            Request::AddOffsetsToTxn { transactional_id, producer_id, producer_epoch, group } => {
                out.text(transactional_id);
                out.i64(*producer_id);
                out.i16(*producer_epoch);
                out.text(group);
            }
            Request::EndTxn { transactional_id, producer_id, producer_epoch, commit } => {
                out.text(transactional_id);
                out.i64(*producer_id);
                out.i16(*producer_epoch);
                out.i8(i8::from(*commit));
            }
            other => self.encode_group(other, out),
        }
        out.end();
    }

    fn encode_group(&self, request: &Request, out: &mut Writer) {
        let position = |out: &mut Writer, at: &CommittedOffset| {
            out.i64(at.offset);
            out.i32(at.leader_epoch.map_or(-1, |epoch| epoch as i32));
            out.text_or_none(None);
        };
        match request {
            Request::JoinGroup { group, member_id, instance_id, session_timeout_ms, rebalance_timeout_ms, protocols } => {
                out.text(group);
                out.i32(*session_timeout_ms as i32);
                out.i32(*rebalance_timeout_ms as i32);
                out.text(member_id);
                out.text_or_none(instance_id.as_deref());
                // Of another kind than "consumer": what its members say is nobody's but theirs.
                out.text("rows");
                out.count(protocols.len());
                for (name, metadata) in protocols {
                    out.text(name);
                    out.blob(metadata);
                }
            }
            Request::SyncGroup { group, generation, member_id, instance_id, assignments } => {
                out.text(group);
                out.i32(*generation);
                out.text(member_id);
                out.text_or_none(instance_id.as_deref());
                out.count(assignments.len());
                for (member, assignment) in assignments {
                    out.text(member);
                    out.blob(assignment);
                }
            }
            Request::LeaveGroup { group, member_id, .. } => {
                out.text(group);
                out.text(member_id);
            }
            Request::OffsetCommit { group, generation, member_id, instance_id, offsets } => {
                out.text(group);
                out.i32(*generation);
                out.text(member_id);
                out.text_or_none(instance_id.as_deref());
                self.each_tp(out, offsets, |(tp, _)| *tp, |out, (_, at)| position(out, at));
            }
            Request::OffsetFetch { group, partitions, require_stable } => {
                out.text(group);
                out.count(partitions.len());
                for tp in partitions {
                    out.text(&self.name(*tp));
                    out.count(1);
                    out.i32(tp.partition as i32);
                    out.end();
                }
                out.i8(i8::from(*require_stable));
            }
            Request::TxnOffsetCommit { transactional_id, group, generation, member_id, instance_id, producer_id, producer_epoch, offsets } => {
                out.text(transactional_id);
                out.text(group);
                out.i64(*producer_id);
                out.i16(*producer_epoch);
                out.i32(*generation);
                out.text(member_id);
                out.text_or_none(instance_id.as_deref());
                out.count(offsets.len());
                for (tp, at) in offsets {
                    out.text(&self.name(*tp));
                    out.count(1);
                    out.i32(tp.partition as i32);
                    position(out, at);
                    out.end();
                    out.end();
                }
            }
            other => panic!("nobody asks a real broker this: {other:?}"),
        }
    }

    fn decode(&self, request: &Request, rest: &mut Reader<'_>) -> Response {
        let code = |rest: &mut Reader<'_>| error(rest.i16());
        if !matches!(request, Request::Produce { .. }) {
            let _throttle_ms = rest.i32();
        }
        match request {
            Request::Metadata { .. } => self.metadata(rest),
            Request::FindCoordinator { .. } => match (code(rest), rest.text()) {
                (None, _) => Response::FindCoordinator { node: rest.i32() as u32, address: format!("{}:{}", rest.text(), rest.i32()) },
                (Some(why), _) => Response::Error(why),
            },
            Request::Produce { .. } => Response::Produce {
                partitions: self.tps(rest, |rest, tp| {
                    let (why, offset) = (code(rest), rest.i64());
                    let (_append_time, _log_start) = (rest.i64(), rest.i64());
                    (tp, why.map_or(Ok(offset), Err))
                }),
            },
            Request::Fetch { .. } => match (code(rest), rest.i32()) {
                (Some(why), _) => Response::Error(why),
                (None, _session) => Response::Fetch { partitions: self.tps(rest, fetched) },
            },
            Request::ListOffsets { .. } => Response::ListOffsets {
                partitions: self.tps(rest, |rest, tp| {
                    let (why, _timestamp) = (code(rest), rest.i64());
                    let found = (rest.i64(), u32::try_from(rest.i32()).unwrap_or(0));
                    (tp, why.map_or(Ok(found), Err))
                }),
            },
            Request::JoinGroup { .. } => {
                let (why, generation, protocol, leader, member_id) = (code(rest), rest.i32(), rest.text(), rest.text(), rest.text());
                match why {
                    Some(ErrorCode::MemberIdRequired) => Response::MemberIdRequired { member_id },
                    Some(why) => Response::Error(why),
                    None => {
                        let members = rest.each(|rest| {
                            let (member, _instance) = (rest.text(), rest.text());
                            (member, rest.blob().to_vec().into())
                        });
                        Response::JoinGroup { generation, protocol, leader, member_id, members }
                    }
                }
            }
            Request::InitProducerId { .. } => match code(rest) {
                Some(why) => Response::Error(why),
                None => Response::InitProducerId { producer_id: rest.i64(), producer_epoch: rest.i16() },
            },
            Request::OffsetFetch { .. } => {
                let position = |rest: &mut Reader<'_>, tp| {
                    let (offset, epoch, _metadata, why) = (rest.i64(), rest.i32(), rest.text(), code(rest));
                    let found = (offset >= 0).then(|| CommittedOffset { offset, leader_epoch: u32::try_from(epoch).ok() });
                    (tp, why.map_or(Ok(found), Err))
                };
                let partitions = self.tps(rest, position);
                code(rest).map_or(Response::OffsetFetch { partitions }, Response::Error)
            }
            Request::AddPartitionsToTxn { .. } => Response::AddPartitionsToTxn { partitions: self.verdicts(rest) },
            Request::TxnOffsetCommit { .. } => Response::TxnOffsetCommit { partitions: self.verdicts(rest) },
            Request::OffsetCommit { .. } => Response::OffsetCommit { partitions: self.verdicts(rest) },
            Request::SyncGroup { .. } => code(rest).map_or_else(|| Response::SyncGroup { assignment: rest.blob().to_vec().into() }, Response::Error),
            Request::LeaveGroup { .. } => code(rest).map_or(Response::LeaveGroup, Response::Error),
            Request::AddOffsetsToTxn { .. } => code(rest).map_or(Response::AddOffsetsToTxn, Response::Error),
            Request::EndTxn { .. } => code(rest).map_or(Response::EndTxn, Response::Error),
            _ => unreachable!("{NOT_AN_ANSWER}"),
        }
    }

    fn verdicts(&self, rest: &mut Reader<'_>) -> Vec<(Tp, Result<(), ErrorCode>)> {
        self.tps(rest, |rest, tp| (tp, error(rest.i16()).map_or(Ok(()), Err)))
    }

    fn metadata(&self, rest: &mut Reader<'_>) -> Response {
        let brokers = rest.each(|rest| {
            let node = (rest.i32() as u32, format!("{}:{}", rest.text(), rest.i32()));
            let _rack = rest.text();
            node
        });
        let (_cluster, _controller) = (rest.text(), rest.i32());
        let mut unknown = Vec::new();
        let found = rest.each(|rest| {
            let (why, name, _internal) = (error(rest.i16()), rest.text(), rest.i8());
            let partitions = rest.each(|rest| {
                let (_why, partition, leader, epoch) = (rest.i16(), rest.i32() as u32, rest.i32(), rest.i32());
                let mut nodes = || rest.each(|rest| rest.i32() as u32);
                let (replicas, isr, _offline) = (nodes(), nodes(), nodes());
                PartitionMetadata { partition, leader: u32::try_from(leader).ok(), leader_epoch: u32::try_from(epoch).unwrap_or(0), replicas, isr }
            });
            (why, TopicMetadata { id: self.learn(&name), name, partitions })
        });
        let mut topics = Vec::new();
        for (why, topic) in found {
            match why {
                None => topics.push(topic),
                Some(_) => unknown.push(topic.name),
            }
        }
        Response::Metadata { brokers, topics, unknown }
    }
}

fn fetched(rest: &mut Reader<'_>, tp: Tp) -> FetchedPartition {
    let (error, high_watermark, last_stable_offset, log_start) = (error(rest.i16()), rest.i64(), rest.i64(), rest.i64());
    let aborted = rest.each(|rest| (rest.i64(), rest.i64()));
    let _preferred = rest.i32();
    FetchedPartition { tp, error, high_watermark, last_stable_offset, log_start, diverging: None, aborted, records: records::to_ours(rest.blob()) }
}

/// `None`: no error.
fn error(code: i16) -> Option<ErrorCode> {
    use ErrorCode::*;
    Some(match code {
        -1 => UnknownServerError,
        0 => return None,
        1 => OffsetOutOfRange,
        2 => CorruptMessage,
        3 => UnknownTopicOrPartition,
        5 => LeaderNotAvailable,
        6 => NotLeaderOrFollower,
        7 => RequestTimedOut,
        14 => CoordinatorLoadInProgress,
        15 => CoordinatorNotAvailable,
        16 => NotCoordinator,
        19 => NotEnoughReplicas,
        20 => NotEnoughReplicasAfterAppend,
        22 => IllegalGeneration,
        25 => UnknownMemberId,
        27 => RebalanceInProgress,
        45 => OutOfOrderSequenceNumber,
        47 => InvalidProducerEpoch,
        48 => InvalidTxnState,
        49 => InvalidProducerIdMapping,
        51 => ConcurrentTransactions,
        56 => KafkaStorageError,
        59 => UnknownProducerId,
        74 => FencedLeaderEpoch,
        75 => UnknownLeaderEpoch,
        78 => OffsetNotAvailable,
        79 => MemberIdRequired,
        82 => FencedInstanceId,
        88 => UnstableOffsetCommit,
        90 => ProducerFenced,
        120 => TransactionAbortable,
        other => panic!("error {other} has no name here yet"),
    })
}
