//! The faults that fly over the workload: one of each kind in every round, on one broker after the other.

use super::super::proxy::Trip;
use super::Bench;
use runtime::rng::Rng;
use runtime::time::sleep;
use std::time::Duration;

/// Requests whose answers are lost and delayed, by API key: Produce, Fetch, OffsetCommit, JoinGroup, Heartbeat, InitProducerId, AddPartitionsToTxn, EndTxn.
const KINDS: [u16; 8] = [0, 1, 8, 11, 12, 22, 24, 26];
/// Below a client's request timeout, and above what is usual.
const DELAY_MS: u64 = 700;

async fn wait(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

/// What flew, in words.
pub async fn rounds<B: Bench>(bench: &B, rounds: u32) -> String {
    wait(1_000).await;
    for round in 0..rounds {
        let broker = round % bench.brokers() + 1;
        bench.kill(broker).await;
        wait(1_500).await;
        bench.restart(broker).await;
        wait(500).await;
        bench.pause(broker).await;
        wait(bench.load().outage_ms).await;
        bench.resume(broker).await;
        wait(500).await;
        for trip in [Trip::Lose, Trip::Delay(DELAY_MS)] {
            for kind in KINDS {
                bench.trip(kind, trip).await;
            }
            wait(1_000).await;
        }
        bench.swallow_answers().await;
        wait(300).await;
        bench.pass_answers().await;
        wait(500).await;
    }
    let answers = rounds as usize * KINDS.len();
    format!("{rounds} kills, {rounds} pauses, {rounds} times all answers lost, up to {answers} single answers lost and {answers} late")
}

/// What flew, in words. A killed one comes back at once or a little later.
pub async fn kills<B: Bench>(bench: &B, kills: u32) -> String {
    let mut rng = Rng::of_node("kills");
    wait(1_000).await;
    for kill in 0..kills {
        let broker = kill % bench.brokers() + 1;
        bench.kill(broker).await;
        wait(rng.below(200)).await;
        bench.restart(broker).await;
        wait(rng.range(100..1_500)).await;
    }
    format!("{kills} kills")
}
