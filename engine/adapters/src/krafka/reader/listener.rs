//! What krafka says of rebalances, from within its `poll`.

use ::krafka::consumer::{Consumer, ConsumerRebalanceListener, TopicPartition};
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::{mpsc, oneshot};

/// Of a rebalance.
pub enum News {
    /// These are the member's, all of them; `membership`: member id and generation of that moment.
    Assigned { partitions: Vec<(String, i32)>, membership: Option<(String, i32)> },
    /// All are asked back; krafka waits for the answer. `membership`: `None` if it is a member no more.
    Revoking { membership: Option<(String, i32)>, done: oneshot::Sender<()> },
    /// All are gone.
    Lost,
}

/// Tells the reader.
pub struct Listener {
    pub news: mpsc::UnboundedSender<News>,
    /// Set when it is built.
    pub consumer: Arc<OnceLock<Weak<Consumer>>>,
}

impl Listener {
    fn consumer(&self) -> Option<Arc<Consumer>> {
        self.consumer.get().and_then(Weak::upgrade)
    }
}

/// Member id and generation.
pub async fn membership(consumer: &Consumer) -> Option<(String, i32)> {
    let metadata = consumer.group_metadata().await?;
    metadata.is_fenceable().then(|| (metadata.member_id().to_owned(), metadata.generation_id()))
}

impl ConsumerRebalanceListener for Listener {
    async fn on_partitions_assigned(&self, _added: &[TopicPartition]) {
        let Some(consumer) = self.consumer() else { return };
        let mut partitions = Vec::new();
        for (topic, numbers) in consumer.assignment().await {
            // To nowhere: without a position krafka would look one up, and fail where there is none.
            consumer.pause(&topic, &numbers).await;
            for number in numbers {
                // An error says that it is not assigned any more.
                let _gone = consumer.seek(&topic, number, 0).await;
                partitions.push((topic.clone(), number));
            }
        }
        partitions.sort();
        // A reader that is gone hears nothing.
        let _ = self.news.send(News::Assigned { partitions, membership: membership(&consumer).await });
    }

    async fn on_partitions_revoked(&self, _all: &[TopicPartition]) {
        let Some(consumer) = self.consumer() else { return };
        let (done, answer) = oneshot::channel();
        let membership = membership(&consumer).await;
        drop(consumer);
        if self.news.send(News::Revoking { membership, done }).is_ok() {
            // Dropped without a word it is an answer as well.
            let _ = answer.await;
        }
    }

    async fn on_partitions_lost(&self, _all: &[TopicPartition]) {
        let _ = self.news.send(News::Lost);
    }
}
