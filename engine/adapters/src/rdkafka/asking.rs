//! Questions and orders that go to the cluster as a whole: topics, offsets, committed positions.

use super::errors::{reason, told};
use super::native::{Code, Element, Event, Handle, Kind, NativeError, OFFSET_BEGINNING, Partitions, Queue, codes, element, elements};
use super::{Kafka, Shared};
use crate::kafka::config::{IN_SYNC_REPLICAS, settings};
use crate::kafka::patience::{TRY_MS, persist};
use crate::kafka::topics::{id, made, make};
use log::{Anchor, ErrorCode, Isolation, Next, Outcome, Position, Reason, TopicInfo, TopicSpec, Tp};
use rdkafka_sys as sys;
use runtime::time;
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// librdkafka's own limit on a question for a coordinator: none, as far as it takes one. A question whose time is up before its coordinator is found
/// is freed, and then told of the coordinator all the same: the process aborts, or reads memory that is somebody else's by then (librdkafka issues 3663
/// and 4605, open in 2.15). So its time is never up: we stop waiting, and the handle goes with the question, which is safe.
const COORDINATOR_MS: i32 = 3_600_000;

/// What was asked.
type Operation = sys::rd_kafka_admin_op_t;
/// The one question of ours that goes to a coordinator.
const FOR_COORDINATOR: Operation = Operation::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;

/// Options of one call.
struct Options(*mut sys::rd_kafka_AdminOptions_t);

impl Options {
    fn new(handle: &Handle, operation: Operation, wait_ms: i32) -> Options {
        // SAFETY: ours; the values are valid, so that nothing is written to the missing text.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(handle.raw(), operation);
            sys::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, ptr::null_mut(), 0);
            Options(options)
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once; calls copy them.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) };
    }
}

/// Calls with options and a queue for the answer, waits for it. `start` makes the call, which copies all it is given.
async fn call(handle: &Arc<Handle>, operation: Operation, until_ms: u64, start: impl FnOnce(&Handle, &Options, &Queue) + Send) -> Result<Event, Reason> {
    let now_ms = time::monotonic_ms();
    let wait_ms = until_ms.saturating_sub(now_ms).clamp(1, TRY_MS);
    let notify = Arc::new(Notify::new());
    let queue = Queue::new(handle, &notify);
    {
        let its_ms = if operation == FOR_COORDINATOR { COORDINATOR_MS } else { i32::try_from(wait_ms).expect("clamped") };
        let options = Options::new(handle, operation, its_ms);
        start(handle, &options, &queue);
    }
    // librdkafka answers at its own deadline; a little more for the way.
    let answered = time::timeout(Duration::from_millis(wait_ms + 500), async {
        loop {
            if let Some(event) = queue.poll() {
                return event;
            }
            notify.notified().await;
        }
    });
    let event = answered.await.map_err(|_| Reason::Deadline)?;
    match event.error() {
        Ok(()) => Ok(event),
        Err((code, _)) => Err(reason(code)),
    }
}

/// The error of a whole answer in place of an element's.
fn all_right(found: &[Element]) -> Result<(), Reason> {
    found.iter().find(|element| element.error != Code::NONE).map_or(Ok(()), |element| Err(reason(element.error)))
}

impl Shared {
    fn asking(&self) -> Arc<Handle> {
        self.asking.lock().expect("no panic under the lock").clone()
    }

    /// Another handle in place of this one, which may still have a question for a coordinator.
    fn ask_anew(&self, asked: &Arc<Handle>) -> Result<(), Reason> {
        let mut asking = self.asking.lock().expect("no panic under the lock");
        if Arc::ptr_eq(&asking, asked) {
            *asking = Handle::new(Kind::Consumer, &self.config.asking()).map_err(Reason::Ended)?;
        }
        Ok(())
    }
}

impl Kafka {
    pub(super) async fn look_up(&self, names: &[&str], deadline_ms: u64) -> Outcome<Vec<TopicInfo>> {
        let names: Vec<CString> = names.iter().map(|name| CString::new(*name).expect("topic names have no zero byte")).collect();
        match persist(deadline_ms, || self.describe(&names, deadline_ms)).await {
            Ok(found) => {
                found.iter().for_each(|info| self.shared.topics.learn(info.clone()));
                Outcome::Done(found)
            }
            Err(why) => Outcome::NotDone(why),
        }
    }

    async fn describe(&self, names: &[CString], until_ms: u64) -> Result<Vec<TopicInfo>, Reason> {
        let event = call(&self.shared.asking(), Operation::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, until_ms, |handle, options, queue| {
            let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
            // SAFETY: the names live over the call, which copies them; the collection is destroyed after it.
            unsafe {
                let topics = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
                sys::rd_kafka_DescribeTopics(handle.raw(), topics, options.0, queue.raw());
                sys::rd_kafka_TopicCollection_destroy(topics);
            }
        })
        .await?;
        let found = described(&event)?;
        for (info, replicas) in &found {
            self.shared.config.check_replicas(&info.name, *replicas)?;
        }
        self.assert_in_sync(&found.iter().map(|(info, _)| info.name.as_str()).collect::<Vec<_>>(), until_ms).await?;
        Ok(found.into_iter().map(|(info, _)| info).collect())
    }

    /// Reads `min.insync.replicas` back: `acks=all` alone promises nothing. A topic that was seen good is not asked again.
    async fn assert_in_sync(&self, names: &[&str], until_ms: u64) -> Result<(), Reason> {
        let left: Vec<CString> = {
            let checked = self.shared.checked.lock().expect("no panic under the lock");
            names.iter().filter(|name| !checked.contains(**name)).map(|name| CString::new(*name).expect("no zero byte")).collect()
        };
        if left.is_empty() {
            return Ok(());
        }
        let event = call(&self.shared.asking(), Operation::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, until_ms, |handle, options, queue| {
            // SAFETY: resources are ours, copied by the call, destroyed after it.
            unsafe {
                let resource = |name: &CString| sys::rd_kafka_ConfigResource_new(sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr());
                let mut resources: Vec<_> = left.iter().map(resource).collect();
                sys::rd_kafka_DescribeConfigs(handle.raw(), resources.as_mut_ptr(), resources.len(), options.0, queue.raw());
                sys::rd_kafka_ConfigResource_destroy_array(resources.as_mut_ptr(), resources.len());
            }
        })
        .await?;
        for (name, found) in in_sync_replicas(&event)? {
            self.shared.config.check_in_sync(&name, found)?;
            self.shared.checked.lock().expect("no panic under the lock").insert(name);
        }
        Ok(())
    }

    pub(super) async fn create(&self, specs: Vec<TopicSpec>, deadline_ms: u64) -> Outcome<()> {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        make(deadline_ms, || self.try_create(&specs, deadline_ms), || self.look_up(&names, deadline_ms)).await
    }

    async fn try_create(&self, specs: &[TopicSpec], deadline_ms: u64) -> Outcome<()> {
        let asked = self.shared.asking();
        let created = call(&asked, Operation::RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline_ms, |handle, options, queue| {
            // SAFETY: topics are ours, copied by the call, destroyed after it.
            unsafe {
                let mut topics: Vec<_> = specs.iter().map(|spec| new_topic(spec)).collect();
                sys::rd_kafka_CreateTopics(handle.raw(), topics.as_mut_ptr(), topics.len(), options.0, queue.raw());
                sys::rd_kafka_NewTopic_destroy_array(topics.as_mut_ptr(), topics.len());
            }
        });
        let event = match created.await {
            Ok(event) => event,
            // It may have been heard.
            Err(why) => return Outcome::Unknown(why),
        };
        made(creations(&event).into_iter().map(|code| if code == Code::NONE { Ok(()) } else { Err(reason(code)) }))
    }

    pub(super) async fn position(&self, tp: Tp, anchor: Anchor, deadline_ms: u64) -> Outcome<Option<Position>> {
        let found = match &anchor {
            Anchor::Start => persist(deadline_ms, || self.edge(tp, OFFSET_BEGINNING, Isolation::ReadUncommitted, deadline_ms)).await.map(Some),
            Anchor::End(isolation) => persist(deadline_ms, || self.edge(tp, -1, *isolation, deadline_ms)).await.map(Some),
            Anchor::Committed(group) => {
                persist(deadline_ms, || async {
                    let found = self.committed(group, &[tp], deadline_ms).await?;
                    all_right(&found)?;
                    Ok(found.first().and_then(position_of))
                })
                .await
            }
        };
        found.map_or_else(Outcome::NotDone, Outcome::Done)
    }

    /// `offset`: one of the words for the start and the end.
    async fn edge(&self, tp: Tp, offset: i64, isolation: Isolation, until_ms: u64) -> Result<Position, Reason> {
        let event = call(&self.shared.asking(), Operation::RD_KAFKA_ADMIN_OP_LISTOFFSETS, until_ms, |handle, options, queue| {
            let mut list = Partitions::new();
            list.add(&self.shared.topics.name(tp), i32::try_from(tp.partition).expect("partitions are few"), offset, None);
            let level = match isolation {
                Isolation::ReadCommitted => sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
                Isolation::ReadUncommitted => sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
            };
            // SAFETY: the list is copied by the call. Setting the level of a ListOffsets has no error.
            unsafe {
                sys::rd_kafka_AdminOptions_set_isolation_level(options.0, level);
                sys::rd_kafka_ListOffsets(handle.raw(), list.raw(), options.0, queue.raw());
            }
        })
        .await?;
        let found = listed(&event);
        all_right(&found)?;
        let edge = found.first().ok_or(Reason::Answered(ErrorCode::UnknownTopicOrPartition))?;
        Ok(Position { next: Next(edge.offset), epoch: edge.epoch })
    }

    /// Committed positions of a group (require stable); an element may have an error of its own.
    pub(super) async fn committed(&self, group: &str, tps: &[Tp], until_ms: u64) -> Result<Vec<Element>, Reason> {
        let group = CString::new(group).expect("group names have no zero byte");
        let asked = self.shared.asking();
        let answer = call(&asked, FOR_COORDINATOR, until_ms, |handle, options, queue| {
            let mut list = Partitions::new();
            for tp in tps {
                list.add(&self.shared.topics.name(*tp), i32::try_from(tp.partition).expect("partitions are few"), super::native::OFFSET_INVALID, None);
            }
            // SAFETY: request and list are copied by the call, and destroyed after it. Requiring stable offsets here has no error.
            unsafe {
                sys::rd_kafka_AdminOptions_set_require_stable_offsets(options.0, 1);
                let mut request = sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list.raw());
                sys::rd_kafka_ListConsumerGroupOffsets(handle.raw(), &raw mut request, 1, options.0, queue.raw());
                sys::rd_kafka_ListConsumerGroupOffsets_destroy(request);
            }
        })
        .await;
        let found = answer.and_then(|event| group_offsets(&event).map_err(|error| told(&error)));
        // librdkafka remembers a coordinator as long as it is asked for, also one that says it is none.
        if let Err(Reason::Deadline | Reason::Answered(ErrorCode::NotCoordinator)) = &found {
            self.shared.ask_anew(&asked)?;
        }
        found
    }
}

/// A committed position; `None`: nothing was committed.
pub(super) fn position_of(element: &Element) -> Option<Position> {
    (element.offset >= 0).then_some(Position { next: Next(element.offset), epoch: element.epoch })
}

/// # Safety
/// The topic is ours to destroy.
unsafe fn new_topic(spec: &TopicSpec) -> *mut sys::rd_kafka_NewTopic_t {
    let name = CString::new(spec.name.as_str()).expect("topic names have no zero byte");
    let count = |count: u32| i32::try_from(count).expect("counts are small");
    let text = |text: &str| CString::new(text).expect("settings have no zero byte");
    // SAFETY: strings are copied. A name that is too long gives null, and no topic has one.
    unsafe {
        let topic = sys::rd_kafka_NewTopic_new(name.as_ptr(), count(spec.partitions), count(spec.replication), ptr::null_mut(), 0);
        assert!(!topic.is_null(), "topic {} cannot be created: 1 to 249 letters, at least one partition and replica", spec.name);
        for (name, value) in settings(spec) {
            sys::rd_kafka_NewTopic_set_config(topic, text(name).as_ptr(), text(&value).as_ptr());
        }
        topic
    }
}

/// Elements of one of librdkafka's arrays.
///
/// # Safety
/// `at` points to `count` elements, or `count` is 0.
unsafe fn array<'e, T>(at: *mut *const T, count: usize) -> &'e [*const T] {
    // SAFETY: the caller's word.
    if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(at, count) } }
}

/// Topics with their fewest replicas.
fn described(event: &Event) -> Result<Vec<(TopicInfo, usize)>, Reason> {
    let mut all = Vec::new();
    // SAFETY: what the event holds lives as long as it does.
    unsafe {
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(sys::rd_kafka_event_DescribeTopics_result(event.raw()), &mut count);
        for topic in array(topics, count) {
            if let Some(error) = codes::of(sys::rd_kafka_TopicDescription_error(*topic)) {
                return Err(told(&error));
            }
            let mut partitions = 0;
            let infos = sys::rd_kafka_TopicDescription_partitions(*topic, &mut partitions);
            let replicas = |info: &*const sys::rd_kafka_TopicPartitionInfo_t| {
                let mut replicas = 0;
                sys::rd_kafka_TopicPartitionInfo_replicas(*info, &mut replicas);
                replicas
            };
            let fewest = array(infos, partitions).iter().map(replicas).min().unwrap_or(0);
            let uuid = sys::rd_kafka_TopicDescription_topic_id(*topic);
            all.push((
                TopicInfo {
                    id: id(sys::rd_kafka_Uuid_most_significant_bits(uuid), sys::rd_kafka_Uuid_least_significant_bits(uuid)),
                    name: CStr::from_ptr(sys::rd_kafka_TopicDescription_name(*topic)).to_string_lossy().into_owned(),
                    partitions: u32::try_from(partitions).expect("partitions are few"),
                },
                fewest,
            ));
        }
    }
    Ok(all)
}

fn in_sync_replicas(event: &Event) -> Result<Vec<(String, u32)>, Reason> {
    let mut all = Vec::new();
    // SAFETY: as above.
    unsafe {
        let mut count = 0;
        let resources = sys::rd_kafka_DescribeConfigs_result_resources(sys::rd_kafka_event_DescribeConfigs_result(event.raw()), &mut count);
        for resource in array(resources, count) {
            match codes::of_resource(*resource) {
                Code::NONE => {}
                code => return Err(reason(code)),
            }
            let name = CStr::from_ptr(sys::rd_kafka_ConfigResource_name(*resource)).to_string_lossy().into_owned();
            let mut entries = 0;
            let configs = sys::rd_kafka_ConfigResource_configs(*resource, &mut entries);
            for entry in array(configs, entries) {
                let value = sys::rd_kafka_ConfigEntry_value(*entry);
                if CStr::from_ptr(sys::rd_kafka_ConfigEntry_name(*entry)).to_bytes() == IN_SYNC_REPLICAS.as_bytes() && !value.is_null() {
                    all.push((name.clone(), CStr::from_ptr(value).to_string_lossy().parse().unwrap_or(0)));
                }
            }
        }
    }
    Ok(all)
}

fn creations(event: &Event) -> Vec<Code> {
    // SAFETY: as above.
    unsafe {
        let mut count = 0;
        let topics = sys::rd_kafka_CreateTopics_result_topics(sys::rd_kafka_event_CreateTopics_result(event.raw()), &mut count);
        array(topics, count).iter().map(|topic| codes::of_topic(*topic)).collect()
    }
}

fn listed(event: &Event) -> Vec<Element> {
    // SAFETY: as above.
    unsafe {
        let mut count = 0;
        let infos = sys::rd_kafka_ListOffsets_result_infos(sys::rd_kafka_event_ListOffsets_result(event.raw()), &mut count);
        array(infos, count).iter().map(|info| element(sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*info))).collect()
    }
}

fn group_offsets(event: &Event) -> Result<Vec<Element>, NativeError> {
    // SAFETY: as above.
    unsafe {
        let mut count = 0;
        let groups = sys::rd_kafka_ListConsumerGroupOffsets_result_groups(sys::rd_kafka_event_ListConsumerGroupOffsets_result(event.raw()), &mut count);
        let mut all = Vec::new();
        for group in array(groups, count) {
            if let Some(error) = codes::of(sys::rd_kafka_group_result_error(*group)) {
                return Err(error);
            }
            all.extend(elements(sys::rd_kafka_group_result_partitions(*group)));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::KafkaConfig;
    use super::*;
    use log::history::Silent;

    /// Their numbers.
    const OFFSET_FETCH: i16 = 9;
    const FIND_COORDINATOR: i16 = 10;

    /// librdkafka's own pretended cluster, of one broker.
    struct Pretended {
        cluster: *mut sys::rd_kafka_mock_cluster_t,
        _of: Arc<Handle>,
    }

    impl Pretended {
        fn start() -> Pretended {
            let of = Handle::new(Kind::Producer, &[]).expect("no settings");
            // SAFETY: the cluster goes before its handle: see `drop`.
            Pretended { cluster: unsafe { sys::rd_kafka_mock_cluster_new(of.raw(), 1) }, _of: of }
        }

        fn bootstrap(&self) -> String {
            // SAFETY: a string of the cluster, which lives.
            unsafe { CStr::from_ptr(sys::rd_kafka_mock_cluster_bootstraps(self.cluster)) }.to_string_lossy().into_owned()
        }

        /// Answers its next requests of this kind so.
        fn fail(&self, kind: i16, code: sys::rd_kafka_resp_err_t, times: usize) {
            let errors = vec![code; times];
            // SAFETY: the array is copied.
            unsafe { sys::rd_kafka_mock_push_request_errors_array(self.cluster, kind, errors.len(), errors.as_ptr()) };
        }

        /// Knows of no coordinator from now on.
        fn hide_coordinators(&self) {
            self.fail(FIND_COORDINATOR, sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, 10_000);
        }

        fn show_coordinators(&self) {
            // SAFETY: the cluster lives.
            unsafe { sys::rd_kafka_mock_clear_request_errors(self.cluster, FIND_COORDINATOR) };
        }
    }

    impl Drop for Pretended {
        fn drop(&mut self) {
            // SAFETY: ours, destroyed once, while its handle lives.
            unsafe { sys::rd_kafka_mock_cluster_destroy(self.cluster) };
        }
    }

    /// A coordinator that says it is none any more, as those of a cluster that has just come up do.
    #[tokio::test]
    async fn a_coordinator_that_has_moved_is_looked_up_again() {
        let cluster = Pretended::start();
        let kafka = Kafka::new(KafkaConfig::new("test", cluster.bootstrap()), Arc::new(Silent)).expect("the settings are known");
        let tps = [Tp { topic: log::TopicId(1), partition: 0 }];
        kafka.shared.topics.learn(TopicInfo { id: tps[0].topic, name: "topic".to_owned(), partitions: 1 });
        cluster.fail(OFFSET_FETCH, sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 2);
        let until_ms = time::monotonic_ms() + 30_000;
        let answer = persist(until_ms, || kafka.committed("group", &tps, until_ms)).await.expect("it is where it was");
        assert_eq!(answer.iter().map(position_of).collect::<Vec<_>>(), [None]);
    }

    /// A cluster that has just come up has no coordinators for some seconds. Whoever asked and stopped waiting is told of one later: of that the process
    /// died. What is read then was freed, and need not have changed by then; of so many questions one at least finds it so.
    #[tokio::test]
    async fn a_coordinator_that_is_found_too_late_does_no_harm() {
        let cluster = Pretended::start();
        let kafka = Kafka::new(KafkaConfig::new("test", cluster.bootstrap()), Arc::new(Silent)).expect("the settings are known");
        let tps = [Tp { topic: log::TopicId(1), partition: 0 }];
        kafka.shared.topics.learn(TopicInfo { id: tps[0].topic, name: "topic".to_owned(), partitions: 1 });
        let first = kafka.shared.asking();
        cluster.hide_coordinators();
        let open = |kafka: Kafka| async move { kafka.committed("group", &tps, time::monotonic_ms() + 10).await };
        let questions: Vec<_> = (0..50).map(|_| tokio::spawn(open(kafka.clone()))).collect();
        for question in questions {
            assert_eq!(question.await.expect("no panic"), Err(Reason::Deadline));
        }
        assert!(!Arc::ptr_eq(&first, &kafka.shared.asking()), "a question left open takes its handle with it");
        cluster.show_coordinators();
        // The first handle still lives, and comes to its open questions before this one.
        *kafka.shared.asking.lock().expect("no panic under the lock") = first;
        let until_ms = time::monotonic_ms() + 30_000;
        let answer = persist(until_ms, || kafka.committed("group", &tps, until_ms)).await.expect("there is a coordinator now");
        assert_eq!(answer.iter().map(position_of).collect::<Vec<_>>(), [None]);
    }
}
