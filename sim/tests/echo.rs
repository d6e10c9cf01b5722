//! A node that echoes, a client that retries: killed, restarted, and the same again under the same seed.
#![cfg(madsim)]

use bytes::Bytes;
use log::Event;
use log::history::Phase;
use runtime::net::{Frame, Listener, RESPONSE, connect, framed};
use runtime::time::{monotonic_ms, sleep, timeout};
use sim::{Ended, NodeCtx, RunOutcome, Settings, World, run};
use std::time::Duration;

const ECHO: u16 = 7;

async fn echo(ctx: NodeCtx) {
    let mut listener = Listener::bind(&format!("{}:7000", ctx.name)).await.expect("nobody else has the port");
    loop {
        let (stream, _) = listener.accept().await.expect("a listener accepts");
        runtime::task::spawn(async move {
            let (mut reader, mut writer) = framed(stream);
            while let Ok(Some(request)) = reader.next().await {
                runtime::reached!("echoed");
                let response = Frame { kind: request.kind | RESPONSE, ..request };
                if writer.send(response).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Asks until it is answered, with a new connection after each failure.
async fn client(ctx: NodeCtx, requests: u32) {
    let mut connection = None;
    for op in 0..requests {
        ctx.observer.observe(Event::Client { op: u64::from(op), phase: Phase::Invoke, body: Bytes::new() });
        loop {
            let answer = timeout(Duration::from_millis(200), ask(&mut connection, op)).await;
            if let Ok(Ok(frame)) = answer {
                assert_eq!((frame.correlation, &frame.body[..]), (op, &op.to_le_bytes()[..]));
                break;
            }
            connection = None;
            ctx.observer.observe(Event::Client { op: u64::from(op), phase: Phase::Unknown, body: Bytes::new() });
            sleep(Duration::from_millis(10)).await;
        }
        ctx.observer.observe(Event::Client { op: u64::from(op), phase: Phase::Ok, body: Bytes::new() });
    }
}

type Framed = (runtime::net::FrameReader, runtime::net::FrameWriter);

async fn ask(connection: &mut Option<Framed>, op: u32) -> std::io::Result<Frame> {
    if connection.is_none() {
        *connection = Some(framed(connect("echo:7000").await?));
    }
    let (reader, writer) = connection.as_mut().expect("made above");
    writer.send(Frame { kind: ECHO, correlation: op, body: Bytes::copy_from_slice(&op.to_le_bytes()) }).await?;
    reader.next().await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

async fn scenario(world: World) -> u64 {
    world.node("echo", |ctx| Box::pin(echo(ctx)));
    world.node("client", |ctx| Box::pin(client(ctx, 300)));
    sleep(Duration::from_millis(300)).await;
    world.kill("echo");
    sleep(Duration::from_millis(500)).await;
    world.restart("echo");
    world.ended("client").await;
    monotonic_ms()
}

fn run_seed(seed: u64) -> RunOutcome<u64> {
    run(&Settings::of_seed(seed), |world| Box::pin(scenario(world)))
}

#[test]
fn a_killed_and_restarted_node_answers_again() {
    let outcome = run_seed(42);
    let Ended::Finished(ms) = outcome.ended else { panic!("{:?}", outcome.ended) };
    assert!((900..10_000).contains(&ms), "{ms} ms");
    let count = |phase: Phase| outcome.history.iter().filter(|entry| matches!(&entry.event, Event::Client { phase: p, .. } if *p == phase)).count();
    assert_eq!((count(Phase::Invoke), count(Phase::Ok)), (300, 300));
    assert!(count(Phase::Unknown) >= 1, "the kill was felt");
    assert!(outcome.reached.on("echoed", "echo") >= 300);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let (a, b, c) = (run_seed(1), run_seed(1), run_seed(2));
    assert_eq!(a.history, b.history);
    assert_eq!((a.digest, a.simulated_us, a.messages), (b.digest, b.simulated_us, b.messages));
    assert_ne!(a.digest, c.digest);
}
