//! LOBSTER's files (lobsterdata.com, "Output"): a message file, and an order book file whose row *k* is the book after message *k*.
//!
//! Message columns: time in seconds after midnight, type, order id, size in shares, price in 1/10,000 dollar, direction (1 buy, −1 sell: the side of
//! the *resting* order). Order book columns, level by level: ask price, ask size, bid price, bid size; an empty level has price ±9999999999 and size
//! 0. A lot is a share; a tick is as many price units as the caller says (a cent: 100).

use super::{FlowError, Place};
use wire::Side;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// 1: a new order rests.
    Submit,
    /// 2: an order became smaller.
    Reduce,
    /// 3: an order was deleted.
    Delete,
    /// 4: a visible order was executed, in full or in part.
    Execute,
    /// 5: a hidden order was executed: the visible book does not change.
    ExecuteHidden,
    /// 6: an auction's trade: the visible book does not change.
    Cross,
    /// 7: trading was halted or resumed; the price says which.
    Halt,
}

/// One line of a message file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Nanoseconds after midnight.
    pub time_ns: u64,
    /// The type.
    pub event: Event,
    /// The exchange's; 0 for hidden executions and halts.
    pub order_id: u64,
    /// Shares.
    pub lots: i64,
    /// Ticks; 0 in messages that do not change the visible book (theirs may be between ticks).
    pub price_ticks: i64,
    /// Of the resting order.
    pub side: Side,
}

/// One line of an order book file: levels as (price in ticks, shares), best first, empty ones left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Lowest first.
    pub asks: Vec<(i64, i64)>,
    /// Highest first.
    pub bids: Vec<(i64, i64)>,
}

impl Row {
    /// The levels of a side, best first.
    pub fn side(&self, side: Side) -> &[(i64, i64)] {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}

/// Reads a message file's text; `file` is for errors, `tick` is in price units.
pub fn messages(file: &str, text: &str, tick: i64) -> Result<Vec<Message>, FlowError> {
    assert!(tick >= 1, "a tick is at least one price unit");
    let mut messages = Vec::new();
    let mut last_ns = 0;
    for (at, text) in text.lines().enumerate() {
        let message = message(&Line { file, number: at + 1 }, text, tick, last_ns)?;
        last_ns = message.time_ns;
        messages.push(message);
    }
    Ok(messages)
}

/// Reads an order book file's text.
pub fn order_book(file: &str, text: &str, tick: i64) -> Result<Vec<Row>, FlowError> {
    assert!(tick >= 1, "a tick is at least one price unit");
    let columns = text.lines().next().map_or(0, |line| line.split(',').count());
    text.lines().enumerate().map(|(at, text)| row(&Line { file, number: at + 1 }, text, tick, columns)).collect()
}

/// Where an error is.
struct Line<'a> {
    file: &'a str,
    number: usize,
}

impl Line<'_> {
    fn error(&self, field: &'static str, rule: String) -> FlowError {
        FlowError { file: self.file.to_owned(), place: Place::Line(self.number), field, rule }
    }

    fn whole(&self, field: &'static str, text: &str) -> Result<i64, FlowError> {
        text.parse().map_err(|_| self.error(field, format!("{text:?} is not a whole number")))
    }

    fn ticks(&self, field: &'static str, price: i64, tick: i64) -> Result<i64, FlowError> {
        if price < 1 {
            Err(self.error(field, format!("{price} is not positive")))
        } else if price % tick != 0 {
            Err(self.error(field, format!("{price} is not a multiple of the tick, {tick}")))
        } else {
            Ok(price / tick)
        }
    }
}

fn message(line: &Line, text: &str, tick: i64, last_ns: u64) -> Result<Message, FlowError> {
    let fields: Vec<&str> = text.split(',').collect();
    let [time, kind, order_id, size, price, direction] = fields[..] else {
        return Err(line.error("message", format!("has {} columns: time, type, order id, size, price, direction are 6", fields.len())));
    };
    let time_ns = nanoseconds(time).ok_or_else(|| line.error("time", format!("{time:?} is not seconds with at most 9 decimals")))?;
    if time_ns < last_ns {
        return Err(line.error("time", format!("{time} is before the line above")));
    }
    let event = event(kind).ok_or_else(|| line.error("type", format!("{kind:?} is not one of 1 to 7")))?;
    let order_id = order_id.parse().map_err(|_| line.error("order id", format!("{order_id:?} is not a whole number from 0")))?;
    let (lots, price) = (line.whole("size", size)?, line.whole("price", price)?);
    let side = match direction {
        "1" => Side::Buy,
        "-1" => Side::Sell,
        _ => return Err(line.error("direction", format!("{direction:?} is not 1 or -1"))),
    };
    let is_visible = event <= Event::Execute;
    if lots < 1 && is_visible {
        return Err(line.error("size", format!("{lots} is not positive")));
    }
    let price_ticks = if is_visible { line.ticks("price", price, tick)? } else { 0 };
    Ok(Message { time_ns, event, order_id, lots, price_ticks, side })
}

fn event(kind: &str) -> Option<Event> {
    Some(match kind {
        "1" => Event::Submit,
        "2" => Event::Reduce,
        "3" => Event::Delete,
        "4" => Event::Execute,
        "5" => Event::ExecuteHidden,
        "6" => Event::Cross,
        "7" => Event::Halt,
        _ => return None,
    })
}

/// Decimal seconds, without a float on the way.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || decimals.len() > 9 || !is_number(seconds) || !is_number(decimals) {
        return None;
    }
    let nanos: u64 = format!("{decimals:0<9}").parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// An empty level's price.
const NO_PRICE: i64 = 9_999_999_999;

fn row(line: &Line, text: &str, tick: i64, columns: usize) -> Result<Row, FlowError> {
    let numbers = text.split(',').map(|text| line.whole("level", text)).collect::<Result<Vec<i64>, FlowError>>()?;
    if numbers.len() != columns || !columns.is_multiple_of(4) {
        return Err(line.error("row", format!("has {} columns: 4 per level, {columns} in the first line", numbers.len())));
    }
    let mut row = Row { asks: Vec::new(), bids: Vec::new() };
    for level in numbers.chunks_exact(4) {
        let &[ask, ask_size, bid, bid_size] = level else { unreachable!("chunks of four") };
        if ask != NO_PRICE {
            row.asks.push((line.ticks("ask price", ask, tick)?, positive(line, "ask size", ask_size)?));
        }
        if bid != -NO_PRICE {
            row.bids.push((line.ticks("bid price", bid, tick)?, positive(line, "bid size", bid_size)?));
        }
    }
    if !row.asks.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(line.error("ask price", "levels do not rise".into()));
    }
    if !row.bids.is_sorted_by(|a, b| a.0 > b.0) {
        return Err(line.error("bid price", "levels do not fall".into()));
    }
    if let (Some(ask), Some(bid)) = (row.asks.first(), row.bids.first())
        && ask.0 <= bid.0
    {
        return Err(line.error("bid price", "the best bid is not below the best ask".into()));
    }
    Ok(row)
}

fn positive(line: &Line, field: &'static str, size: i64) -> Result<i64, FlowError> {
    if size >= 1 { Ok(size) } else { Err(line.error(field, format!("{size} is not positive"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_error(text: &str) -> String {
        messages("flow.csv", text, 100).expect_err("a wrong line").to_string()
    }

    fn row_error(text: &str) -> String {
        order_book("book.csv", text, 100).expect_err("a wrong line").to_string()
    }

    #[test]
    fn a_message_is_read() {
        let read = messages("flow.csv", "34200.004241176,1,16113575,18,5853300,1\n34200.1,5,0,7,5853350,-1\n34201,7,0,0,-1,-1", 100);
        let submit = Message { time_ns: 34_200_004_241_176, event: Event::Submit, order_id: 16_113_575, lots: 18, price_ticks: 58_533, side: Side::Buy };
        let hidden = Message { time_ns: 34_200_100_000_000, event: Event::ExecuteHidden, order_id: 0, lots: 7, price_ticks: 0, side: Side::Sell };
        let halt = Message { time_ns: 34_201_000_000_000, event: Event::Halt, order_id: 0, lots: 0, price_ticks: 0, side: Side::Sell };
        assert_eq!(read, Ok(vec![submit, hidden, halt]));
    }

    #[test]
    fn a_wrong_message_is_named_by_file_line_and_field() {
        let good = "34200.5,1,1,18,5853300,1\n";
        assert_eq!(
            message_error(&format!("{good}34200.5,1,1,18,5853300")),
            "flow.csv:2: message: has 5 columns: time, type, order id, size, price, direction are 6"
        );
        assert_eq!(message_error("34200.0042411761,1,1,18,5853300,1"), "flow.csv:1: time: \"34200.0042411761\" is not seconds with at most 9 decimals");
        assert_eq!(message_error("-1,1,1,18,5853300,1"), "flow.csv:1: time: \"-1\" is not seconds with at most 9 decimals");
        assert_eq!(message_error(&format!("{good}34200.4,1,1,18,5853300,1")), "flow.csv:2: time: 34200.4 is before the line above");
        assert_eq!(message_error("1,8,1,18,5853300,1"), "flow.csv:1: type: \"8\" is not one of 1 to 7");
        assert_eq!(message_error("1,1,-1,18,5853300,1"), "flow.csv:1: order id: \"-1\" is not a whole number from 0");
        assert_eq!(message_error("1,1,1,1.5,5853300,1"), "flow.csv:1: size: \"1.5\" is not a whole number");
        assert_eq!(message_error("1,1,1,0,5853300,1"), "flow.csv:1: size: 0 is not positive");
        assert_eq!(message_error("1,1,1,18,,1"), "flow.csv:1: price: \"\" is not a whole number");
        assert_eq!(message_error("1,1,1,18,5853350,1"), "flow.csv:1: price: 5853350 is not a multiple of the tick, 100");
        assert_eq!(message_error("1,1,1,18,-100,1"), "flow.csv:1: price: -100 is not positive");
        assert_eq!(message_error("1,1,1,18,5853300,0"), "flow.csv:1: direction: \"0\" is not 1 or -1");
    }

    #[test]
    fn a_row_is_read_without_its_empty_levels() {
        let rows = order_book("book.csv", "300,7,200,5,9999999999,0,100,6", 100);
        assert_eq!(rows, Ok(vec![Row { asks: vec![(3, 7)], bids: vec![(2, 5), (1, 6)] }]));
    }

    #[test]
    fn a_wrong_row_is_named_by_file_line_and_field() {
        assert_eq!(row_error("300,7,200,5\n300,7,200"), "book.csv:2: row: has 3 columns: 4 per level, 4 in the first line");
        assert_eq!(row_error("300,7,200"), "book.csv:1: row: has 3 columns: 4 per level, 3 in the first line");
        assert_eq!(row_error("300,x,200,5"), "book.csv:1: level: \"x\" is not a whole number");
        assert_eq!(row_error("300,0,200,5"), "book.csv:1: ask size: 0 is not positive");
        assert_eq!(row_error("301,1,200,5"), "book.csv:1: ask price: 301 is not a multiple of the tick, 100");
        assert_eq!(row_error("300,1,200,5,300,1,100,5"), "book.csv:1: ask price: levels do not rise");
        assert_eq!(row_error("300,1,200,5,400,1,200,5"), "book.csv:1: bid price: levels do not fall");
        assert_eq!(row_error("300,1,300,5"), "book.csv:1: bid price: the best bid is not below the best ask");
    }
}
