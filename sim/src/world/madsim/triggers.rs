//! Actions that wait for a mark.

use super::World;
use std::sync::Mutex;
use tokio::sync::oneshot;

type Action = Box<dyn FnOnce(&World, &str) + Send>;

struct Trigger {
    mark: String,
    node: Option<String>,
    left: u64,
    action: Action,
}

/// All that wait.
#[derive(Default)]
pub struct Triggers(Mutex<Vec<Trigger>>);

impl World {
    /// Does `action` at the `nth` hit (1: the next) of a mark on a node (`None`: on any), in the middle of that node's step: a kill there is a kill
    /// between that statement and the next. The action is given the node. It must not wait, and takes no locks of a node.
    pub fn at_mark(&self, mark: &str, node: Option<&str>, nth: u64, action: impl FnOnce(&World, &str) + Send + 'static) {
        assert!(nth >= 1, "the first hit is number 1");
        let trigger = Trigger { mark: mark.to_string(), node: node.map(str::to_string), left: nth, action: Box::new(action) };
        self.inner.triggers.0.lock().expect(UNPOISONED).push(trigger);
    }

    /// Waits for that hit; the node that made it. The node goes on meanwhile.
    pub async fn marked(&self, mark: &str, node: Option<&str>, nth: u64) -> String {
        let (tell, told) = oneshot::channel();
        self.at_mark(mark, node, nth, |_, node| {
            // Nobody may be waiting any more.
            let _ = tell.send(node.to_string());
        });
        match told.await {
            Ok(node) => node,
            // The world is gone; whoever waits goes with it.
            Err(_) => std::future::pending().await,
        }
    }

    pub(super) fn hit(&self, mark: &str, node: &str, _nth_of_run: u64) {
        let mut due = Vec::new();
        {
            let mut triggers = self.inner.triggers.0.lock().expect(UNPOISONED);
            let mut at = 0;
            while at < triggers.len() {
                let trigger = &mut triggers[at];
                if trigger.mark == mark && trigger.node.as_deref().is_none_or(|wanted| wanted == node) {
                    trigger.left -= 1;
                    if trigger.left == 0 {
                        due.push(triggers.remove(at).action);
                        continue;
                    }
                }
                at += 1;
            }
        }
        for action in due {
            action(self, node);
        }
    }

    pub(super) fn forget_triggers(&self) {
        let old = std::mem::take(&mut *self.inner.triggers.0.lock().expect(UNPOISONED));
        drop(old);
    }
}

const UNPOISONED: &str = "no code panics while it holds the triggers";
