//! A client of the gateway: one persistent HTTP connection, typed calls, a deadline on each. For simulated users, the flow player and end-to-end tests.
//!
//! It repeats nothing by itself. Whoever hears [`Answer::Unknown`] places again with the *same* client order id, or queries; the next call goes to the
//! next gateway of the list.

use crate::api_gateway::error::STATUS_UNKNOWN;
use crate::api_gateway::replies::{AccountReply, OrderReply, order_type_text, side_text, time_in_force_text};
use crate::decimal::{lots_to_quantity, ticks_to_price};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use runtime::task::{JoinHandle, spawn};
use runtime::time::timeout;
use serde::de::DeserializeOwned;
use std::time::Duration;
use wire::{AccountId, OrderType, Side, SymbolSpec, TimeInForce};

/// Most bytes of a reply.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was done.
    Done(T),
    /// It was not done and will not be: Binance's code and words.
    Refused {
        /// Code.
        code: i32,
        /// Words.
        msg: String,
    },
    /// It may have been done, or may still be: no answer in time, a broken connection, or the gateway says so.
    Unknown,
}

impl<T> Answer<T> {
    /// It was done.
    pub fn is_done(&self) -> bool {
        matches!(self, Answer::Done(_))
    }
}

/// A new order, in ticks and lots. A market order has no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// 1 to 36 characters of `[a-zA-Z0-9-_]`.
    pub client_order_id: String,
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, post-only.
    pub order_type: OrderType,
    /// Of a limit order.
    pub time_in_force: TimeInForce,
    /// Of a limit or post-only order.
    pub price_ticks: i64,
    /// Lots.
    pub quantity_lots: i64,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    gateways: Vec<String>,
    at: usize,
    account: AccountId,
    deadline_ms: u64,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    requests: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// A client of an account. `gateways`: `host:port` each, at least one; every call has `deadline_ms` from its start.
    pub fn new(gateways: Vec<String>, account: AccountId, deadline_ms: u64) -> Self {
        assert!(!gateways.is_empty(), "a client knows at least one gateway");
        Client { gateways, at: 0, account, deadline_ms, connection: None }
    }

    /// Places an order, or hears what became of the first one of this client order id.
    pub async fn place(&mut self, spec: &SymbolSpec, order: &NewOrder) -> Answer<OrderReply> {
        let mut query = format!(
            "symbol={}&side={}&type={}&quantity={}&newClientOrderId={}",
            spec.symbol,
            side_text(order.side),
            order_type_text(order.order_type),
            lots_to_quantity(spec, order.quantity_lots),
            order.client_order_id,
        );
        if order.order_type != OrderType::Market {
            query += &format!("&price={}", ticks_to_price(spec, order.price_ticks));
        }
        if order.order_type == OrderType::Limit {
            query += &format!("&timeInForce={}", time_in_force_text(order.time_in_force));
        }
        self.call(Method::POST, &format!("/api/v3/order?{query}")).await
    }

    /// Asks for a cancel; `Done` says that it was sent on behind the order.
    pub async fn cancel(&mut self, spec: &SymbolSpec, client_order_id: &str) -> Answer<OrderReply> {
        self.call(Method::DELETE, &format!("/api/v3/order?symbol={}&origClientOrderId={client_order_id}", spec.symbol)).await
    }

    /// The order as its account knows it.
    pub async fn query(&mut self, spec: &SymbolSpec, client_order_id: &str) -> Answer<OrderReply> {
        self.call(Method::GET, &format!("/api/v3/order?symbol={}&origClientOrderId={client_order_id}", spec.symbol)).await
    }

    /// The account's balances.
    pub async fn account(&mut self) -> Answer<AccountReply> {
        self.call(Method::GET, "/api/v3/account").await
    }

    /// One call with a target as it stands in the request line.
    pub async fn call<T: DeserializeOwned>(&mut self, method: Method, target: &str) -> Answer<T> {
        let deadline = Duration::from_millis(self.deadline_ms);
        let answer = match timeout(deadline, self.exchange(method, target)).await {
            Ok(Some((status, body))) => read(status, &body),
            Ok(None) | Err(_) => Answer::Unknown,
        };
        if matches!(answer, Answer::Unknown) {
            // An answer that comes late must not be taken for the next one's.
            self.connection = None;
            self.at = (self.at + 1) % self.gateways.len();
        }
        answer
    }

    /// Status and body; `None` if the connection broke.
    async fn exchange(&mut self, method: Method, target: &str) -> Option<(StatusCode, Bytes)> {
        let gateway = self.gateways[self.at].clone();
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &gateway)
            .header("X-MBX-APIKEY", self.account.0.to_string())
            .body(Full::new(Bytes::new()))
            .expect("method, target and headers are ours");
        let connection = self.connected(&gateway).await?;
        let response = connection.requests.send_request(request).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await.ok()?.to_bytes();
        Some((status, body))
    }

    async fn connected(&mut self, gateway: &str) -> Option<&mut Connection> {
        let is_usable = match &mut self.connection {
            Some(connection) => connection.requests.ready().await.is_ok(),
            None => false,
        };
        if !is_usable {
            self.connection = None;
            let stream = runtime::net::connect(gateway).await.ok()?;
            let (requests, connection) = handshake(TokioIo::new(stream)).await.ok()?;
            // How it ends, the requests say.
            let task = spawn(async move { drop(connection.await) });
            self.connection = Some(Connection { requests, task });
        }
        self.connection.as_mut()
    }
}

#[derive(serde::Deserialize)]
struct Refusal {
    code: i32,
    msg: String,
}

/// 5xx is unknown unless the code says that nothing was done.
fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Answer<T> {
    if status.is_success() {
        return serde_json::from_slice(body).map_or(Answer::Unknown, Answer::Done);
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { code: STATUS_UNKNOWN, .. }) | Err(_) => Answer::Unknown,
        Ok(Refusal { code, .. }) if status.is_server_error() && code != crate::api_gateway::error::NOT_DONE => Answer::Unknown,
        Ok(Refusal { code, msg }) => Answer::Refused { code, msg },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_gateway::replies::AccountReply;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_unknown_and_what_is_not() {
        let table = [
            (200, "7", Answer::Done(7)),
            (200, "{", Answer::Unknown),
            (400, r#"{"code":-2010,"msg":"m"}"#, Answer::Refused { code: -2010, msg: "m".into() }),
            (429, r#"{"code":-1003,"msg":"m"}"#, Answer::Refused { code: -1003, msg: "m".into() }),
            (503, r#"{"code":-1001,"msg":"m"}"#, Answer::Refused { code: -1001, msg: "m".into() }),
            (504, r#"{"code":-1007,"msg":"m"}"#, Answer::Unknown),
            (500, r#"{"code":-1000,"msg":"m"}"#, Answer::Unknown),
            (502, "<html>", Answer::Unknown),
        ];
        for (status, body, expected) in table {
            assert_eq!(read::<u32>(StatusCode::from_u16(status).expect("a status"), body.as_bytes()), expected, "{status} {body}");
        }
    }

    /// On the log a value is a frame of its topic; JSON is spoken at this edge alone. A newer gateway may say more than this client knows, and nobody who
    /// names a type in a message makes one.
    #[test]
    fn b11_values_are_json_objects_unknown_fields_are_ignored_and_no_type_is_named_by_a_message() {
        let reply = AccountReply::of(7, &[], &BTreeMap::new());
        let mut value = serde_json::to_value(&reply).expect("a reply is plain values");
        let fields = value.as_object_mut().expect("a value is a JSON object");
        fields.insert("@class".into(), "java.lang.Runtime".into());
        fields.insert("@type".into(), "OrderReply".into());
        fields.insert("newer".into(), serde_json::json!({ "uid": 8 }));
        assert_eq!(read(StatusCode::OK, value.to_string().as_bytes()), Answer::Done(reply));

        value.as_object_mut().expect("it is still one").remove("uid");
        assert_eq!(read::<AccountReply>(StatusCode::OK, value.to_string().as_bytes()), Answer::Unknown, "a field that is wanted is not made up");
        assert_eq!(read::<AccountReply>(StatusCode::OK, b"[7]"), Answer::Unknown, "not an object");
    }
}
