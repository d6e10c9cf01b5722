//! How fast the seam is, and whether seeds leave anything behind. Ignored: it measures. `--ignored --nocapture`
#![cfg(madsim)]
#![allow(clippy::disallowed_methods)] // it measures from outside

use bytes::Bytes;
use runtime::net::{Frame, Listener, RESPONSE, connect, framed};
use runtime::time::timeout;
use sim::{Ended, Settings, World, run};
use std::time::{Duration, Instant};

async fn serve() {
    let mut listener = Listener::bind("0.0.0.0:1").await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        runtime::task::spawn(async move {
            let (mut reader, mut writer) = framed(stream);
            while let Ok(Some(request)) = reader.next().await {
                if writer.send(Frame { kind: request.kind | RESPONSE, ..request }).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn ask(requests: u32) {
    let (mut reader, mut writer) = framed(connect("server:1").await.unwrap());
    for correlation in 0..requests {
        writer.send(Frame { kind: 1, correlation, body: Bytes::from_static(&[7; 64]) }).await.unwrap();
        timeout(Duration::from_millis(500), reader.next()).await.unwrap().unwrap().unwrap();
    }
}

async fn load(world: World, clients: u32, requests: u32) {
    world.node("server", |_| Box::pin(serve()));
    let names: Vec<String> = (0..clients).map(|n| format!("client-{n}")).collect();
    for name in &names {
        world.node(name, move |_| Box::pin(ask(requests)));
    }
    for name in &names {
        world.ended(name).await;
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "measures"]
fn messages_per_second() {
    let start = Instant::now();
    let outcome = run(&Settings { warm_up: Duration::from_millis(1), ..Settings::of_seed(1) }, |world| Box::pin(load(world, 10, 20_000)));
    assert_eq!(outcome.ended, Ended::Finished(()));
    let ns = start.elapsed().as_nanos() as u64 / outcome.messages;
    println!("{} messages, {ns} ns each, sim {} s in {:?}", outcome.messages, outcome.simulated_us / 1_000_000, start.elapsed());
}

#[test]
#[ignore = "measures"]
fn seeds_leave_nothing_behind() {
    for seed in 0..600 {
        let outcome = run(&Settings::of_seed(seed), |world| Box::pin(load(world, 10, 100)));
        assert_eq!(outcome.ended, Ended::Finished(()));
        if seed % 100 == 0 {
            println!("seed {seed}: {} kB", resident_kb());
        }
    }
}
