//! The seam under turmoil: the same echo node, over turmoil's TCP and clock.
#![cfg(turmoil)]

use bytes::Bytes;
use runtime::net::{Frame, Listener, RESPONSE, connect, framed};
use runtime::time::{monotonic_ms, sleep, timeout};
use std::time::Duration;

async fn echo() -> Result<(), Box<dyn std::error::Error>> {
    let mut listener = Listener::bind("echo:7000").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        runtime::task::spawn(async move {
            let (mut reader, mut writer) = framed(stream);
            while let Ok(Some(request)) = reader.next().await {
                let response = Frame { kind: request.kind | RESPONSE, ..request };
                if writer.send(response).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn ask(correlation: u32) -> std::io::Result<Frame> {
    let (mut reader, mut writer) = framed(connect("echo:7000").await?);
    writer.send(Frame { kind: 7, correlation, body: Bytes::from_static(b"hello") }).await?;
    reader.next().await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

#[test]
fn a_crashed_and_bounced_host_answers_again() {
    let mut sim = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).rng_seed(42).build();
    sim.host("echo", || echo());
    sim.client("client", async {
        for correlation in 0..50u32 {
            while !matches!(timeout(Duration::from_millis(500), ask(correlation)).await, Ok(Ok(frame)) if frame.correlation == correlation) {
                sleep(Duration::from_millis(50)).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert!((2_500..30_000).contains(&monotonic_ms()), "{}", monotonic_ms());
        Ok(())
    });
    let mut crashed = false;
    while !sim.step().expect("no host fails") {
        if !crashed && sim.elapsed() > Duration::from_secs(1) {
            crashed = true;
            sim.crash("echo");
            sim.bounce("echo");
        }
    }
    assert!(crashed);
}
