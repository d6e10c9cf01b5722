//! From a recording to what clients do: orders with the time at which each is placed and, if its owner took it back, cancelled.

use super::lobster::{self, Message, Row};
use super::{Action, FlowError, Mapping, Place, itch};
use std::collections::BTreeMap;
use wire::{Side, TimeInForce};

/// A limit order of the recording. Times are ms after its first message; several may share one: a network reorders more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// When it is placed.
    pub at_ms: u64,
    /// Buy or sell.
    pub side: Side,
    /// Good till cancelled, or immediate or cancel for the taker of an execution.
    pub time_in_force: TimeInForce,
    /// Its limit.
    pub price_ticks: i64,
    /// How much.
    pub lots: i64,
    /// When its owner cancels what is left of it; not before it is placed.
    pub cancel_at_ms: Option<u64>,
}

/// Reads a recording as orders in order of time: a LOBSTER message file, and its order book file if there is one, or an ITCH file, of which `stock` chooses one
/// stock. `tick` is in price units (a cent: 100). Without the book, orders from before the recording are missing, and what happens to them is left out.
pub fn read((file, bytes): (&str, &[u8]), book_file: Option<(&str, &str)>, stock: Option<&str>, tick: i64) -> Result<Vec<Order>, FlowError> {
    if itch::is_itch(bytes) {
        return Ok(orders(&itch::messages(file, bytes, stock, tick)?, None));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| FlowError {
        file: file.to_owned(),
        place: Place::Byte(error.valid_up_to()),
        field: "message",
        rule: "is neither text (LOBSTER) nor begins with a length (ITCH)".to_owned(),
    })?;
    let messages = lobster::messages(file, text, tick)?;
    let rows = book_file.map(|(file, text)| lobster::order_book(file, text, tick)).transpose()?;
    if let (Some(rows), Some((file, _))) = (&rows, book_file)
        && rows.len() != messages.len()
    {
        let rule = format!("the file has {} rows, the message file {}: one per message", rows.len(), messages.len());
        return Err(FlowError { file: file.to_owned(), place: Place::Line(rows.len()), field: "row", rule });
    }
    Ok(orders(&messages, rows.as_ref().and_then(|rows| rows.first())))
}

/// The name of the order book file that belongs to a message file: LOBSTER's `…_message_10.csv` and `…_orderbook_10.csv`.
pub fn book_file_of(message_file: &str) -> Option<String> {
    let (before, after) = message_file.rsplit_once("_message_")?;
    Some(format!("{before}_orderbook_{after}"))
}

/// The orders of a recording. A client can place and cancel; what became smaller is cancelled and placed again, behind the others.
pub fn orders(messages: &[Message], first_row: Option<&Row>) -> Vec<Order> {
    let Some(first) = messages.first() else { return Vec::new() };
    let (mut mapping, mut actions) = (Mapping::new(), Vec::new());
    let mut placed = Placed::default();
    if let Some(row) = first_row {
        mapping.seed(row, first, &mut actions);
        placed.take_in(&actions, 0);
    }
    for message in messages {
        actions.clear();
        mapping.message(message, &mut actions);
        placed.take_in(&actions, (message.time_ns - first.time_ns) / 1_000_000);
    }
    placed.orders
}

#[derive(Default)]
struct Placed {
    /// In order of time.
    orders: Vec<Order>,
    /// Where the recording's resting order stands in the list.
    at: BTreeMap<u64, usize>,
}

impl Placed {
    fn take_in(&mut self, actions: &[Action], at_ms: u64) {
        for action in actions {
            match *action {
                Action::Rest { number, side, price_ticks, lots } => self.rest(number, resting(at_ms, side, price_ticks, lots)),
                Action::Take { side, price_ticks, lots, .. } => {
                    self.orders.push(Order { time_in_force: TimeInForce::Ioc, ..resting(at_ms, side, price_ticks, lots) });
                }
                Action::Reduce { number, left, .. } => {
                    let Order { side, price_ticks, .. } = self.cancel(number, at_ms);
                    self.rest(number, resting(at_ms, side, price_ticks, left));
                }
                Action::Cancel { number } => drop(self.cancel(number, at_ms)),
            }
        }
    }

    fn rest(&mut self, number: u64, order: Order) {
        self.at.insert(number, self.orders.len());
        self.orders.push(order);
    }

    fn cancel(&mut self, number: u64, at_ms: u64) -> Order {
        let order = &mut self.orders[self.at.remove(&number).expect("the mapping cancels what it let rest")];
        order.cancel_at_ms = Some(at_ms);
        *order
    }
}

fn resting(at_ms: u64, side: Side, price_ticks: i64, lots: i64) -> Order {
    Order { at_ms, side, time_in_force: TimeInForce::Gtc, price_ticks, lots, cancel_at_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = "10,1,7,5,10000,1\n10.0015,1,8,9,10100,-1\n10.002,2,8,4,10100,-1\n11,4,8,2,10100,-1\n11.5,4,99,1,9900,1\n12,3,8,3,10100,-1\n";

    fn order(at_ms: u64, side: Side, price_ticks: i64, lots: i64, cancel_at_ms: Option<u64>) -> Order {
        Order { cancel_at_ms, ..resting(at_ms, side, price_ticks, lots) }
    }

    #[test]
    fn what_became_smaller_is_cancelled_and_placed_again() {
        let orders = read(("m", MESSAGES.as_bytes()), None, None, 100).expect("well formed");
        let expected = [
            order(0, Side::Buy, 100, 5, None),
            order(1, Side::Sell, 101, 9, Some(2)),
            order(2, Side::Sell, 101, 5, Some(2_000)),
            Order { time_in_force: TimeInForce::Ioc, ..order(1_000, Side::Buy, 101, 2, None) },
        ];
        assert_eq!(orders, expected, "the execution of an order that nobody saw is left out");
    }

    #[test]
    fn the_first_row_gives_the_orders_from_before() {
        let rows = "10300,7,10000,6,9999999999,0,9900,3\n".repeat(6);
        let orders = read(("m", MESSAGES.as_bytes()), Some(("b", &rows)), None, 100).expect("well formed");
        let before = [order(0, Side::Buy, 99, 3, None), order(0, Side::Buy, 100, 1, None), order(0, Side::Sell, 103, 7, None)];
        assert_eq!(orders[..3], before, "the first message's own lots are not from before");
        let taker = Order { time_in_force: TimeInForce::Ioc, ..order(1_500, Side::Sell, 99, 1, None) };
        assert_eq!(orders.last(), Some(&taker));
    }

    #[test]
    fn the_two_files_belong_together() {
        assert_eq!(book_file_of("data/AAPL_message_10.csv").as_deref(), Some("data/AAPL_orderbook_10.csv"));
        assert_eq!(book_file_of("data/AAPL.csv"), None);
        let error = read(("m.csv", MESSAGES.as_bytes()), Some(("b.csv", "10300,7,10000,6")), None, 100).expect_err("one row for six messages");
        assert_eq!(error.to_string(), "b.csv:1: row: the file has 1 rows, the message file 6: one per message");
    }

    #[test]
    fn an_empty_recording_has_no_orders() {
        assert_eq!(read(("m", b""), None, None, 100), Ok(vec![]));
    }
}
