//! Asks a broker whom it knows: one Metadata request (version 1) over a plain socket. A broker lists those that are alive and not fenced.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const METADATA: i16 = 3;
const VERSION: i16 = 1;
const CORRELATION: i32 = 1;

/// Ids of the live brokers that the one at this port of loopback knows of, sorted.
pub fn live_brokers(port: u16) -> Result<Vec<i32>> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&request())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= 1 << 20).context("not a Kafka broker")?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    brokers(&body)
}

/// Of no topic.
fn request() -> Vec<u8> {
    let client = b"xtask";
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    body.extend(i16::try_from(client.len()).expect("five bytes").to_be_bytes());
    body.extend(client);
    body.extend(0i32.to_be_bytes());
    let mut frame = i32::try_from(body.len()).expect("a short request").to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Correlation, then an array of (node i32, host string, port i32, rack nullable string).
fn brokers(body: &[u8]) -> Result<Vec<i32>> {
    let mut rest = body;
    ensure!(i32::from_be_bytes(take(&mut rest)?) == CORRELATION, "an answer to another question");
    let count = i32::from_be_bytes(take(&mut rest)?);
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(i32::from_be_bytes(take(&mut rest)?));
        skip_string(&mut rest)?;
        let _port: [u8; 4] = take(&mut rest)?;
        skip_string(&mut rest)?;
    }
    ids.sort_unstable();
    Ok(ids)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>().context("the answer is too short")?;
    *rest = tail;
    Ok(*head)
}

/// A length of −1 is null.
fn skip_string(rest: &mut &[u8]) -> Result<()> {
    let length = usize::try_from(i16::from_be_bytes(take(rest)?)).unwrap_or(0);
    *rest = rest.get(length..).context("the answer is too short")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_and_a_short_answer_is_an_error() {
        let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2];
        for node in [2, 1] {
            body.extend([0, 0, 0, node, 0, 1, b'h', 0, 0, 0x4a, 0x94, 0xff, 0xff]);
        }
        assert_eq!(brokers(&body).unwrap(), [1, 2]);
        assert!(brokers(&body[..body.len() - 1]).is_err());
    }
}
