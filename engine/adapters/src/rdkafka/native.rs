//! librdkafka itself: the one file of the adapter with `unsafe`. What is unsafe here leans on librdkafka's own promises, named where they are used.
//!
//! The binding's safe layer shows neither the generation of an assignment, nor whether a failed message may have been written, nor the position at a
//! partition's end; all three are values of the port.

use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use tokio::sync::Notify;

// The same functions as in the binding, but for the error code: it declares an enum, and a broker may answer with a code younger than that enum.
unsafe extern "C" {
    #[link_name = "rd_kafka_err2name"]
    fn err2name(code: c_int) -> *const c_char;
    #[link_name = "rd_kafka_error_code"]
    fn error_code(error: *const sys::rd_kafka_error_t) -> c_int;
    #[link_name = "rd_kafka_event_error"]
    fn event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
    #[link_name = "rd_kafka_fatal_error"]
    fn fatal_error(rk: *mut sys::rd_kafka_t, text: *mut c_char, size: usize) -> c_int;
    #[link_name = "rd_kafka_topic_result_error"]
    fn topic_result_error(result: *const sys::rd_kafka_topic_result_t) -> c_int;
    #[link_name = "rd_kafka_ConfigResource_error"]
    fn config_resource_error(resource: *const sys::rd_kafka_ConfigResource_t) -> c_int;
    #[link_name = "rd_kafka_commit_queue"]
    fn commit_queue(
        rk: *mut sys::rd_kafka_t,
        offsets: *const sys::rd_kafka_topic_partition_list_t,
        queue: *mut sys::rd_kafka_queue_t,
        callback: *const c_void,
        opaque: *mut c_void,
    ) -> c_int;
    #[link_name = "rd_kafka_assign"]
    fn assign(rk: *mut sys::rd_kafka_t, partitions: *const sys::rd_kafka_topic_partition_list_t) -> c_int;
    #[link_name = "rd_kafka_subscribe"]
    fn subscribe(rk: *mut sys::rd_kafka_t, topics: *const sys::rd_kafka_topic_partition_list_t) -> c_int;
}

/// An error code of librdkafka: of a broker (positive) or its own (negative).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub i32);

impl Code {
    /// No error.
    pub const NONE: Code = Code(0);
    /// `_MSG_TIMED_OUT`.
    pub const MESSAGE_TIMED_OUT: Code = Code(-192);
    /// `_PARTITION_EOF`: not an error, the end of a partition.
    pub const PARTITION_END: Code = Code(-191);
    /// `_UNKNOWN_PARTITION`.
    pub const UNKNOWN_PARTITION: Code = Code(-190);
    /// `_UNKNOWN_TOPIC`.
    pub const UNKNOWN_TOPIC: Code = Code(-188);
    /// `_TRANSPORT`.
    pub const TRANSPORT: Code = Code(-195);
    /// `_ALL_BROKERS_DOWN`.
    pub const ALL_BROKERS_DOWN: Code = Code(-187);
    /// `_TIMED_OUT`.
    pub const TIMED_OUT: Code = Code(-185);
    /// `_QUEUE_FULL`.
    pub const QUEUE_FULL: Code = Code(-184);
    /// `_ASSIGN_PARTITIONS`.
    pub const ASSIGN: Code = Code(-175);
    /// `_TIMED_OUT_QUEUE`.
    pub const TIMED_OUT_QUEUE: Code = Code(-166);
    /// `_FENCED`: by a younger producer of the same transactional id.
    pub const FENCED: Code = Code(-144);
    /// `_AUTO_OFFSET_RESET`: the position is outside the log.
    pub const OFFSET_RESET: Code = Code(-140);
    /// `_LOG_TRUNCATION`: what was read is gone.
    pub const LOG_TRUNCATION: Code = Code(-139);

    /// Its name in Kafka's words.
    pub fn name(self) -> String {
        // SAFETY: the function answers a static string for any number.
        unsafe { CStr::from_ptr(err2name(self.0)) }.to_string_lossy().into_owned()
    }
}

/// An error with what librdkafka says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeError {
    /// What.
    pub code: Code,
    /// In words.
    pub text: String,
    /// This handle cannot go on.
    pub is_fatal: bool,
    /// The same call may be made again.
    pub is_retriable: bool,
    /// The transaction can only be aborted.
    pub requires_abort: bool,
}

/// Takes ownership; `None` for none.
fn taken(error: *mut sys::rd_kafka_error_t) -> Option<NativeError> {
    let error = NonNull::new(error)?.as_ptr();
    // SAFETY: an error object that was handed to us, read before it is destroyed once.
    unsafe {
        let told = borrowed(error);
        sys::rd_kafka_error_destroy(error);
        told
    }
}

/// # Safety
/// `error` is null or lives.
unsafe fn borrowed(error: *const sys::rd_kafka_error_t) -> Option<NativeError> {
    if error.is_null() {
        return None;
    }
    // SAFETY: it lives.
    unsafe {
        Some(NativeError {
            code: Code(error_code(error)),
            text: CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
            is_fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            is_retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            requires_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
        })
    }
}

fn checked(code: c_int) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(code)) }
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("names of topics, groups and settings have no zero byte")
}

/// What a handle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sends; also asks what changes nothing.
    Producer,
    /// Reads.
    Consumer,
}

/// One librdkafka instance with its threads. The last owner's drop destroys it, on a thread of its own: that may take as long as a request.
pub struct Handle {
    rk: NonNull<sys::rd_kafka_t>,
    kind: Kind,
}

// SAFETY: librdkafka "is completely thread-safe: any API function may be called from any of the application's threads at any time".
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        struct Last(NonNull<sys::rd_kafka_t>);
        // SAFETY: as for `Handle`.
        unsafe impl Send for Last {}
        let (last, kind) = (Last(self.rk), self.kind);
        std::thread::spawn(move || {
            let last = last;
            // SAFETY: this is the last owner, and every queue, message and list made from it is gone: they hold an `Arc` of it or were destroyed where
            // they were made. A consumer that did not leave leaves no word: its group puts it out after the session timeout, as the port says.
            unsafe {
                let flags = if kind == Kind::Consumer { sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE } else { 0 };
                if kind == Kind::Producer {
                    sys::rd_kafka_purge(last.0.as_ptr(), sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT | sys::RD_KAFKA_PURGE_F_NON_BLOCKING);
                }
                sys::rd_kafka_destroy_flags(last.0.as_ptr(), flags);
            }
        });
    }
}

impl Handle {
    /// Starts one. Nothing is logged to the terminal: errors come as values.
    pub fn new(kind: Kind, settings: &[(&'static str, String)]) -> Result<Arc<Handle>, String> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the configuration is ours until `rd_kafka_new` succeeds, which takes it over; on any failure before, it is destroyed here.
        unsafe {
            let conf = sys::rd_kafka_conf_new();
            for (name, value) in settings {
                let (name, value) = (c_string(name), c_string(value));
                let set = sys::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), text.as_mut_ptr(), text.len());
                if set != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                    sys::rd_kafka_conf_destroy(conf);
                    return Err(CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned());
                }
            }
            sys::rd_kafka_conf_set_log_cb(conf, None);
            let events = sys::RD_KAFKA_EVENT_DR | sys::RD_KAFKA_EVENT_ERROR | sys::RD_KAFKA_EVENT_REBALANCE | sys::RD_KAFKA_EVENT_OFFSET_COMMIT;
            sys::rd_kafka_conf_set_events(conf, events);
            let native = match kind {
                Kind::Producer => sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
                Kind::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            };
            let rk = sys::rd_kafka_new(native, conf, text.as_mut_ptr(), text.len());
            let Some(rk) = NonNull::new(rk) else {
                sys::rd_kafka_conf_destroy(conf);
                return Err(CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned());
            };
            if kind == Kind::Consumer {
                sys::rd_kafka_poll_set_consumer(rk.as_ptr());
            }
            Ok(Arc::new(Handle { rk, kind }))
        }
    }

    pub(super) fn raw(&self) -> *mut sys::rd_kafka_t {
        self.rk.as_ptr()
    }

    /// A setting as it is in force.
    pub fn setting(&self, name: &str) -> Option<String> {
        let (name, mut value, mut size) = (c_string(name), vec![0u8; 1024], 1024usize);
        // SAFETY: the configuration lives as long as the handle, and the buffer has the size told.
        let told = unsafe { sys::rd_kafka_conf_get(sys::rd_kafka_conf(self.raw()), name.as_ptr(), value.as_mut_ptr().cast(), &mut size) };
        (told == sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK)
            .then(|| CStr::from_bytes_until_nul(&value).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default())
    }

    /// Why the handle cannot go on, if so.
    pub fn fatal(&self) -> Option<(Code, String)> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the buffer has the size told.
        let code = unsafe { fatal_error(self.raw(), text.as_mut_ptr(), text.len()) };
        // SAFETY: zeroed above, and ended with a zero by the call.
        (code != 0).then(|| (Code(code), unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()))
    }

    /// Queues a message: its bytes are copied. `id` comes back with its delivery report.
    pub fn produce(&self, topic: &CStr, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>, timestamp_ms: i64, id: u64) -> Result<(), Code> {
        use sys::rd_kafka_vtype_t as Of;
        fn pair(vtype: Of, u: sys::rd_kafka_vu_s__bindgen_ty_1) -> sys::rd_kafka_vu_t {
            sys::rd_kafka_vu_t { vtype, u }
        }
        let bytes = |bytes: Option<&[u8]>| sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
            // A null pointer is a tombstone, or no key; an empty slice's is not null.
            ptr: bytes.map_or(ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut().cast()),
            size: bytes.map_or(0, <[u8]>::len),
        };
        let partition = i32::try_from(partition).expect("partitions are few");
        let all = [
            pair(Of::RD_KAFKA_VTYPE_TOPIC, sys::rd_kafka_vu_s__bindgen_ty_1 { cstr: topic.as_ptr() }),
            pair(Of::RD_KAFKA_VTYPE_PARTITION, sys::rd_kafka_vu_s__bindgen_ty_1 { i32_: partition }),
            pair(Of::RD_KAFKA_VTYPE_MSGFLAGS, sys::rd_kafka_vu_s__bindgen_ty_1 { i: sys::RD_KAFKA_MSG_F_COPY }),
            pair(Of::RD_KAFKA_VTYPE_TIMESTAMP, sys::rd_kafka_vu_s__bindgen_ty_1 { i64_: timestamp_ms }),
            pair(Of::RD_KAFKA_VTYPE_KEY, sys::rd_kafka_vu_s__bindgen_ty_1 { mem: bytes(key) }),
            pair(Of::RD_KAFKA_VTYPE_VALUE, sys::rd_kafka_vu_s__bindgen_ty_1 { mem: bytes(value) }),
            pair(Of::RD_KAFKA_VTYPE_OPAQUE, sys::rd_kafka_vu_s__bindgen_ty_1 { ptr: ptr::without_provenance_mut(id as usize) }),
        ];
        // SAFETY: all pointers live until the call returns, and MSG_F_COPY makes it copy them. The opaque is a number, never followed.
        match taken(unsafe { sys::rd_kafka_produceva(self.raw(), all.as_ptr(), all.len()) }) {
            None => Ok(()),
            Some(error) => Err(error.code),
        }
    }

    /// Joins a group that reads these topics.
    pub fn subscribe(&self, topics: &[String]) -> Result<(), Code> {
        let mut list = Partitions::new();
        for topic in topics {
            list.add(&c_string(topic), -1, OFFSET_INVALID, None);
        }
        // SAFETY: the list lives until the call returns; it copies.
        checked(unsafe { subscribe(self.raw(), list.raw()) })
    }

    /// Reads exactly these, from their offsets; `None`: nothing, and a revocation is acknowledged.
    pub fn assign(&self, partitions: Option<&Partitions>) -> Result<(), Code> {
        // SAFETY: as above.
        checked(unsafe { assign(self.raw(), partitions.map_or(ptr::null(), |list| list.raw().cast_const())) })
    }

    /// Fetches nothing of these.
    pub fn pause(&self, partitions: &Partitions) {
        // SAFETY: the list lives until the call returns. Errors stand in its elements: of partitions that are not assigned.
        unsafe { sys::rd_kafka_pause_partitions(self.raw(), partitions.raw()) };
    }

    /// Fetches again.
    pub fn resume(&self, partitions: &Partitions) {
        // SAFETY: as for `pause`.
        unsafe { sys::rd_kafka_resume_partitions(self.raw(), partitions.raw()) };
    }

    /// Sets positions; each element of the list then has its own error.
    pub fn seek(&self, partitions: &Partitions, wait_ms: i32) -> Option<NativeError> {
        // SAFETY: as above.
        taken(unsafe { sys::rd_kafka_seek_partitions(self.raw(), partitions.raw(), wait_ms) })
    }

    /// Commits; the verdict comes to the queue.
    pub fn commit(&self, partitions: &Partitions, queue: &Queue) -> Result<(), Code> {
        // SAFETY: the list is copied; the queue outlives the answer, which is dropped with it otherwise.
        checked(unsafe { commit_queue(self.raw(), partitions.raw(), queue.raw(), ptr::null(), ptr::null_mut()) })
    }

    /// Member id and generation, as they are now; `None` outside a group.
    pub fn membership(&self) -> Option<(String, i32)> {
        // SAFETY: the object is ours, and read before it is destroyed.
        unsafe {
            let metadata = NonNull::new(sys::rd_kafka_consumer_group_metadata(self.raw()))?.as_ptr();
            let member = CStr::from_ptr(sys::rd_kafka_consumer_group_metadata_member_id(metadata)).to_string_lossy().into_owned();
            let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
            sys::rd_kafka_consumer_group_metadata_destroy(metadata);
            Some((member, generation))
        }
    }

    /// Was the assignment taken away before we were asked?
    pub fn is_assignment_lost(&self) -> bool {
        // SAFETY: a plain question.
        unsafe { sys::rd_kafka_assignment_lost(self.raw()) != 0 }
    }

    /// Begins to leave the group; its events come to the queue.
    pub fn close(&self, queue: &Queue) {
        // SAFETY: the queue lives until `is_closed`, or until it is dropped with what came. An error says that it is closed already.
        drop(taken(unsafe { sys::rd_kafka_consumer_close_queue(self.raw(), queue.raw()) }));
    }

    /// Has it left?
    pub fn is_closed(&self) -> bool {
        // SAFETY: a plain question.
        unsafe { sys::rd_kafka_consumer_closed(self.raw()) != 0 }
    }

    /// Gets an identity; fences every elder. Blocks.
    pub fn init_transactions(&self, wait_ms: i32) -> Option<NativeError> {
        // SAFETY: a blocking call without pointers.
        taken(unsafe { sys::rd_kafka_init_transactions(self.raw(), wait_ms) })
    }

    /// Opens a transaction; local.
    pub fn begin_transaction(&self) -> Option<NativeError> {
        // SAFETY: a call without pointers.
        taken(unsafe { sys::rd_kafka_begin_transaction(self.raw()) })
    }

    /// Positions that become committed with the transaction, with the generation and member given, not with today's. Blocks.
    pub fn send_offsets(&self, offsets: &Partitions, group: &str, generation: i32, member: &str, instance: Option<&str>, wait_ms: i32) -> Option<NativeError> {
        let (group, member, instance) = (c_string(group), c_string(member), instance.map(c_string));
        // SAFETY: the strings are copied into the metadata object, which is ours and destroyed after the call.
        unsafe {
            let instance = instance.as_ref().map_or(ptr::null(), |instance| instance.as_ptr());
            let metadata = sys::rd_kafka_consumer_group_metadata_new_with_genid(group.as_ptr(), generation, member.as_ptr(), instance);
            let error = taken(sys::rd_kafka_send_offsets_to_transaction(self.raw(), offsets.raw(), metadata, wait_ms));
            sys::rd_kafka_consumer_group_metadata_destroy(metadata);
            error
        }
    }

    /// Commits. Blocks.
    pub fn commit_transaction(&self, wait_ms: i32) -> Option<NativeError> {
        // SAFETY: a blocking call without pointers.
        taken(unsafe { sys::rd_kafka_commit_transaction(self.raw(), wait_ms) })
    }

    /// Aborts. Blocks.
    pub fn abort_transaction(&self, wait_ms: i32) -> Option<NativeError> {
        // SAFETY: a blocking call without pointers.
        taken(unsafe { sys::rd_kafka_abort_transaction(self.raw(), wait_ms) })
    }
}

/// Where no offset is meant.
pub const OFFSET_INVALID: i64 = sys::RD_KAFKA_OFFSET_INVALID as i64;
/// The log start.
pub const OFFSET_BEGINNING: i64 = sys::RD_KAFKA_OFFSET_BEGINNING as i64;

/// A list of partitions with offsets.
pub struct Partitions(NonNull<sys::rd_kafka_topic_partition_list_t>);

// SAFETY: the list is owned, and nothing else points into it.
unsafe impl Send for Partitions {}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) };
    }
}

/// An element of such a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Topic by name.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset, or one of the negative words.
    pub offset: i64,
    /// Leader epoch, if any.
    pub epoch: Option<u32>,
    /// What went wrong with it.
    pub error: Code,
}

impl Partitions {
    /// Empty.
    pub fn new() -> Partitions {
        // SAFETY: never null: librdkafka aborts when memory ends.
        Partitions(NonNull::new(unsafe { sys::rd_kafka_topic_partition_list_new(8) }).expect("librdkafka ends the process when memory ends"))
    }

    pub(super) fn raw(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    /// Adds one; partition −1: the topic as a whole.
    pub fn add(&mut self, topic: &CStr, partition: i32, offset: i64, epoch: Option<u32>) {
        // SAFETY: the list is ours; the name is copied; the element lives until the next call that adds.
        unsafe {
            let element = sys::rd_kafka_topic_partition_list_add(self.raw(), topic.as_ptr(), partition);
            (*element).offset = offset;
            if let Some(epoch) = epoch {
                sys::rd_kafka_topic_partition_set_leader_epoch(element, i32::try_from(epoch).expect("epochs are small"));
            }
        }
    }

    /// What it holds.
    pub fn elements(&self) -> Vec<Element> {
        // SAFETY: it lives.
        unsafe { elements(self.raw()) }
    }
}

/// # Safety
/// `list` is null or lives.
pub(super) unsafe fn elements(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<Element> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: a living list has `cnt` elements at `elems`.
    unsafe { (0..usize::try_from((*list).cnt).unwrap_or(0)).map(|at| element((*list).elems.add(at))).collect() }
}

/// # Safety
/// `element` lives.
pub(super) unsafe fn element(element: *const sys::rd_kafka_topic_partition_t) -> Element {
    // SAFETY: it lives. The error is read as a number: a broker's code may be younger than the binding's enum.
    unsafe {
        Element {
            topic: CStr::from_ptr((*element).topic).to_string_lossy().into_owned(),
            partition: u32::try_from((*element).partition).unwrap_or(0),
            offset: (*element).offset,
            epoch: u32::try_from(sys::rd_kafka_topic_partition_get_leader_epoch(element)).ok(),
            error: Code((&raw const (*element).err).cast::<i32>().read()),
        }
    }
}

/// A queue of events. Wakes its `Notify` when something arrives.
pub struct Queue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    _wake: Arc<Notify>,
    _handle: Arc<Handle>,
}

// SAFETY: queues are as thread-safe as handles.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

unsafe extern "C" fn wake(_rk: *mut sys::rd_kafka_t, notify: *mut c_void) {
    // SAFETY: the pointer is of the `Notify` that the `Queue` owns; the callback is taken away, under librdkafka's lock of the queue, before the
    // `Queue` lets go of it.
    unsafe { &*notify.cast::<Notify>() }.notify_one();
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once, after its callback was taken away.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

impl Queue {
    fn of(handle: &Arc<Handle>, queue: *mut sys::rd_kafka_queue_t, notify: &Arc<Notify>) -> Queue {
        let queue = NonNull::new(queue).expect("librdkafka ends the process when memory ends");
        let notify = notify.clone();
        // SAFETY: see `wake`.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(wake), Arc::as_ptr(&notify).cast_mut().cast()) };
        Queue { queue, _wake: notify, _handle: handle.clone() }
    }

    /// A new one, for answers.
    pub fn new(handle: &Arc<Handle>, notify: &Arc<Notify>) -> Queue {
        // SAFETY: a new queue is ours.
        Queue::of(handle, unsafe { sys::rd_kafka_queue_new(handle.raw()) }, notify)
    }

    /// Delivery reports and errors of a producer.
    pub fn main(handle: &Arc<Handle>, notify: &Arc<Notify>) -> Queue {
        // SAFETY: a new reference to a queue of the handle.
        Queue::of(handle, unsafe { sys::rd_kafka_queue_get_main(handle.raw()) }, notify)
    }

    /// Rebalances and errors of a consumer. Polling it counts as polling (`max.poll.interval.ms`).
    pub fn consumer(handle: &Arc<Handle>, notify: &Arc<Notify>) -> Queue {
        // SAFETY: as above; `Kind::Consumer` has one.
        Queue::of(handle, unsafe { sys::rd_kafka_queue_get_consumer(handle.raw()) }, notify)
    }

    /// Records of one partition, apart from all others: what is not polled stays, and stops the fetching when it is full.
    pub fn partition(handle: &Arc<Handle>, topic: &CStr, partition: u32, notify: &Arc<Notify>) -> Queue {
        // SAFETY: as above. Forwarding to nobody keeps its records apart, also over later assignments.
        unsafe {
            let queue = sys::rd_kafka_queue_get_partition(handle.raw(), topic.as_ptr(), i32::try_from(partition).expect("partitions are few"));
            sys::rd_kafka_queue_forward(queue, ptr::null_mut());
            Queue::of(handle, queue, notify)
        }
    }

    pub(super) fn raw(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    /// The next event, without waiting.
    pub fn poll(&self) -> Option<Event> {
        // SAFETY: the event is ours until destroyed.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.raw(), 0) }).map(Event)
    }

    /// Up to `limit` messages of a partition's queue, without waiting; news of the partition come as messages with an error.
    pub fn messages(&self, limit: usize) -> Vec<Message> {
        let mut found: Vec<*mut sys::rd_kafka_message_t> = vec![ptr::null_mut(); limit];
        // SAFETY: the array has room for `limit`; each message is ours, read and destroyed once.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(self.raw(), 0, found.as_mut_ptr(), limit);
            found.truncate(usize::try_from(count).unwrap_or(0));
            found.into_iter().map(|message| Message::taken(message)).collect()
        }
    }
}

/// A message read, or a word about its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `NONE` for a record.
    pub error: Code,
    /// Its offset; with an error what the error is about.
    pub offset: i64,
    /// Leader epoch, if told.
    pub epoch: Option<u32>,
    /// Milliseconds.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<bytes::Bytes>,
    /// Value.
    pub value: Option<bytes::Bytes>,
}

impl Message {
    /// # Safety
    /// `message` is ours and destroyed here.
    unsafe fn taken(message: *mut sys::rd_kafka_message_t) -> Message {
        // SAFETY: as promised.
        unsafe {
            let error = Code((&raw const (*message).err).cast::<i32>().read());
            let bytes = |at: *mut c_void, len: usize| (!at.is_null()).then(|| bytes::Bytes::copy_from_slice(std::slice::from_raw_parts(at.cast::<u8>(), len)));
            let is_record = error == Code::NONE;
            let read = Message {
                error,
                offset: (*message).offset,
                epoch: u32::try_from(sys::rd_kafka_message_leader_epoch(message)).ok(),
                timestamp_ms: if is_record { sys::rd_kafka_message_timestamp(message, ptr::null_mut()) } else { 0 },
                key: if is_record { bytes((*message).key, (*message).key_len) } else { None },
                // With an error the payload is the error's text.
                value: if is_record { bytes((*message).payload, (*message).len) } else { None },
            };
            sys::rd_kafka_message_destroy(message);
            read
        }
    }
}

/// May a message have been written?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persisted {
    /// It was.
    Yes,
    /// It was not.
    No,
    /// It may have been.
    Possibly,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// As given to `produce`.
    pub id: u64,
    /// What went wrong.
    pub error: Code,
    /// Was it written?
    pub persisted: Persisted,
    /// Where, if told.
    pub offset: i64,
}

/// An event of a queue.
pub struct Event(NonNull<sys::rd_kafka_event_t>);

// SAFETY: owned, and read through this owner only.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.raw()) };
    }
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Delivery reports.
    Deliveries,
    /// The group gives or takes partitions.
    Rebalance,
    /// The verdict on a commit.
    Commit,
    /// Something is wrong with the connection or the handle.
    Error,
    /// The answer of an administrative call, or something else.
    Other,
}

impl Event {
    pub(super) fn raw(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }

    /// Its kind.
    pub fn kind(&self) -> EventKind {
        // SAFETY: it lives.
        match unsafe { sys::rd_kafka_event_type(self.raw()) } {
            sys::RD_KAFKA_EVENT_DR => EventKind::Deliveries,
            sys::RD_KAFKA_EVENT_REBALANCE => EventKind::Rebalance,
            sys::RD_KAFKA_EVENT_OFFSET_COMMIT => EventKind::Commit,
            sys::RD_KAFKA_EVENT_ERROR => EventKind::Error,
            _ => EventKind::Other,
        }
    }

    /// Its error, with words.
    pub fn error(&self) -> Result<(), (Code, String)> {
        // SAFETY: it lives; the string is read before it goes.
        unsafe {
            match event_error(self.raw()) {
                0 => Ok(()),
                code => Err((Code(code), CStr::from_ptr(sys::rd_kafka_event_error_string(self.raw())).to_string_lossy().into_owned())),
            }
        }
    }

    /// Partitions of a rebalance or a commit.
    pub fn partitions(&self) -> Vec<Element> {
        // SAFETY: the list belongs to the event and lives as long.
        unsafe { elements(sys::rd_kafka_event_topic_partition_list(self.raw())) }
    }

    /// What became of messages.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let mut all = Vec::new();
        // SAFETY: messages of an event live as long as it does; `_private` is the opaque of `produce`, a number.
        unsafe {
            while let Some(message) = NonNull::new(sys::rd_kafka_event_message_next(self.raw()).cast_mut()) {
                let message = message.as_ptr();
                use sys::rd_kafka_msg_status_t as Status;
                all.push(Delivery {
                    id: (*message)._private.addr() as u64,
                    error: Code((&raw const (*message).err).cast::<i32>().read()),
                    persisted: match sys::rd_kafka_message_status(message) {
                        Status::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Persisted::No,
                        Status::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Persisted::Possibly,
                        Status::RD_KAFKA_MSG_STATUS_PERSISTED => Persisted::Yes,
                    },
                    offset: (*message).offset,
                });
            }
        }
        all
    }
}

/// # Safety
/// As for the binding's functions of the same names.
pub(super) mod codes {
    use super::{Code, NativeError, sys};

    /// Of one topic of CreateTopics.
    pub unsafe fn of_topic(result: *const sys::rd_kafka_topic_result_t) -> Code {
        // SAFETY: the caller's result lives.
        Code(unsafe { super::topic_result_error(result) })
    }

    /// Of one resource of DescribeConfigs.
    pub unsafe fn of_resource(resource: *const sys::rd_kafka_ConfigResource_t) -> Code {
        // SAFETY: the caller's resource lives.
        Code(unsafe { super::config_resource_error(resource) })
    }

    /// Of an error object that belongs to a result.
    pub unsafe fn of(error: *const sys::rd_kafka_error_t) -> Option<NativeError> {
        // SAFETY: the caller's error lives, or is null.
        unsafe { super::borrowed(error) }.filter(|error| error.code != Code::NONE)
    }
}
