//! Bytes made by hand, field by field as the specification's tables have them.

use super::*;
use crate::flow::player;

/// The length, then type, locate, tracking number, time.
fn message(kind: u8, locate: u16, time_ns: u64, rest: &[&[u8]]) -> Vec<u8> {
    let rest = rest.concat();
    let length = u16::try_from(11 + rest.len()).expect("messages are short");
    [&length.to_be_bytes()[..], &[kind], &locate.to_be_bytes(), &[0, 0], &time_ns.to_be_bytes()[2..], &rest].concat()
}

fn add(locate: u16, time_ns: u64, reference: u64, side: u8, shares: u32, stock: &[u8; 8], price: u32) -> Vec<u8> {
    message(b'A', locate, time_ns, &[&reference.to_be_bytes(), &[side], &shares.to_be_bytes(), stock, &price.to_be_bytes()])
}

const AAPL: &[u8; 8] = b"AAPL    ";
const ZION: &[u8; 8] = b"ZION    ";

/// Reference numbers 1 to 5 of AAPL (locate 7), one of ZION (locate 8).
fn day() -> Vec<Vec<u8>> {
    let directory = |locate, stock: &[u8; 8]| message(b'R', locate, 1_000, &[stock, b"QN", &100_u32.to_be_bytes(), b"NCZ PNN1N", &0_u32.to_be_bytes(), b"N"]);
    let reference = u64::to_be_bytes;
    vec![
        message(b'S', 0, 999, &[b"O"]),
        directory(7, AAPL),
        directory(8, ZION),
        add(7, 2_000_000, 1, b'B', 300, AAPL, 1_000_000),
        add(8, 2_500_000, 9, b'S', 10, ZION, 500_050),
        message(b'F', 7, 3_000_000, &[&reference(2), b"S", &200_u32.to_be_bytes(), AAPL, &1_000_100_u32.to_be_bytes(), b"MPID"]),
        message(b'E', 7, 4_000_000, &[&reference(1), &100_u32.to_be_bytes(), &reference(77)]),
        message(b'C', 7, 5_000_000, &[&reference(2), &50_u32.to_be_bytes(), &reference(78), b"Y", &1_000_050_u32.to_be_bytes()]),
        message(b'X', 7, 6_000_000, &[&reference(1), &50_u32.to_be_bytes()]),
        message(b'U', 7, 7_000_000, &[&reference(1), &reference(3), &500_u32.to_be_bytes(), &999_900_u32.to_be_bytes()]),
        message(b'P', 7, 8_000_000, &[&reference(0), b"B", &25_u32.to_be_bytes(), AAPL, &1_000_050_u32.to_be_bytes(), &reference(79)]),
        message(b'D', 7, 9_000_000, &[&reference(2)]),
        message(b'X', 7, 9_500_000, &[&reference(1_234), &1_u32.to_be_bytes()]),
        message(b'S', 0, 10_000_000, &[b"C"]),
        vec![0, 0],
    ]
}

fn of(time_ms: u64, event: Event, order_id: u64, side: Side, price_ticks: i64, lots: i64) -> Message {
    Message { time_ns: time_ms * 1_000_000, event, order_id, lots, price_ticks, side }
}

#[test]
fn a_day_of_one_stock_is_read() {
    let expected = vec![
        of(2, Event::Submit, 1, Side::Buy, 10_000, 300),
        of(3, Event::Submit, 2, Side::Sell, 10_001, 200),
        of(4, Event::Execute, 1, Side::Buy, 10_000, 100),
        of(5, Event::Execute, 2, Side::Sell, 10_001, 50),
        of(6, Event::Reduce, 1, Side::Buy, 10_000, 50),
        of(7, Event::Delete, 1, Side::Buy, 10_000, 150),
        of(7, Event::Submit, 3, Side::Buy, 9_999, 500),
        of(8, Event::ExecuteHidden, 0, Side::Buy, 0, 25),
        of(9, Event::Delete, 2, Side::Sell, 10_001, 150),
        Message { time_ns: 9_500_000, ..of(9, Event::Reduce, 1_234, Side::Buy, 0, 1) },
    ];
    assert_eq!(messages("day", &day().concat(), Some("AAPL"), 100), Ok(expected));
}

/// The same day as LOBSTER would have written it: the same orders of clients.
#[test]
fn the_same_flow_comes_from_either_format() {
    let text = "0.002,1,1,300,1000000,1\n0.003,1,2,200,1000100,-1\n0.004,4,1,100,1000000,1\n0.005,4,2,50,1000100,-1\n0.006,2,1,50,1000000,1\n\
                0.007,3,1,150,1000000,1\n0.007,1,3,500,999900,1\n0.008,5,0,25,1000050,1\n0.009,3,2,150,1000100,-1\n";
    let lobster = player::read(("text", text.as_bytes()), None, None, 100).expect("well formed");
    let itch = player::read(("day", &day().concat()), None, Some("AAPL"), 100).expect("well formed");
    assert_eq!(itch, lobster);
    assert_eq!(itch.len(), 6, "two adds, one of them placed again when it became smaller, one replacement, two takers");
}

fn error(day: &[Vec<u8>], stock: Option<&str>) -> String {
    messages("day", &day.concat(), stock, 100).expect_err("a wrong file").to_string()
}

#[test]
fn a_file_of_several_stocks_wants_one_named() {
    assert_eq!(error(&day(), None), "day, byte 0: stock: the file has orders of 2 stocks (\"AAPL\", …): say which");
    let one: Vec<Vec<u8>> = day().into_iter().enumerate().filter(|(n, _)| *n != 4).map(|(_, message)| message).collect();
    assert_eq!(messages("day", &one.concat(), None, 100), messages("day", &day().concat(), Some("AAPL"), 100));
}

#[test]
fn a_wrong_message_is_named_by_file_byte_and_field() {
    let first = |bytes: Vec<u8>| error(&[bytes], Some("AAPL"));
    assert_eq!(first(vec![0]), "day, byte 0: length: the file ends in it");
    assert_eq!(first(vec![0, 12, b'S']), "day, byte 0: length: 12 bytes, and the file ends after 1");
    assert_eq!(first(message(b'Z', 0, 1, &[])), "day, byte 2: message type: 'Z' is none of ITCH 5.0");
    assert_eq!(first(message(b'D', 7, 1, &[&[0; 4]])), "day, byte 0: length: 15 bytes: a message of type 'D' has 19");
    assert_eq!(error(&[day()[1].clone(), day()[0].clone()], Some("AAPL")), "day, byte 48: timestamp: 999 is before that of the message above, 1000");
    assert_eq!(first(add(7, 1, 1, b'b', 1, AAPL, 100)), "day, byte 21: buy/sell indicator: 'b' is not B or S");
    assert_eq!(first(add(7, 1, 1, b'B', 0, AAPL, 100)), "day, byte 22: shares: 0 is not positive");
    assert_eq!(first(add(7, 1, 1, b'B', 1, AAPL, 0)), "day, byte 34: price: 0 is not positive");
    assert_eq!(first(add(7, 1, 1, b'B', 1, AAPL, 150)), "day, byte 34: price: 150 is not a multiple of the tick, 100");
    let one = add(7, 1, 1, b'B', 5, AAPL, 100);
    assert_eq!(error(&[one.clone(), one.clone()], Some("AAPL")), "day, byte 51: order reference number: 1 is the number of an order that rests");
    let much = message(b'E', 7, 2, &[&1_u64.to_be_bytes(), &6_u32.to_be_bytes(), &[0; 8]]);
    assert_eq!(error(&[one, much], Some("AAPL")), "day, byte 59: shares: 6 of an order that has 5");
}
