//! Byte streams of the simulated network behave like TCP where HTTP can tell.
#![cfg(madsim)]

use runtime::net::{ByteStream, Frame, Listener, connect, framed};
use runtime::time::{sleep, timeout};
use sim::{Ended, Settings, World, run};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn in_world<F>(body: impl Fn(World) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let outcome = run(&Settings::of_seed(5), move |world| Box::pin(body(world)) as Pin<Box<dyn Future<Output = ()> + Send>>);
    assert_eq!(outcome.ended, Ended::Finished(()));
}

/// A connection within the world's own node.
async fn pair() -> (ByteStream, ByteStream) {
    let mut listener = Listener::bind("localhost:0").await.unwrap();
    let address = listener.local_address();
    let (accepted, connected) = tokio::join!(listener.accept(), connect(&address));
    let (accepted, peer) = accepted.unwrap();
    assert!(peer.starts_with("world:"), "{peer}");
    (connected.unwrap(), accepted)
}

#[test]
fn bytes_arrive_in_order_in_pieces_as_the_reader_asks() {
    in_world(|_| async {
        let (mut a, mut b) = pair().await;
        a.write_all(b"hello ").await.unwrap();
        a.write_all(b"world").await.unwrap();
        let mut three = [0; 3];
        b.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"hel");
        let mut rest = [0; 8];
        b.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"lo world");
    });
}

#[test]
fn half_a_close_lets_the_other_half_go_on() {
    in_world(|_| async {
        let (mut a, mut b) = pair().await;
        a.write_all(b"request").await.unwrap();
        a.shutdown().await.unwrap();
        let mut text = String::new();
        b.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "request");
        b.write_all(b"response").await.unwrap();
        drop(b);
        let mut text = String::new();
        a.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "response");
        assert!(a.write_all(b"more").await.is_err());
    });
}

#[test]
fn a_reader_that_does_not_read_holds_the_writer_back() {
    in_world(|_| async {
        let (mut a, mut b) = pair().await;
        let chunk = vec![7; 256 << 10];
        let mut sent = 0;
        while timeout(Duration::from_millis(50), a.write_all(&chunk)).await.is_ok() {
            sent += chunk.len();
            assert!(sent < 100 << 20, "nothing held it back");
        }
        let mut received = vec![0; sent];
        b.read_exact(&mut received).await.unwrap();
        timeout(Duration::from_millis(50), a.write_all(&chunk)).await.expect("there is room again").unwrap();
    });
}

#[test]
fn a_close_with_unread_bytes_is_a_reset() {
    in_world(|_| async {
        let (mut a, b) = pair().await;
        a.write_all(b"never read").await.unwrap();
        sleep(Duration::from_millis(10)).await;
        drop(b);
        let error = a.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn frames_and_bytes_are_the_same_connection() {
    in_world(|_| async {
        let (a, mut b) = pair().await;
        let (mut reader, mut writer) = framed(a);
        writer.send(Frame { kind: 3, correlation: 9, body: bytes::Bytes::from_static(b"abc") }).await.unwrap();
        let mut bytes = [0; 13];
        b.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, [3, 0, 0, 0, 3, 0, 9, 0, 0, 0, b'a', b'b', b'c']);
        b.write_all(&bytes[..7]).await.unwrap();
        assert!(timeout(Duration::from_millis(50), reader.next()).await.is_err());
        b.write_all(&bytes[7..]).await.unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap().correlation, 9);
        drop(b);
        assert_eq!(reader.next().await.unwrap(), None);
    });
}

#[test]
fn addresses_are_checked() {
    in_world(|_| async {
        let refused = |error: std::io::Error| error.to_string();
        assert_eq!(refused(Listener::bind("nowhere").await.unwrap_err()), "address \"nowhere\" is not host:port");
        assert!(refused(Listener::bind("broker-1:9092").await.unwrap_err()).contains("this node is world"));
        let first = Listener::bind("world:80").await.unwrap();
        assert!(refused(Listener::bind("world:80").await.unwrap_err()).contains("port 80 is in use"));
        drop(first);
        Listener::bind("world:80").await.unwrap();
        assert!(refused(connect("nobody:1").await.unwrap_err()).contains("cannot connect to nobody:1"));
    });
}
