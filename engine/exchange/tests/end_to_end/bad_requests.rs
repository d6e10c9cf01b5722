//! Bad input over HTTP and on the log's socket: each gets Binance's code and a message that names the field, the process goes on, nothing is changed.

use crate::process::Place;
use crate::trading::{Call, balances, client, limit, until_told};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wire::Side;

/// Bytes in, bytes out, on a connection of their own.
fn raw(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has timeouts");
    stream.write_all(request).expect("it reads");
    let mut answer = Vec::new();
    // A peer that closes with our bytes unread resets the connection; what it said before counts.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request of account 1 and its answer: status, code, message.
fn ask(address: &str, method: &str, target: &str, body: &str) -> (u16, i64, String) {
    let request = format!("{method} {target} HTTP/1.1\r\nhost: x\r\nx-mbx-apikey: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    read(&raw(address, request.as_bytes()))
}

fn read(answer: &str) -> (u16, i64, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer in HTTP: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("a body in JSON: {answer:?}"));
    (status, body["code"].as_i64().unwrap_or(0), body["msg"].as_str().unwrap_or_default().to_owned())
}

const ORDER: &str = "symbol=BTCUSD&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=100.00";

/// One change to a good order, the status, the code, and what the message must hold.
const BAD_ORDERS: [(&str, &str, u16, i64, &str); 20] = [
    ("symbol=BTCUSD&", "", 400, -1102, "'symbol'"),
    ("BTCUSD", "ETHUSD", 400, -1121, "symbol"),
    ("BTCUSD", "BTC/USD", 400, -1121, "symbol"),
    ("side=BUY&", "", 400, -1102, "'side'"),
    ("BUY", "HOLD", 400, -1117, "side"),
    ("type=LIMIT&", "", 400, -1102, "'type'"),
    ("LIMIT", "STOP_LOSS", 400, -1116, "orderType"),
    ("GTC", "GTD", 400, -1115, "timeInForce"),
    ("price=100.00", "", 400, -1102, "'price'"),
    ("100.00", "100.001", 400, -1013, "PRICE_FILTER"),
    ("100.00", "0", 400, -1013, "PRICE_FILTER"),
    ("100.00", "1000000.01", 400, -1013, "PRICE_FILTER"),
    ("100.00", "1e2", 400, -1100, "'price'"),
    ("quantity=1", "quantity=0", 400, -1013, "LOT_SIZE"),
    ("quantity=1", "quantity=0.000001", 400, -1013, "LOT_SIZE"),
    ("quantity=1", "quantity=99999999999999999999", 400, -1013, "LOT_SIZE"),
    ("quantity=1", "quantity=999999999999999999999", 400, -1100, "'quantity'"),
    ("quantity=1", "quantity=1&quantity=1", 400, -1101, "Duplicate"),
    ("quantity=1", "quantity=10000&newClientOrderId=too-dear", 400, -2010, "balance"),
    ("quantity=1", "quantity=1&newClientOrderId=a b", 400, -1100, "'newClientOrderId'"),
];

#[tokio::test]
async fn every_bad_request_is_told_why_and_the_exchange_goes_on() {
    let place = Place::new();
    let mut up = place.up();
    up.args(["--deposit", "1:USD:100000000"]);
    let mut exchange = crate::process::Exchange::spawn(up);
    let mut trader = client(&place.http, 1);
    until_told(&mut trader, Call::Place(&limit("before", Side::Buy, 100, 1))).await.expect("a good order is taken");
    let before = balances(&place.http, 1).await;

    for (from, to, status, code, word) in BAD_ORDERS {
        let parameters = ORDER.replacen(from, to, 1).replace(' ', "%20");
        for (target, body) in [(format!("/api/v3/order?{parameters}"), ""), ("/api/v3/order".to_owned(), parameters.as_str())] {
            let (told_status, told_code, msg) = ask(&place.http, "POST", &target, body);
            assert_eq!((told_status, told_code), (status, code), "{from:?} -> {to:?}: {msg}");
            assert!(msg.contains(word), "{from:?} -> {to:?}: {msg:?} does not name {word}");
        }
    }
    bad_http(&place.http);
    bad_frames(&place.log);

    assert!(exchange.is_running());
    assert_eq!(balances(&place.http, 1).await, before, "nothing was held for an order that was refused");
    until_told(&mut trader, Call::Place(&limit("after", Side::Buy, 100, 1))).await.expect("a good order is taken");
    until_told(&mut trader, Call::Query("before")).await.expect("and the first is known");
    assert_eq!(balances(&place.http, 1).await, BTreeMap::from([("USD".to_owned(), (100_000_000 - 200, 200))]));
    exchange.stop();
}

/// What is wrong before there are parameters.
fn bad_http(http: &str) {
    let status = |request: &[u8]| raw(http, request).split(' ').nth(1).map(str::to_owned);
    for malformed in
        [&b"HELLO\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", b"GET /api/v3/order HTTP/1.1\r\nno colon\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"]
    {
        assert_eq!(status(malformed).as_deref(), Some("400"), "{}", malformed.escape_ascii());
    }
    let (status, code, msg) = ask(http, "POST", "/api/v3/order", &format!("{ORDER}&note={}", "x".repeat(9_000)));
    assert_eq!((status, code), (413, -1101), "{msg}");
    assert!(msg.contains("body") && msg.contains("8192"), "{msg}");
    assert_eq!(ask(http, "PUT", "/api/v3/order", ""), (405, -1020, "This operation is not supported.".to_owned()));
    assert_eq!(ask(http, "GET", "/api/v3/orders", ""), (404, -1020, "This operation is not supported.".to_owned()));
    let (status, code, msg) = ask(http, "GET", "/api/v3/order?symbol=BTCUSD&origClientOrderId=%zz", "");
    assert_eq!((status, code), (400, -1100), "{msg}");
    let anonymous = read(&raw(http, b"GET /api/v3/account HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert_eq!((anonymous.0, anonymous.1), (401, -2014));
    // A client that goes away halfway through its body.
    let mut stream = TcpStream::connect(http).expect("it listens");
    stream.write_all(b"POST /api/v3/order HTTP/1.1\r\nhost: x\r\nx-mbx-apikey: 1\r\ncontent-length: 100\r\n\r\nsymbol=").expect("it reads");
}

/// On the log's socket: no frame, a frame that is too long, a request of no kind. Each ends its own connection only.
fn bad_frames(log: &str) {
    let too_long = [u32::MAX.to_le_bytes(), [1, 0, 0, 0], [0; 4]].concat();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &too_long, &[0xff; 200]] {
        raw(log, bytes);
    }
    let unknown_kind = [&4_u32.to_le_bytes()[..], &0x7777_u16.to_le_bytes(), &1_u32.to_le_bytes(), b"junk"].concat();
    let mut stream = TcpStream::connect(log).expect("it listens");
    stream.write_all(&unknown_kind).expect("it reads");
}
