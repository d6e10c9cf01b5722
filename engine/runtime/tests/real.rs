//! The production half of the seam, on the loopback interface and the real clock.
#![cfg(not(any(madsim, turmoil)))]

use bytes::Bytes;
use runtime::net::{FRAME_BYTES_MAX, Frame, Listener, RESPONSE, connect, framed};
use runtime::task::{spawn, stop_channel};
use runtime::time::{Elapsed, monotonic_ms, now_ms, sleep, sleep_until_ms, timeout};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

fn block_on<T>(body: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(body)
}

/// A server that answers each frame with its own body; its address.
async fn echo() -> String {
    let mut listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            spawn(async move {
                let (mut reader, mut writer) = framed(stream);
                while let Ok(Some(request)) = reader.next().await {
                    if writer.send(Frame { kind: request.kind | RESPONSE, ..request }).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn frames_of_every_size_come_back_whole() {
    block_on(async {
        let (mut reader, mut writer) = framed(connect(&echo().await).await.unwrap());
        for (correlation, len) in [(1, 0), (2, 1), (3, 70_000), (4, 3 << 20)] {
            let body = Bytes::from((0..len).map(|n: usize| n as u8).collect::<Vec<u8>>());
            let sending = spawn(async move {
                writer.send(Frame { kind: 7, correlation, body }).await.unwrap();
                writer
            });
            let frame = reader.next().await.unwrap().unwrap();
            writer = sending.await.unwrap();
            assert_eq!((frame.kind, frame.correlation, frame.body.len()), (7 | RESPONSE, correlation, len));
            assert!(frame.body.iter().enumerate().all(|(n, byte)| *byte == n as u8));
        }
    });
}

#[test]
fn a_close_between_frames_is_an_end_and_inside_one_an_error() {
    block_on(async {
        let mut listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_address();
        for (bytes, ends_well) in [(&b""[..], true), (&[5, 0, 0, 0, 1, 0, 0, 0, 0, 0, b'x'][..], false)] {
            let mut client = connect(&address).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            client.write_all(bytes).await.unwrap();
            drop(client);
            let end = framed(stream).0.next().await;
            assert_eq!(end.as_ref().is_ok_and(Option::is_none), ends_well, "{end:?}");
        }
    });
}

#[test]
fn a_length_from_a_stranger_is_refused_before_memory_is_taken() {
    block_on(async {
        let mut listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let mut client = connect(&listener.local_address()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let error = framed(stream).0.next().await.unwrap_err();
        assert!(error.to_string().contains("above the limit of"), "{error}");
        let (_, mut writer) = framed(client);
        let error = writer.send(Frame { kind: 0, correlation: 0, body: Bytes::from(vec![0; FRAME_BYTES_MAX + 1]) }).await.unwrap_err();
        assert!(error.to_string().contains("above the limit of"), "{error}");
    });
}

#[test]
fn a_cancelled_send_ends_its_connection() {
    block_on(async {
        let mut listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let (_, mut writer) = framed(connect(&listener.local_address()).await.unwrap());
        let _nobody_reads = listener.accept().await.unwrap();
        let large = Frame { kind: 0, correlation: 0, body: Bytes::from(vec![0; FRAME_BYTES_MAX]) };
        assert_eq!(timeout(Duration::from_millis(100), writer.send(large)).await.unwrap_err(), Elapsed);
        let error = writer.send(Frame { kind: 0, correlation: 1, body: Bytes::new() }).await.unwrap_err();
        assert!(error.to_string().contains("cancelled half way"), "{error}");
    });
}

#[test]
fn errors_name_the_address() {
    block_on(async {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_address();
        let text = Listener::bind(&address).await.unwrap_err().to_string();
        assert!(text.starts_with(&format!("cannot listen on {address}: ")), "{text}");
        drop(listener);
        let text = connect(&address).await.unwrap_err().to_string();
        assert!(text.starts_with(&format!("cannot connect to {address}: ")), "{text}");
        assert!(Listener::bind("nowhere").await.unwrap_err().to_string().contains("is not host:port"));
    });
}

#[test]
fn clocks_go_forwards_and_sleeps_are_long_enough() {
    block_on(async {
        let (start, wall) = (monotonic_ms(), now_ms());
        assert!(wall > 1_700_000_000_000, "milliseconds since 1970");
        sleep(Duration::from_millis(20)).await;
        assert!(monotonic_ms() >= start + 20);
        sleep_until_ms(start + 40).await;
        assert!(monotonic_ms() >= start + 40);
        sleep_until_ms(start).await;
        assert_eq!(timeout(Duration::from_millis(1), std::future::pending::<()>()).await, Err(Elapsed));
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7), "a future that is ready wins");
    });
}

#[test]
fn a_request_to_stop_reaches_every_clone() {
    block_on(async {
        let (stopper, mut stop) = stop_channel();
        let mut other = stop.clone();
        assert!(!stop.is_requested());
        let waiting = spawn(async move { other.requested().await });
        stopper.stop();
        waiting.await.unwrap();
        stop.requested().await;
        assert!(stop.is_requested());
        let (stopper, mut never) = stop_channel();
        drop(stopper);
        assert_eq!(timeout(Duration::from_millis(5), never.requested()).await, Err(Elapsed));
    });
}
