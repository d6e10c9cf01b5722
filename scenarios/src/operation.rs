//! What clients do, as it stands in the history: the body of `Event::Client`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::order::{OrderType, Side, TimeInForce};
use wire::{OrderStatus, Symbol};

/// One request of a client and, at its end, the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Whose money.
    pub account: u64,
    /// Where it was sent: `api_gateway-1`.
    pub gateway: String,
    /// From 0; a retry after an unknown outcome has the same client order id and a higher number.
    pub attempt: u32,
    /// Asked after everything was healed and settled: the answer must be the log's.
    pub last_word: bool,
    /// What is asked.
    pub ask: Ask,
    /// `None` with `Invoke` and `Unknown`.
    pub answer: Option<Answer>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Ask {
    /// `price_ticks` is 0 for a market order. Sides and kinds are the wire's numbers.
    Place {
        client_order_id: String,
        symbol: String,
        side: u8,
        order_type: u8,
        time_in_force: u8,
        price_ticks: i64,
        quantity_lots: i64,
    },
    Cancel {
        client_order_id: String,
        symbol: String,
    },
    Query {
        client_order_id: String,
        symbol: String,
    },
    Balances,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Answer {
    /// An order's state; `status` is the wire's number.
    Order { order_id: u64, status: u8, executed_lots: i64, executed_quote: i64 },
    /// Binance's code and message.
    Refused { code: i64, message: String },
    /// (asset, free, locked) in minor units, by asset, none that is zero.
    Balances(Vec<(String, i64, i64)>),
}

impl Operation {
    /// As the body of an event.
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("an operation has no unserialisable part"))
    }

    /// From the body of an event of this build.
    pub fn decode(body: &[u8]) -> Self {
        postcard::from_bytes(body).expect("only this type is written to the history as a client's operation")
    }
}

impl Ask {
    /// A new order.
    pub fn place(
        client_order_id: &str,
        symbol: Symbol,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        price_ticks: i64,
        quantity_lots: i64,
    ) -> Self {
        Ask::Place {
            client_order_id: client_order_id.to_owned(),
            symbol: symbol.as_str().to_owned(),
            side: side as u8,
            order_type: order_type as u8,
            time_in_force: time_in_force as u8,
            price_ticks,
            quantity_lots,
        }
    }

    /// The order that is meant, if it is about one.
    pub fn client_order_id(&self) -> Option<&str> {
        match self {
            Ask::Place { client_order_id, .. } | Ask::Cancel { client_order_id, .. } | Ask::Query { client_order_id, .. } => Some(client_order_id),
            Ask::Balances => None,
        }
    }
}

/// The wire's status of its number.
pub fn status(number: u8) -> OrderStatus {
    match number {
        0 => OrderStatus::New,
        1 => OrderStatus::PartiallyFilled,
        2 => OrderStatus::Filled,
        3 => OrderStatus::Canceled,
        4 => OrderStatus::Rejected,
        5 => OrderStatus::Expired,
        _ => panic!("no order status has the number {number}"),
    }
}
