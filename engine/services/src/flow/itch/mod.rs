//! NASDAQ's TotalView-ITCH 5.0 (nasdaqtrader.com, "NQTVITCHSpecification"): a day of all stocks, binary, each message behind its length (u16). Numbers are
//! big-endian, prices have four decimals, times are nanoseconds after midnight.
//!
//! One stock of it becomes the messages that LOBSTER would have written: an add is a submission, an execution (at whatever price) an execution of the resting
//! order, a cancel a reduction, a replace a deletion and a submission, a trade of a hidden order an execution of one. Messages that say nothing of orders are
//! checked for type and length. What happens to an order whose add is not in the file names no side and no price, and is left out by the mapping, as in
//! LOBSTER's files.

use super::lobster::{Event, Message};
use super::{FlowError, Place};
use std::collections::{BTreeMap, BTreeSet};
use wire::Side;

/// Every type, and the bytes of its message without the length.
#[rustfmt::skip]
const TYPES: &[(u8, usize)] = &[
    (b'S', 12), (b'R', 39), (b'H', 25), (b'Y', 20), (b'L', 26), (b'V', 35), (b'W', 12), (b'K', 28), (b'J', 35), (b'h', 21),
    (b'A', 36), (b'F', 40), (b'E', 31), (b'C', 36), (b'X', 23), (b'D', 19), (b'U', 35), (b'P', 44), (b'Q', 40), (b'B', 19),
    (b'I', 50), (b'N', 20), (b'O', 48),
];

/// Whether bytes are a file of this format and not text: it begins with a length, whose high byte is zero.
pub fn is_itch(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0)
}

/// Reads a file; `file` is for errors, `tick` is in price units. `stock` chooses one, and may be left out where only one has orders.
pub fn messages(file: &str, bytes: &[u8], stock: Option<&str>, tick: i64) -> Result<Vec<Message>, FlowError> {
    assert!(tick >= 1, "a tick is at least one price unit");
    let raw = raw(file, bytes)?;
    let stock = match stock {
        Some(stock) => stock.to_owned(),
        None => the_only_stock(file, &raw)?,
    };
    let mut reader = Reader { stock, locate: None, tick, resting: BTreeMap::new(), messages: Vec::new() };
    raw.iter().try_for_each(|raw| reader.take_in(raw))?;
    Ok(reader.messages)
}

/// One message, its length checked.
struct Raw<'a> {
    file: &'a str,
    /// Of its type, in the file.
    offset: usize,
    bytes: &'a [u8],
}

impl Raw<'_> {
    fn error(&self, at: usize, field: &'static str, rule: String) -> FlowError {
        FlowError { file: self.file.to_owned(), place: Place::Byte(self.offset + at), field, rule }
    }

    fn kind(&self) -> u8 {
        self.bytes[0]
    }

    /// An unsigned number of N bytes.
    fn number<const N: usize>(&self, at: usize) -> u64 {
        self.bytes[at..at + N].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn stock(&self, at: usize) -> String {
        String::from_utf8_lossy(&self.bytes[at..at + 8]).trim_end().to_owned()
    }

    /// The stock that the day calls so.
    fn locate(&self) -> u64 {
        self.number::<2>(1)
    }
}

/// Cuts the file into messages, in order of time.
fn raw<'a>(file: &'a str, bytes: &'a [u8]) -> Result<Vec<Raw<'a>>, FlowError> {
    let mut all = Vec::new();
    let (mut at, mut last_ns) = (0, 0);
    while at < bytes.len() {
        let error = |field, rule| FlowError { file: file.to_owned(), place: Place::Byte(at), field, rule };
        let Some(length) = bytes.get(at..at + 2).map(|length| usize::from(length[0]) << 8 | usize::from(length[1])) else {
            return Err(error("length", "the file ends in it".into()));
        };
        if length == 0 {
            // Nasdaq's own files end so.
            at += 2;
            continue;
        }
        let Some(message) = bytes.get(at + 2..at + 2 + length) else {
            return Err(error("length", format!("{length} bytes, and the file ends after {}", bytes.len() - at - 2)));
        };
        let raw = Raw { file, offset: at + 2, bytes: message };
        let Some((_, expected)) = TYPES.iter().find(|(kind, _)| *kind == raw.kind()) else {
            return Err(raw.error(0, "message type", format!("{:?} is none of ITCH 5.0", char::from(raw.kind()))));
        };
        if length != *expected {
            return Err(error("length", format!("{length} bytes: a message of type {:?} has {expected}", char::from(raw.kind()))));
        }
        let time_ns = raw.number::<6>(5);
        if time_ns < last_ns {
            return Err(raw.error(5, "timestamp", format!("{time_ns} is before that of the message above, {last_ns}")));
        }
        last_ns = time_ns;
        at += 2 + length;
        all.push(raw);
    }
    Ok(all)
}

fn the_only_stock(file: &str, raw: &[Raw]) -> Result<String, FlowError> {
    let stocks: BTreeSet<String> = raw.iter().filter(|raw| matches!(raw.kind(), b'A' | b'F')).map(|raw| raw.stock(24)).collect();
    let mut names = stocks.iter();
    match (names.next(), stocks.len()) {
        (Some(stock), 1) => Ok(stock.clone()),
        (None, _) => Ok(String::new()),
        (Some(first), count) => {
            let rule = format!("the file has orders of {count} stocks ({first:?}, …): say which");
            Err(FlowError { file: file.to_owned(), place: Place::Byte(0), field: "stock", rule })
        }
    }
}

struct Resting {
    side: Side,
    price_ticks: i64,
    lots: i64,
}

struct Reader {
    stock: String,
    /// The chosen stock's, once a message has named both.
    locate: Option<u64>,
    tick: i64,
    /// Orders of the stock, by reference number.
    resting: BTreeMap<u64, Resting>,
    messages: Vec<Message>,
}

impl Reader {
    fn take_in(&mut self, raw: &Raw) -> Result<(), FlowError> {
        let named = match raw.kind() {
            b'R' | b'H' => Some(11),
            b'A' | b'F' | b'P' => Some(24),
            b'Q' => Some(19),
            _ => None,
        };
        if let Some(at) = named
            && raw.stock(at) == self.stock
        {
            self.locate = Some(raw.locate());
        }
        if self.locate != Some(raw.locate()) {
            return Ok(());
        }
        match raw.kind() {
            b'A' | b'F' => self.add(raw, raw.number::<8>(11), side(raw)?, (20, 32)),
            b'E' | b'C' => self.withdraw(raw, Event::Execute, raw.number::<4>(19)),
            b'X' => self.withdraw(raw, Event::Reduce, raw.number::<4>(19)),
            b'D' => self.delete(raw).map(drop),
            b'U' => self.replace(raw),
            b'P' => self.push(raw, Event::ExecuteHidden, 0, &Resting { side: side(raw)?, price_ticks: 0, lots: raw.number::<4>(20).cast_signed() }),
            b'Q' => self.push(raw, Event::Cross, 0, &Resting { side: Side::Sell, price_ticks: 0, lots: raw.number::<8>(11).cast_signed() }),
            b'H' => self.push(raw, Event::Halt, 0, &Resting { side: Side::Sell, price_ticks: 0, lots: 0 }),
            _ => Ok(()),
        }
    }

    /// A new order; where its shares and price stand.
    fn add(&mut self, raw: &Raw, order_id: u64, side: Side, (shares_at, price_at): (usize, usize)) -> Result<(), FlowError> {
        let (lots, price) = (raw.number::<4>(shares_at).cast_signed(), raw.number::<4>(price_at).cast_signed());
        if lots < 1 {
            return Err(raw.error(shares_at, "shares", "0 is not positive".into()));
        }
        if price < 1 {
            return Err(raw.error(price_at, "price", "0 is not positive".into()));
        }
        if price % self.tick != 0 {
            return Err(raw.error(price_at, "price", format!("{price} is not a multiple of the tick, {}", self.tick)));
        }
        let resting = Resting { side, price_ticks: price / self.tick, lots };
        self.push(raw, Event::Submit, order_id, &resting)?;
        if self.resting.insert(order_id, resting).is_some() {
            return Err(raw.error(11, "order reference number", format!("{order_id} is the number of an order that rests")));
        }
        Ok(())
    }

    /// Takes shares from an order.
    fn withdraw(&mut self, raw: &Raw, event: Event, shares: u64) -> Result<(), FlowError> {
        let (order_id, lots) = (raw.number::<8>(11), shares.cast_signed());
        if lots < 1 {
            return Err(raw.error(19, "shares", "0 is not positive".into()));
        }
        let Some(resting) = self.resting.get_mut(&order_id) else {
            return self.push(raw, event, order_id, &Resting { lots, ..UNSEEN });
        };
        if lots > resting.lots {
            return Err(raw.error(19, "shares", format!("{lots} of an order that has {}", resting.lots)));
        }
        resting.lots -= lots;
        let (gone, withdrawn) = (resting.lots == 0, Resting { lots, ..*resting });
        if gone {
            self.resting.remove(&order_id);
        }
        self.push(raw, event, order_id, &withdrawn)
    }

    /// Takes an order out; says which side it was of.
    fn delete(&mut self, raw: &Raw) -> Result<Option<Side>, FlowError> {
        let order_id = raw.number::<8>(11);
        let resting = self.resting.remove(&order_id);
        let side = resting.as_ref().map(|resting| resting.side);
        self.push(raw, Event::Delete, order_id, &resting.unwrap_or(UNSEEN))?;
        Ok(side)
    }

    /// The new order has the old one's side, and stands behind all others.
    fn replace(&mut self, raw: &Raw) -> Result<(), FlowError> {
        match self.delete(raw)? {
            Some(side) => self.add(raw, raw.number::<8>(19), side, (27, 31)),
            None => Ok(()),
        }
    }

    fn push(&mut self, raw: &Raw, event: Event, order_id: u64, of: &Resting) -> Result<(), FlowError> {
        let Resting { side, price_ticks, lots } = *of;
        self.messages.push(Message { time_ns: raw.number::<6>(5), event, order_id, lots, price_ticks, side });
        Ok(())
    }
}

/// An order whose add is not in the file: nothing rests at price 0.
const UNSEEN: Resting = Resting { side: Side::Buy, price_ticks: 0, lots: 1 };

fn side(raw: &Raw) -> Result<Side, FlowError> {
    match raw.bytes[19] {
        b'B' => Ok(Side::Buy),
        b'S' => Ok(Side::Sell),
        other => Err(raw.error(19, "buy/sell indicator", format!("{:?} is not B or S", char::from(other)))),
    }
}

#[cfg(test)]
mod tests;
