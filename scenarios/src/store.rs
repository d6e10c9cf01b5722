//! The simulated store: a write-ahead log on a Disk. A commit is one checked record, appended and synced before it counts; opening reads back what is
//! there and cuts a torn tail. On the simulated disk a kill keeps what was appended and a power loss what was synced.

use runtime::disk::Disk;
use serde::{Deserialize, Serialize};
use services::ports::store::{InputPartition, Row, Store, StoreError, StoreVerdict, StoredPosition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The one file.
const FILE: &str = "store/wal";
/// Length u32 and CRC-32C u32 before each record.
const HEADER_LEN: usize = 8;

/// A store on a node's disk.
#[derive(Clone)]
pub struct DiskStore {
    disk: Arc<dyn Disk>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    positions: BTreeMap<(u8, u32), StoredPosition>,
    rows: BTreeMap<Key, Row>,
    /// A sync failed: what is on the platter is unknown until the store is opened again.
    broken: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Trade([u8; 6], u64),
    OrderEnd(u64),
}

/// One committed transaction.
#[derive(Serialize, Deserialize)]
struct Commit {
    topic: u8,
    partition: u32,
    rows: Vec<Row>,
    new: StoredPosition,
}

fn key(row: &Row) -> Key {
    match row {
        Row::Trade(row) => Key::Trade(row.symbol.0, row.trade_id),
        Row::OrderEnd(row) => Key::OrderEnd(row.order_id),
    }
}

impl DiskStore {
    /// Opens it, empty or as it was left.
    pub async fn open(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let mut state = State::default();
        let len = disk.list("store").map_err(failed)?.into_iter().find(|(file, _)| file == FILE).map_or(0, |(_, len)| len);
        if len > 0 {
            let bytes = disk.read(FILE, 0, len as usize).map_err(failed)?;
            let sound = state.recover(&bytes);
            if sound < bytes.len() {
                runtime::reached!("store_cut_a_torn_tail");
                disk.truncate(FILE, sound as u64).map_err(failed)?;
            }
        } else {
            disk.append(FILE, &[]).map_err(failed)?;
        }
        // A kill may have left appended bytes that no sync has covered: they count from here on, so they must be durable.
        disk.sync(&[FILE.to_owned()]).await.map_err(failed)?;
        disk.sync_dir("store").await.map_err(failed)?;
        disk.sync_dir("").await.map_err(failed)?;
        Ok(DiskStore { disk, state: Arc::new(Mutex::new(state)) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

impl State {
    /// Applies whole records; gives the length of what is sound.
    fn recover(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(header) = bytes.get(at..at + HEADER_LEN) {
            let len = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
            let crc = u32::from_le_bytes(header[4..].try_into().expect("four bytes"));
            let Some(body) = bytes.get(at + HEADER_LEN..at + HEADER_LEN + len) else { break };
            // A torn tail may be all zeros, and nothing has the checksum zero.
            if body.is_empty() || crc32c::crc32c(body) != crc {
                break;
            }
            self.apply(&postcard::from_bytes(body).expect("the checksum fits, so this build's store wrote it"));
            at += HEADER_LEN + len;
        }
        at
    }

    fn apply(&mut self, commit: &Commit) {
        self.rows.extend(commit.rows.iter().map(|row| (key(row), *row)));
        self.positions.insert((commit.topic, commit.partition), commit.new.clone());
    }

    /// Why this commit may not be.
    fn refusal(&self, input: InputPartition, expected: i64, rows: &[Row]) -> Option<StoreVerdict> {
        let at = self.positions.get(&(input.topic as u8, input.partition)).map_or(0, |position| position.next);
        if self.broken {
            return Some(StoreVerdict::NotDone("a sync failed: open the store again".to_owned()));
        }
        if at != expected {
            return Some(StoreVerdict::Moved);
        }
        let other = rows.iter().find(|row| self.rows.get(&key(row)).is_some_and(|there| there != *row));
        other.map(|row| StoreVerdict::NotDone(format!("another row has the key of {row:?}")))
    }
}

fn failed(error: std::io::Error) -> StoreError {
    StoreError(error.to_string())
}

impl Store for DiskStore {
    async fn position(&self, input: InputPartition) -> Result<Option<StoredPosition>, StoreError> {
        Ok(self.lock().positions.get(&(input.topic as u8, input.partition)).cloned())
    }

    async fn commit(&self, input: InputPartition, expected: i64, rows: &[Row], new: &StoredPosition) -> StoreVerdict {
        let commit = Commit { topic: input.topic as u8, partition: input.partition, rows: rows.to_vec(), new: new.clone() };
        let body = postcard::to_stdvec(&commit).expect("rows have no unserialisable part");
        let mut record = Vec::with_capacity(HEADER_LEN + body.len());
        record.extend_from_slice(&u32::try_from(body.len()).expect("a commit is far below 4 GiB").to_le_bytes());
        record.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        record.extend_from_slice(&body);
        {
            let mut state = self.lock();
            if let Some(refusal) = state.refusal(input, expected, rows) {
                return refusal;
            }
            if let Err(error) = self.disk.append(FILE, &record) {
                state.broken = true;
                return StoreVerdict::Unknown(error.to_string());
            }
            // Applied before it is durable: the position moves at once, so that a second commit of the same position cannot slip in during the sync.
            state.apply(&commit);
        }
        match self.disk.sync(&[FILE.to_owned()]).await {
            Ok(()) => StoreVerdict::Committed,
            Err(error) => {
                self.lock().broken = true;
                StoreVerdict::Unknown(error.to_string())
            }
        }
    }

    async fn rows(&self) -> Result<Vec<Row>, StoreError> {
        Ok(self.lock().rows.values().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::BoxFuture;
    use services::ports::store::{TradeRow, conformance};
    use sim::world::SimulatedDisk;
    use sim::{Ended, Settings};
    use std::sync::atomic::AtomicBool;
    use wire::{Symbol, Topic};

    const INPUT: InputPartition = InputPartition { topic: Topic::TradeExecuted, partition: 0 };

    /// In the simulated world where there is one, else in real time.
    fn block_on(body: fn() -> BoxFuture<'static, ()>) {
        if sim::world::NAME.is_empty() {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the operating system gives threads");
            return runtime.block_on(body());
        }
        let outcome = sim::run(&Settings { warm_up: std::time::Duration::ZERO, ..Settings::of_seed(3) }, move |_world| body());
        assert!(matches!(outcome.ended, Ended::Finished(())), "{:?}", outcome.ended);
    }

    fn life(disk: &Arc<SimulatedDisk>) -> Arc<dyn Disk> {
        disk.of_life(Arc::new(AtomicBool::new(true)))
    }

    async fn open(disk: &Arc<SimulatedDisk>) -> DiskStore {
        DiskStore::open(life(disk)).await.expect("the disk is sound")
    }

    fn row(trade_id: u64) -> Row {
        let (symbol, taker_order_id, taker_account, maker_order_id, maker_account) = (Symbol(*b"BTCUSD"), 7, 1, 6, 2);
        Row::Trade(TradeRow {
            symbol,
            trade_id,
            taker_order_id,
            taker_account,
            taker_buys: true,
            maker_order_id,
            maker_account,
            price_ticks: 100,
            quantity_lots: 5,
        })
    }

    fn at(next: i64) -> StoredPosition {
        StoredPosition { next, ..StoredPosition::default() }
    }

    #[test]
    fn does_what_every_store_must() {
        block_on(|| {
            Box::pin(async {
                let disks: Vec<_> = (0..4).map(|number| SimulatedDisk::new(1, &format!("store-{number}"))).collect();
                conformance::commits_rows_and_position(&open(&disks[0]).await).await;
                conformance::refuses_a_position_that_moved(&open(&disks[1]).await).await;
                conformance::keeps_unique_keys(&open(&disks[2]).await).await;
                conformance::keeps_inputs_apart(&open(&disks[3]).await).await;
            })
        });
    }

    #[test]
    fn a_power_loss_keeps_what_was_committed_and_cuts_the_rest() {
        block_on(|| {
            Box::pin(async {
                for number in 0..40 {
                    let disk = SimulatedDisk::new(number, "data_recorder-1");
                    let store = open(&disk).await;
                    assert_eq!(store.commit(INPUT, 0, &[row(1)], &at(4)).await, StoreVerdict::Committed);
                    // A commit whose sync has not returned: there or not, but whole.
                    life(&disk).append(FILE, &[9; 30]).expect("the disk is sound");
                    disk.power_loss();
                    let store = open(&disk).await;
                    assert_eq!(store.rows().await, Ok(vec![row(1)]));
                    assert_eq!(store.commit(INPUT, 4, &[row(2)], &at(6)).await, StoreVerdict::Committed);
                    assert_eq!(open(&disk).await.rows().await, Ok(vec![row(1), row(2)]), "what follows a cut tail can be read");
                }
            })
        });
    }

    #[test]
    fn a_sync_that_fails_leaves_the_outcome_unknown() {
        block_on(|| {
            Box::pin(async {
                let disk = SimulatedDisk::new(5, "data_recorder-1");
                let store = open(&disk).await;
                disk.fault(sim::world::DiskFault::Eio);
                assert!(matches!(store.commit(INPUT, 0, &[row(1)], &at(4)).await, StoreVerdict::Unknown(_)));
                disk.heal();
                assert!(matches!(store.commit(INPUT, 0, &[row(1)], &at(4)).await, StoreVerdict::NotDone(_)), "it must be opened again");
                assert_eq!(open(&disk).await.commit(INPUT, 0, &[row(1)], &at(4)).await, StoreVerdict::Committed);
            })
        });
    }
}
