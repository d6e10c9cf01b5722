//! What a user does over HTTP, again until he is told: an answer in doubt is asked for again with the same client order id.

use services::api_gateway::replies::OrderReply;
use services::client::{Answer, Client, NewOrder};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::{AccountId, Asset, OrderType, Side, Symbol, SymbolSpec, TimeInForce};

/// The symbol that comes with the product.
pub fn btcusd() -> SymbolSpec {
    SymbolSpec {
        symbol: Symbol(*b"BTCUSD"),
        base: Asset(*b"BTC"),
        quote: Asset(*b"USD"),
        base_per_lot: 1_000,
        quote_per_tick_lot: 1,
        price_ticks_max: 100_000_000,
        quantity_lots_max: 1_000_000_000,
        price_decimals: 2,
        tick_step: 1,
        quantity_decimals: 5,
        lot_step: 1,
    }
}

/// A client of one account.
pub fn client(gateway: &str, account: u64) -> Client {
    Client::new(vec![gateway.to_owned()], AccountId(account), 3_000)
}

/// A limit order, good till cancelled.
pub fn limit(client_order_id: &str, side: Side, price_ticks: i64, quantity_lots: i64) -> NewOrder {
    NewOrder { client_order_id: client_order_id.to_owned(), side, order_type: OrderType::Limit, time_in_force: TimeInForce::Gtc, price_ticks, quantity_lots }
}

/// What a user asks.
#[derive(Debug, Clone, Copy)]
pub enum Call<'a> {
    Place(&'a NewOrder),
    Cancel(&'a str),
    Query(&'a str),
}

/// How long a user asks before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until it is told; `Err`: the code of a refusal.
pub async fn until_told(client: &mut Client, call: Call<'_>) -> Result<OrderReply, i32> {
    let spec = btcusd();
    let by = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < by, "{call:?} is not answered for {PATIENCE:?}");
        let answer = match call {
            Call::Place(order) => client.place(&spec, order).await,
            Call::Cancel(client_order_id) => client.cancel(&spec, client_order_id).await,
            Call::Query(client_order_id) => client.query(&spec, client_order_id).await,
        };
        match answer {
            Answer::Done(reply) => return Ok(reply),
            // -1001 and -1003: not done now, and may be asked again.
            Answer::Refused { code: -1001 | -1003, .. } | Answer::Unknown => tokio::time::sleep(Duration::from_millis(20)).await,
            Answer::Refused { code, .. } => return Err(code),
        }
    }
}

/// Asks until the order has executed so many lots.
pub async fn until_executed(client: &mut Client, client_order_id: &str, lots: i64) -> OrderReply {
    loop {
        let reply = until_told(client, Call::Query(client_order_id)).await.expect("an acknowledged order is known");
        if minor_units(&reply.executed_qty) >= lots {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Free and locked of every asset, summed over accounts 1 to `accounts`, in minor units.
pub async fn balances(gateway: &str, accounts: u64) -> BTreeMap<String, (i64, i64)> {
    let mut sums = BTreeMap::new();
    for account in 1..=accounts {
        let mut client = client(gateway, account);
        let reply = loop {
            if let Answer::Done(reply) = client.account().await {
                break reply;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        for balance in reply.balances {
            let sum = sums.entry(balance.asset).or_insert((0, 0));
            sum.0 += minor_units(&balance.free);
            sum.1 += minor_units(&balance.locked);
        }
    }
    sums
}

/// All digits as one number: every amount of an asset has the same decimals.
pub fn minor_units(text: &str) -> i64 {
    text.replace('.', "").parse().expect("digits and a point")
}
