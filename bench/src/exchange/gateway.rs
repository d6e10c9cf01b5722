//! One account on one connection, as plainly as HTTP allows: what is measured is the exchange, not a client's library.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An account's connection.
pub struct Account {
    number: u64,
    host: String,
    stream: BufReader<TcpStream>,
}

/// What the gateway said.
#[derive(Debug)]
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// How long an answer may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

impl Account {
    /// Connects.
    pub fn connect(gateway: &str, number: u64) -> Result<Self> {
        let stream = TcpStream::connect(gateway).with_context(|| gateway.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Account { number, host: gateway.to_owned(), stream: BufReader::new(stream) })
    }

    /// Places a small order far below the market, which rests; the answer comes when the account's decision is durable.
    pub fn place(&mut self, client_order_id: &str) -> Result<Answer> {
        let order = "symbol=BTCUSD&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00001&price=1.00";
        self.call("POST", &format!("/api/v3/order?{order}&newClientOrderId={client_order_id}"))
    }

    /// Asks for an order by its client order id.
    pub fn query(&mut self, client_order_id: &str) -> Result<Answer> {
        self.call("GET", &format!("/api/v3/order?symbol=BTCUSD&origClientOrderId={client_order_id}"))
    }

    /// Asks whether anybody is there: parsed and answered, and nothing else.
    pub fn ping(&mut self) -> Result<Answer> {
        self.call("GET", "/api/v3/ping")
    }

    /// An order whose price is not a number: parsed, looked at, refused; no record is made of it.
    pub fn place_wrongly(&mut self, client_order_id: &str) -> Result<Answer> {
        let order = "symbol=BTCUSD&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00001&price=one";
        self.call("POST", &format!("/api/v3/order?{order}&newClientOrderId={client_order_id}"))
    }

    fn call(&mut self, method: &str, target: &str) -> Result<Answer> {
        let (number, host) = (self.number, &self.host);
        let request = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-mbx-apikey: {number}\r\ncontent-length: 0\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).with_context(|| format!("status line `{status}`"))?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.strip_prefix("content-length:") {
                Some(bytes) => length = Some(bytes.trim().parse().with_context(|| line.clone())?),
                None if line.is_empty() => break,
                None => {}
            }
        }
        let mut body = vec![0; length.context("an answer without content-length")?];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body: String::from_utf8(body)? })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the gateway closed the connection");
        Ok(line.trim_end().to_owned())
    }
}
