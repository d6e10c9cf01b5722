//! Frames: any bytes, and any bytes under a right length and checksum, so that the archive is met.

use crate::Target;
use wire::frame::{HEADER_LEN, decode, encode};
use wire::{AccountId, Body, Correlation, OrderCommand, OrderEvent, OrderId, OrderType, RejectReason, Side, Stamp, Symbol, SystemTick, TimeInForce};
use wire::{Trade, TradeList};

pub const TARGET: Target = Target { name: "frame", about: "the value of a log record", seeds, run };

fn seeds() -> Vec<Vec<u8>> {
    let (order_id, account, symbol) = (OrderId(7), AccountId(9), Symbol(*b"BTCUSD"));
    let (side, order_type, time_in_force) = (Side::Buy, OrderType::Limit, TimeInForce::Gtc);
    let trade = Trade { trade_id: 1, maker_order_id: order_id, maker_account: account, price_ticks: 5, quantity_lots: 6 };
    let list = TradeList { symbol, taker_order_id: order_id, taker_account: account, taker_side: side, part: 0, trades: vec![trade; 2] };
    let bodies = [
        Body::SystemTick(SystemTick { sequence: 1, time_ms: 2 }),
        Body::OrderCommand(OrderCommand::Place { order_id, account, symbol, side, order_type, time_in_force, price_ticks: 3, quantity_lots: 4 }),
        Body::OrderEvent(OrderEvent::Rejected { order_id, account, symbol, quantity_lots: 4, reason: RejectReason::CannotFill }),
        Body::Trades(list),
    ];
    bodies.iter().map(|body| encode(&Stamp { correlation: Correlation([3; 16]), ..Stamp::default() }, body).to_vec()).collect()
}

fn run(input: &[u8]) -> String {
    format!("{} / {}", read(input), sealed(input).map_or_else(String::new, |frame| read(&frame)))
}

fn read(frame: &[u8]) -> String {
    match decode(frame) {
        Ok((stamp, body)) => {
            let again = encode(&stamp, &body);
            assert_eq!(decode(&again).expect("what was written can be read"), (stamp, body.clone()), "read, written and read again");
            // Symbols and names print only if they keep their rules.
            format!("{body:?}").split(['{', '(']).take(2).collect()
        }
        Err(error) => format!("{error:?}").split(' ').take(1).collect(),
    }
}

/// The same with its own length and checksum.
fn sealed(input: &[u8]) -> Option<Vec<u8>> {
    let mut frame = input.to_vec();
    let body = u32::try_from(frame.len().checked_sub(HEADER_LEN)?).ok()?;
    frame[4..8].copy_from_slice(&body.to_le_bytes());
    frame[8..12].fill(0);
    let crc = crc32c::crc32c(&frame);
    frame[8..12].copy_from_slice(&crc.to_le_bytes());
    Some(frame)
}
