//! [`Store`] on SQLite: the embedded default. One file, write-ahead log, `synchronous = FULL`: what is committed survives power loss.
//!
//! A call takes as long as the disk does, on a thread of its own: those that run tasks go on. Given up by its caller, it still happens.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use services::ports::store::{InputPartition, OrderEndRow, Row, Store, StoreError, StoreVerdict, StoredPosition, TradeRow};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::Symbol;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    database: Arc<Database>,
}

#[derive(Debug)]
struct Database {
    connection: Mutex<Connection>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS trades (
        symbol TEXT NOT NULL, trade_id INTEGER NOT NULL, taker_order_id INTEGER NOT NULL, taker_account INTEGER NOT NULL, taker_buys INTEGER NOT NULL,
        maker_order_id INTEGER NOT NULL, maker_account INTEGER NOT NULL, price_ticks INTEGER NOT NULL, quantity_lots INTEGER NOT NULL,
        PRIMARY KEY (symbol, trade_id)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS order_ends (
        order_id INTEGER PRIMARY KEY, account INTEGER NOT NULL, symbol TEXT NOT NULL, how INTEGER NOT NULL, remaining_lots INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS positions (
        topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, seen TEXT NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
";

/// Why a transaction was not tried to the end.
enum Stopped {
    Moved,
    Conflict(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Stopped::Sqlite(error)
    }
}

impl SqliteStore {
    /// Opens or creates the file and its tables.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::set_up(Connection::open(path)).map_err(|error| StoreError(format!("{}: {error}", path.display())))?;
        Ok(SqliteStore { database: Arc::new(database) })
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce(&Database) -> T + Send + 'static) -> T {
        let database = Arc::clone(&self.database);
        runtime::task::off_thread(move || work(&database)).await
    }
}

impl Database {
    fn set_up(connection: rusqlite::Result<Connection>) -> rusqlite::Result<Self> {
        let connection = connection?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(SCHEMA)?;
        Ok(Database { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere left no half transaction: rusqlite rolls back when one is dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_position(&self, input: InputPartition) -> rusqlite::Result<Option<StoredPosition>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT next, seen FROM positions WHERE topic = ?1 AND partition = ?2")?;
        let found =
            statement.query_row(params![input.topic.name(), input.partition], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).optional()?;
        found
            .map(|(next, seen)| {
                let seen =
                    serde_json::from_str(&seen).map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error)))?;
                Ok(StoredPosition { next, seen })
            })
            .transpose()
    }

    fn write(&self, input: InputPartition, expected: i64, rows: &[Row], new: &StoredPosition) -> Result<(), (Stopped, bool)> {
        let before = |error: rusqlite::Error| (Stopped::from(error), false);
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(before)?;
        move_position(&transaction, input, expected, new).map_err(|stopped| (stopped, false))?;
        for row in rows {
            insert(&transaction, row).map_err(|stopped| (stopped, false))?;
        }
        // From here on an error says nothing about whether it happened.
        transaction.commit().map_err(|error| (Stopped::from(error), true))
    }

    fn read_rows(&self) -> rusqlite::Result<Vec<Row>> {
        let connection = self.lock();
        let mut rows = Vec::new();
        let mut trades = connection.prepare("SELECT symbol, trade_id, taker_order_id, taker_account, taker_buys, maker_order_id, maker_account, price_ticks, quantity_lots FROM trades ORDER BY symbol, trade_id")?;
        for row in trades.query_map([], read_trade)? {
            rows.push(Row::Trade(row?));
        }
        let mut ends = connection.prepare("SELECT order_id, account, symbol, how, remaining_lots FROM order_ends ORDER BY order_id")?;
        for row in ends.query_map([], read_end)? {
            rows.push(Row::OrderEnd(row?));
        }
        Ok(rows)
    }
}

fn move_position(transaction: &Transaction<'_>, input: InputPartition, expected: i64, new: &StoredPosition) -> Result<(), Stopped> {
    let key = params![input.topic.name(), input.partition];
    let next: Option<i64> = transaction.query_row("SELECT next FROM positions WHERE topic = ?1 AND partition = ?2", key, |row| row.get(0)).optional()?;
    if next.unwrap_or(0) != expected {
        return Err(Stopped::Moved);
    }
    let seen = serde_json::to_string(&new.seen).expect("a drop rule is plain data");
    transaction.execute(
        "INSERT INTO positions (topic, partition, next, seen) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET next = excluded.next, seen = excluded.seen",
        params![input.topic.name(), input.partition, new.next, seen],
    )?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, row: &Row) -> Result<(), Stopped> {
    match row {
        Row::Trade(trade) => insert_trade(transaction, trade),
        Row::OrderEnd(end) => insert_end(transaction, end),
    }
}

fn insert_trade(transaction: &Transaction<'_>, trade: &TradeRow) -> Result<(), Stopped> {
    let mut insert = transaction.prepare_cached("INSERT INTO trades VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING")?;
    let values = params![
        trade.symbol.as_str(),
        trade.trade_id as i64,
        trade.taker_order_id as i64,
        trade.taker_account as i64,
        trade.taker_buys,
        trade.maker_order_id as i64,
        trade.maker_account as i64,
        trade.price_ticks,
        trade.quantity_lots,
    ];
    if insert.execute(values)? == 1 {
        return Ok(());
    }
    let mut select = transaction.prepare_cached("SELECT * FROM trades WHERE symbol = ?1 AND trade_id = ?2")?;
    let there = select.query_row(params![trade.symbol.as_str(), trade.trade_id as i64], read_trade)?;
    if there == *trade { Ok(()) } else { Err(Stopped::Conflict(format!("trade {} of {} stands there with another content", trade.trade_id, trade.symbol))) }
}

fn insert_end(transaction: &Transaction<'_>, end: &OrderEndRow) -> Result<(), Stopped> {
    let mut insert = transaction.prepare_cached("INSERT INTO order_ends VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?;
    if insert.execute(params![end.order_id as i64, end.account as i64, end.symbol.as_str(), end.how, end.remaining_lots])? == 1 {
        return Ok(());
    }
    let mut select = transaction.prepare_cached("SELECT * FROM order_ends WHERE order_id = ?1")?;
    let there = select.query_row(params![end.order_id as i64], read_end)?;
    if there == *end { Ok(()) } else { Err(Stopped::Conflict(format!("the end of order {} stands there with another content", end.order_id))) }
}

fn read_symbol(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Symbol> {
    let text: String = row.get(column)?;
    Symbol::parse(&text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error)))
}

fn read_u64(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| value as u64)
}

fn read_trade(row: &rusqlite::Row<'_>) -> rusqlite::Result<TradeRow> {
    Ok(TradeRow {
        symbol: read_symbol(row, 0)?,
        trade_id: read_u64(row, 1)?,
        taker_order_id: read_u64(row, 2)?,
        taker_account: read_u64(row, 3)?,
        taker_buys: row.get(4)?,
        maker_order_id: read_u64(row, 5)?,
        maker_account: read_u64(row, 6)?,
        price_ticks: row.get(7)?,
        quantity_lots: row.get(8)?,
    })
}

fn read_end(row: &rusqlite::Row<'_>) -> rusqlite::Result<OrderEndRow> {
    Ok(OrderEndRow { order_id: read_u64(row, 0)?, account: read_u64(row, 1)?, symbol: read_symbol(row, 2)?, how: row.get(3)?, remaining_lots: row.get(4)? })
}

impl Store for SqliteStore {
    async fn position(&self, input: InputPartition) -> Result<Option<StoredPosition>, StoreError> {
        self.off_thread(move |database| database.read_position(input)).await.map_err(|error| StoreError(error.to_string()))
    }

    async fn commit(&self, input: InputPartition, expected: i64, rows: &[Row], new: &StoredPosition) -> StoreVerdict {
        let (rows, new) = (rows.to_vec(), new.clone());
        match self.off_thread(move |database| database.write(input, expected, &rows, &new)).await {
            Ok(()) => StoreVerdict::Committed,
            Err((Stopped::Moved, _)) => StoreVerdict::Moved,
            Err((Stopped::Conflict(why), _)) => StoreVerdict::NotDone(why),
            Err((Stopped::Sqlite(error), false)) => StoreVerdict::NotDone(error.to_string()),
            Err((Stopped::Sqlite(error), true)) => StoreVerdict::Unknown(error.to_string()),
        }
    }

    async fn rows(&self) -> Result<Vec<Row>, StoreError> {
        self.off_thread(Database::read_rows).await.map_err(|error| StoreError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use services::ports::store::conformance;

    async fn check(case: impl AsyncFnOnce(&SqliteStore)) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = SqliteStore::open(&dir.path().join("exchange.sqlite")).expect("a new file opens");
        case(&store).await;
    }

    #[tokio::test]
    async fn commits_rows_and_position() {
        check(conformance::commits_rows_and_position).await;
    }

    #[tokio::test]
    async fn refuses_a_position_that_moved() {
        check(conformance::refuses_a_position_that_moved).await;
    }

    #[tokio::test]
    async fn keeps_unique_keys() {
        check(conformance::keeps_unique_keys).await;
    }

    #[tokio::test]
    async fn keeps_inputs_apart() {
        check(conformance::keeps_inputs_apart).await;
    }

    #[tokio::test]
    async fn a_second_opening_finds_everything() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("exchange.sqlite");
        conformance::commits_rows_and_position(&SqliteStore::open(&path).expect("a new file opens")).await;
        assert_eq!(SqliteStore::open(&path).expect("it opens again").rows().await.expect("readable").len(), 2);
    }
}
