//! LOBSTER's two files, a zero byte between them, read and turned into clients' orders.

use crate::Target;
use services::flow::player;
use wire::TimeInForce;

pub const TARGET: Target = Target { name: "lobster", about: "recorded order flow, LOBSTER's text", seeds, run };

fn seeds() -> Vec<Vec<u8>> {
    let messages = "10,1,7,5,10000,1\n10.0015,1,8,9,10100,-1\n10.002,2,8,4,10100,-1\n11,4,8,2,10100,-1\n11.5,4,99,1,9900,1\n12,3,8,3,10100,-1";
    let hidden = "34200.1,5,0,7,5853350,-1\n34201,7,0,0,-1,-1";
    let rows = "1,1,7,5,10000,1\n2,5,0,7,1,1\x00300,7,200,5,9999999999,0,100,6\n300,7,200,5,400,1,100,6";
    [messages, hidden, rows].map(|text| text.as_bytes().to_vec()).to_vec()
}

fn run(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let (messages, rows) = text.split_once('\0').map_or((&*text, None), |(messages, rows)| (messages, Some(rows)));
    match player::read(("messages", messages.as_bytes()), rows.map(|rows| ("rows", rows)), None, 100) {
        Ok(orders) => checked(&orders),
        Err(error) => error.to_string(),
    }
}

/// Which orders they are, if they are orders.
pub(super) fn checked(orders: &[player::Order]) -> String {
    for order in orders {
        assert!(order.price_ticks >= 1 && order.lots >= 1, "{order:?}");
        assert!(order.cancel_at_ms.is_none_or(|cancel| cancel >= order.at_ms), "{order:?} is cancelled before it is placed");
    }
    assert!(orders.is_sorted_by_key(|order| order.at_ms), "orders in order of time");
    let cancels = orders.iter().any(|order| order.cancel_at_ms.is_some());
    let takers = orders.iter().any(|order| order.time_in_force == TimeInForce::Ioc);
    format!("{} orders, cancels {cancels}, takers {takers}", ["no", "one", "more"][orders.len().min(2)])
}
