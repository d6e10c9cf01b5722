//! Topics by name and by incarnation. The clients' data paths know names only: which incarnation a name is was asked when it was looked up.

use super::patience::RETRY_MS;
use log::{ErrorCode, Outcome, Reason, TopicId, TopicInfo, Tp};
use runtime::time;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Topics that were looked up.
#[derive(Debug, Default)]
pub struct Topics(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_id: BTreeMap<TopicId, Arc<CStr>>,
    by_name: BTreeMap<String, TopicInfo>,
}

impl Topics {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().expect("no panic under the lock")
    }

    /// Remembers one.
    pub fn learn(&self, info: TopicInfo) {
        let mut known = self.known();
        let name: Arc<CStr> = CString::new(info.name.as_str()).expect("topic names have no zero byte").into();
        known.by_id.insert(info.id, name);
        known.by_name.insert(info.name.clone(), info);
    }

    /// Its name; with a zero at its end, which librdkafka wants.
    ///
    /// # Panics
    /// On a topic that no look-up of this client has answered: a `Tp` is made from one.
    pub fn name(&self, tp: Tp) -> Arc<CStr> {
        self.known().by_id.get(&tp.topic).expect("a topic is looked up before it is used").clone()
    }

    /// A partition of the incarnation that this name was last.
    pub fn find(&self, name: &str, partition: u32) -> Option<Tp> {
        self.known().by_name.get(name).map(|info| Tp { topic: info.id, partition })
    }
}

/// Makes topics: asks until it is known what became of it, and until they can be looked up.
pub async fn make<C, L>(deadline_ms: u64, mut create: impl FnMut() -> C, mut look_up: impl FnMut() -> L) -> Outcome<()>
where
    C: Future<Output = Outcome<()>>,
    L: Future<Output = Outcome<Vec<TopicInfo>>>,
{
    loop {
        let outcome = match create().await {
            // Brokers apply the controller's word one after the other.
            Outcome::Done(()) => match look_up().await {
                Outcome::Done(_) => Outcome::Done(()),
                Outcome::NotDone(why) | Outcome::Unknown(why) => Outcome::Unknown(why),
            },
            outcome => outcome,
        };
        match outcome {
            // Asked again, a controller that was only slow answers that they are there.
            Outcome::Unknown(_) if time::monotonic_ms() + RETRY_MS < deadline_ms => time::sleep(Duration::from_millis(RETRY_MS)).await,
            outcome => return outcome,
        }
    }
}

/// What the answers about each topic come to; one that is there already is as good as made.
pub fn made(answers: impl IntoIterator<Item = Result<(), Reason>>) -> Outcome<()> {
    for answer in answers {
        match answer {
            Ok(()) | Err(Reason::Answered(ErrorCode::TopicAlreadyExists)) => {}
            Err(why @ (Reason::Deadline | Reason::Disconnected | Reason::Answered(ErrorCode::RequestTimedOut))) => return Outcome::Unknown(why),
            Err(why) => return Outcome::NotDone(why),
        }
    }
    Outcome::Done(())
}

/// Kafka's topic ids have 128 random bits, the port's 64.
pub fn id(most: i64, least: i64) -> TopicId {
    TopicId((most ^ least) as u64)
}
