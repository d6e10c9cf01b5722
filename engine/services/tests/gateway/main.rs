//! The gateway over real sockets, with the real machines on a log in memory.

mod exchange;
mod memory_log;
mod topic_matrix;

use exchange::{ANN, BOB, Exchange, btcusd};
use hyper::Method;
use memory_log::Sends;
use services::api_gateway::replies::OrderReply;
use services::client::{Answer, Client, NewOrder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{OrderType, Side, TimeInForce};

fn limit(client_order_id: &str, side: Side, price_ticks: i64, quantity_lots: i64) -> NewOrder {
    let (order_type, time_in_force) = (OrderType::Limit, TimeInForce::Gtc);
    NewOrder { client_order_id: client_order_id.into(), side, order_type, time_in_force, price_ticks, quantity_lots }
}

fn done<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(reply) => reply,
        other => panic!("not done: {other:?}"),
    }
}

fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> i32 {
    match answer {
        Answer::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

/// Asks until the order is as `is_so` wants it.
async fn until(client: &mut Client, client_order_id: &str, is_so: impl Fn(&OrderReply) -> bool) -> OrderReply {
    loop {
        let order = done(client.query(&btcusd(), client_order_id).await);
        if is_so(&order) {
            return order;
        }
    }
}

async fn balances(client: &mut Client) -> Vec<(String, String, String)> {
    done(client.account().await).balances.into_iter().map(|balance| (balance.asset, balance.free, balance.locked)).collect()
}

fn balance(asset: &str, free: &str, locked: &str) -> (String, String, String) {
    (asset.into(), free.into(), locked.into())
}

#[tokio::test]
async fn two_orders_trade_and_everybody_learns_it() {
    let exchange = Exchange::open(2_000, 100).await;
    let (mut ann, mut bob) = (exchange.client(ANN), exchange.client(BOB));
    assert_eq!(balances(&mut ann).await, [balance("BTC", "10.000000", "0.000000"), balance("USD", "1000.000000", "0.000000")]);
    let placed = done(ann.place(&btcusd(), &limit("a-1", Side::Buy, 10_050, 1_500)).await);
    assert_eq!((placed.status.as_str(), placed.price.as_str(), placed.orig_qty.as_str(), placed.executed_qty.as_str()), ("NEW", "100.50", "1.500", "0.000"));
    assert_eq!(balances(&mut ann).await[1], balance("USD", "849.250000", "150.750000"));
    done(bob.place(&btcusd(), &limit("b-1", Side::Sell, 10_000, 500)).await);
    let order = until(&mut bob, "b-1", |order| order.status == "FILLED").await;
    assert_eq!((order.executed_qty.as_str(), order.cummulative_quote_qty.as_str()), ("0.500", "50.250000"), "at the resting price");
    let order = until(&mut ann, "a-1", |order| order.status == "PARTIALLY_FILLED").await;
    assert_eq!((order.order_id, order.executed_qty.as_str(), order.is_working), (placed.order_id, "0.500", Some(true)));
    let cancelled = done(ann.cancel(&btcusd(), "a-1").await);
    assert_eq!((cancelled.status.as_str(), cancelled.orig_client_order_id.as_deref()), ("PENDING_CANCEL", Some("a-1")));
    until(&mut ann, "a-1", |order| order.status == "CANCELED").await;
    assert_eq!(balances(&mut ann).await, [balance("BTC", "10.500000", "0.000000"), balance("USD", "949.750000", "0.000000")]);
    assert_eq!(balances(&mut bob).await, [balance("BTC", "9.500000", "0.000000"), balance("USD", "1050.250000", "0.000000")]);
    exchange.close().await;
}

#[tokio::test]
async fn a_name_is_an_order() {
    let exchange = Exchange::open(2_000, 100).await;
    let mut ann = exchange.client(ANN);
    let first = done(ann.place(&btcusd(), &limit("same", Side::Buy, 10_000, 1)).await);
    let second = done(ann.place(&btcusd(), &limit("same", Side::Sell, 20_000, 2)).await);
    assert_eq!(second, first);
    let other = done(exchange.client(BOB).place(&btcusd(), &limit("same", Side::Buy, 10_000, 1)).await);
    assert_ne!(other.order_id, first.order_id, "names are per account");
    let generated = done(ann.call::<OrderReply>(Method::POST, "/api/v3/order?symbol=BTCUSD&side=BUY&type=LIMIT_MAKER&quantity=1&price=1").await);
    assert_eq!(generated.client_order_id.len(), 32, "{generated:?}");
    exchange.close().await;
}

#[tokio::test]
async fn what_is_refused_says_why_and_changes_nothing() {
    let exchange = Exchange::open(2_000, 100).await;
    let mut ann = exchange.client(ANN);
    let order = |query: &str| format!("/api/v3/order?{query}");
    let table = [
        (Method::POST, order("symbol=BTCUSD&side=BUY&type=LIMIT&timeInForce=GTC&quantity=100&price=100"), -2010),
        (Method::POST, order("symbol=ETHUSD&side=BUY&type=MARKET&quantity=1"), -1121),
        (Method::POST, order("symbol=BTCUSD&side=BUY&type=MARKET&quantity=0"), -1013),
        (Method::POST, order("symbol=BTCUSD&side=BUY&type=MARKET&quantity=1&quantity=2"), -1101),
        (Method::POST, order("symbol=BTCUSD&side=BUY&type=MARKET"), -1102),
        (Method::DELETE, order("symbol=BTCUSD&origClientOrderId=nobody"), -2011),
        (Method::GET, order("symbol=BTCUSD&origClientOrderId=nobody"), -2013),
        (Method::PUT, order(""), -1020),
        (Method::GET, "/api/v3/nothing".into(), -1020),
    ];
    for (method, target, code) in table {
        assert_eq!(refused(ann.call::<serde_json::Value>(method.clone(), &target).await), code, "{method} {target}");
    }
    assert_eq!(balances(&mut ann).await, [balance("BTC", "10.000000", "0.000000"), balance("USD", "1000.000000", "0.000000")]);
    exchange.close().await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_unknown_and_a_repeat_tells_the_truth() {
    let exchange = Exchange::open(100, 100).await;
    let mut ann = exchange.client(ANN);
    exchange.works.send_replace(false);
    assert_eq!(ann.place(&btcusd(), &limit("a", Side::Buy, 10_000, 1)).await, Answer::Unknown);
    exchange.works.send_replace(true);
    let order = done(ann.place(&btcusd(), &limit("a", Side::Buy, 10_000, 1)).await);
    assert_eq!(balances(&mut ann).await[1], balance("USD", "999.900000", "0.100000"), "held once");
    assert_eq!(done(ann.query(&btcusd(), "a").await).order_id, order.order_id);
    exchange.close().await;
}

#[tokio::test]
async fn a_send_without_a_verdict_is_known_by_its_answer_or_not_at_all() {
    let exchange = Exchange::open(200, 100).await;
    let mut ann = exchange.client(ANN);
    exchange.log.set_sends(Sends::LoseTheAck);
    done(ann.place(&btcusd(), &limit("landed", Side::Buy, 10_000, 1)).await);
    exchange.log.set_sends(Sends::AreLost);
    assert_eq!(ann.place(&btcusd(), &limit("lost", Side::Buy, 10_000, 1)).await, Answer::Unknown);
    exchange.log.set_sends(Sends::AreRefused);
    assert_eq!(refused(ann.place(&btcusd(), &limit("refused", Side::Buy, 10_000, 1)).await), -1001);
    exchange.log.set_sends(Sends::Work);
    for name in ["lost", "refused"] {
        assert_eq!(refused(ann.query(&btcusd(), name).await), -2013, "{name}");
    }
    done(ann.place(&btcusd(), &limit("lost", Side::Buy, 10_000, 1)).await);
    exchange.close().await;
}

#[tokio::test]
async fn too_many_at_once_are_turned_away() {
    let exchange = Exchange::open(2_000, 1).await;
    let (mut ann, mut bob) = (exchange.client(ANN), exchange.client(BOB));
    exchange.works.send_replace(false);
    let mut changes = exchange.log.changes();
    changes.mark_unchanged();
    let waits = runtime::task::spawn(async move { ann.account().await });
    changes.changed().await.expect("Ann asks");
    let Answer::Refused { code: -1003, msg: refusal } = bob.account().await else { panic!("there is one seat") };
    assert!(refusal.starts_with("Too many requests"), "{refusal}");
    exchange.works.send_replace(true);
    done(waits.await.expect("it does not panic"));
    done(bob.account().await);
    exchange.close().await;
}

/// Sends bytes, closes nothing, and reads one response of at most a read's length.
async fn raw(exchange: &Exchange, request: &str) -> String {
    let mut stream = runtime::net::connect(&exchange.address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    stream.flush().await.expect("it reads");
    let mut response = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer).await.expect("it answers");
        response.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&response).into_owned();
        let head_end = text.find("\r\n\r\n").map(|at| at + 4);
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if count == 0 || head_end.zip(length).is_some_and(|(head, length)| text.len() >= head + length) {
            return text;
        }
    }
}

#[tokio::test]
async fn forms_bodies_and_headers_as_public_clients_send_them() {
    let exchange = Exchange::open(2_000, 100).await;
    let form = "newClientOrderId=x-1&price=100.00&quantity=1&recvWindow=10000&side=BUY&type=LIMIT&timeInForce=GTC&symbol=BTCUSD&timestamp=1700000000000";
    let post = |body: &str| {
        let head = "Host: h\r\nx-mbx-APIKEY: 1\r\nContent-Type: application/x-www-form-urlencoded";
        format!("POST /api/v3/order HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let response = raw(&exchange, &post(form)).await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.contains(r#""clientOrderId":"x-1""#), "{response}");
    assert!(response.contains("content-type: application/json") && !response.to_lowercase().contains("\r\ndate:"), "{response}");
    let body = "origClientOrderId=x-1&timestamp=1";
    let delete = format!("DELETE /api/v3/order?symbol=BTCUSD HTTP/1.1\r\nHost: h\r\nX-MBX-APIKEY: 1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert!(raw(&exchange, &delete).await.contains(r#""status":"PENDING_CANCEL""#));
    let no_key = "GET /api/v3/account HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(raw(&exchange, no_key).await.starts_with("HTTP/1.1 401 "));
    let too_long = raw(&exchange, &post(&"a=1&".repeat(4_096))).await;
    assert!(too_long.starts_with("HTTP/1.1 413 ") && too_long.contains("-1101"), "{too_long}");
    let not_http = raw(&exchange, "BUY ALL THE THINGS\r\n\r\n").await;
    assert!(not_http.starts_with("HTTP/1.1 400 "), "{not_http}");
    assert_eq!(raw(&exchange, "GET /api/v3/ping HTTP/1.1\r\nHost: h\r\n\r\n").await.lines().last(), Some("{}"), "it goes on");
    exchange.close().await;
}
