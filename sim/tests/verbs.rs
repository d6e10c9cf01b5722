//! Each verb of the world bites, and bites no more than it says.
#![cfg(madsim)]

use bytes::Bytes;
use log::Event;
use log::history::Phase;
use runtime::disk::Disk;
use runtime::net::{Frame, FrameReader, FrameWriter, Listener, RESPONSE, connect, framed};
use runtime::task::spawn;
use runtime::time::{monotonic_ms, now_ms, sleep, timeout};
use sim::world::DiskFault;
use sim::{Ended, NodeCtx, NodeState, RunOutcome, Settings, World, run};
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const ECHO: u16 = 7;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs a body that asserts.
fn in_world<F>(body: impl Fn(World) -> F + Send + Sync + 'static) -> RunOutcome<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let outcome = run(&Settings::of_seed(5), move |world| Box::pin(body(world)) as Pin<Box<dyn Future<Output = ()> + Send>>);
    assert_eq!(outcome.ended, Ended::Finished(()));
    outcome
}

/// Echoes frames on port 7000.
async fn echo(ctx: NodeCtx) {
    let mut listener = Listener::bind("0.0.0.0:7000").await.expect("nobody else has the port");
    let mut stop = ctx.stop.clone();
    loop {
        runtime::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("a listener accepts");
                spawn(async move {
                    let (mut reader, mut writer) = framed(stream);
                    while let Ok(Some(request)) = reader.next().await {
                        runtime::reached!("request_seen");
                        if writer.send(Frame { kind: request.kind | RESPONSE, ..request }).await.is_err() {
                            return;
                        }
                    }
                });
            }
            () = stop.requested() => return,
        }
    }
}

fn echo_node(world: &World) {
    world.node("server", |ctx| Box::pin(echo(ctx)));
}

fn request(correlation: u32) -> Frame {
    Frame { kind: ECHO, correlation, body: Bytes::from_static(b"hello") }
}

async fn open() -> (FrameReader, FrameWriter) {
    framed(connect("server:7000").await.expect("the server is up"))
}

async fn answered((reader, writer): &mut (FrameReader, FrameWriter), correlation: u32) -> u64 {
    let start = monotonic_ms();
    writer.send(request(correlation)).await.expect("the connection is whole");
    let frame = reader.next().await.expect("the connection is whole").expect("the server did not close");
    assert_eq!((frame.kind, frame.correlation), (ECHO | RESPONSE, correlation));
    monotonic_ms() - start
}

#[test]
fn kill_ends_connections_and_refuses_new_ones() {
    in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        assert!((2..100).contains(&answered(&mut connection, 1).await));
        world.kill("server");
        assert_eq!(world.state("server"), NodeState::Killed);
        let end = timeout(ms(1_000), connection.0.next()).await.expect("a dead process's kernel ends its connections");
        assert!(matches!(end, Ok(None) | Err(_)), "{end:?}");
        assert_eq!(connect("server:7000").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        world.restart("server");
        sleep(ms(5)).await;
        answered(&mut open().await, 2).await;
    });
}

/// Writes to disk, network and history when it is dropped.
struct LastWords {
    ctx: NodeCtx,
    stream: Option<runtime::net::ByteStream>,
    dropped: Arc<AtomicBool>,
}

impl Drop for LastWords {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Relaxed);
        assert!(self.ctx.disk.append("words", b"last").is_err());
        self.ctx.observer.observe(Event::Client { op: 9, phase: Phase::Ok, body: Bytes::new() });
        runtime::reached!("last_words");
        let waker = std::task::Waker::noop();
        let stream = self.stream.take().expect("set at the start");
        let _ = tokio::io::AsyncWrite::poll_write(std::pin::pin!(stream), &mut std::task::Context::from_waker(waker), b"last");
    }
}

#[test]
fn kill_cuts_a_node_off_before_its_drop_code_runs() {
    let outcome = in_world(|world| async move {
        let dropped = Arc::new(AtomicBool::new(false));
        let told = dropped.clone();
        let mut listener = Listener::bind("world:1").await.unwrap();
        world.node("mortal", move |ctx| {
            let dropped = told.clone();
            Box::pin(async move {
                ctx.disk.append("words", b"first").unwrap();
                let stream = Some(connect("world:1").await.unwrap());
                let _last = LastWords { ctx, stream, dropped };
                std::future::pending::<()>().await;
            })
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        world.kill("mortal");
        let mut heard = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard).await;
        assert!(heard.is_empty(), "{heard:?}");
        assert!(dropped.load(Ordering::Relaxed), "its Drop code ran");
    });
    assert!(!outcome.history.iter().any(|entry| matches!(entry.event, Event::Client { .. })));
    assert_eq!(outcome.reached.total("last_words"), 0);
}

#[test]
fn a_kill_at_a_mark_is_between_two_statements() {
    in_world(|world| async move {
        let found = Arc::new(AtomicU64::new(0));
        let told = found.clone();
        world.add("writer", move |ctx| {
            let told = told.clone();
            Box::pin(async move {
                told.store(ctx.disk.read("log", 0, 99).map_or(0, |bytes| bytes.len() as u64), Ordering::Relaxed);
                for n in 0u8..9 {
                    ctx.disk.append("log", &[n]).expect("only a dead life's append fails, and it does not go on");
                    runtime::reached!("appended");
                    // In the third round this is a statement after death.
                    let behind = ctx.disk.append("log", &[n]);
                    assert_eq!(behind.is_err(), ctx.incarnation == 1 && n == 2);
                    sleep(ms(1)).await;
                }
            })
        });
        world.at_mark("appended", Some("writer"), 3, |world, node| world.kill(node));
        world.join("writer");
        world.ended("writer").await;
        assert_eq!((world.state("writer"), world.reached().on("appended", "writer")), (NodeState::Killed, 3));
        world.join("writer");
        sleep(ms(2)).await;
        assert_eq!(found.load(Ordering::Relaxed), 5, "five of the six appends were before the kill");
    });
}

#[test]
fn power_loss_is_silent_until_the_machine_is_on_again() {
    in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        answered(&mut connection, 1).await;
        world.power_loss("server");
        assert!(timeout(ms(5_000), connection.0.next()).await.is_err(), "nobody ends the connection");
        connection.1.send(request(2)).await.expect("nobody has said that the peer is gone");
        assert!(timeout(ms(5_000), connect("server:7000")).await.is_err(), "nobody refuses");
        world.restart("server");
        answered(&mut timeout(ms(1_000), open()).await.expect("it is on again"), 3).await;
        connection.1.send(request(4)).await.unwrap();
        let end = timeout(ms(1_000), connection.0.next()).await.expect("the new kernel knows nothing of the old connection");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn power_loss_takes_bytes_that_were_not_synced() {
    let lost = (0..20).filter(|seed| {
        let outcome = run(&Settings { scheduler_seed: 1, ..Settings::of_seed(*seed) }, |world| {
            Box::pin(async move {
                let left = Arc::new(AtomicU64::new(0));
                let told = left.clone();
                world.node("writer", move |ctx| {
                    let told = told.clone();
                    Box::pin(async move {
                        told.store(ctx.disk.read("log", 0, 9_999).map_or(0, |bytes| bytes.len() as u64), Ordering::Relaxed);
                        if ctx.incarnation == 1 {
                            ctx.disk.append("log", &[1; 100]).unwrap();
                            ctx.disk.sync(&["log".to_string()]).await.unwrap();
                            ctx.disk.sync_dir("").await.unwrap();
                            ctx.disk.append("log", &[2; 100]).unwrap();
                        }
                        std::future::pending::<()>().await;
                    })
                });
                sleep(ms(50)).await;
                world.power_loss("writer");
                world.restart("writer");
                sleep(ms(5)).await;
                left.load(Ordering::Relaxed)
            })
        });
        let Ended::Finished(left) = outcome.ended else { panic!("{:?}", outcome.ended) };
        assert!((100..=200).contains(&left), "{left}");
        left < 200
    });
    assert!((5..20).contains(&lost.count()));
}

#[test]
fn pause_stops_a_node_and_resume_lets_it_go_on() {
    in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        answered(&mut connection, 1).await;
        world.pause("server");
        let later = world.clone();
        spawn(async move {
            sleep(ms(3_000)).await;
            later.resume("server");
        });
        assert!((3_000..3_200).contains(&answered(&mut connection, 2).await));
    });
}

#[test]
fn a_one_way_cut_holds_one_way() {
    in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        answered(&mut connection, 1).await;
        // The answer is held, the request is not.
        world.cut("server", "world");
        connection.1.send(request(2)).await.unwrap();
        assert!(timeout(ms(2_000), connection.0.next()).await.is_err());
        assert_eq!(world.reached().on("request_seen", "server"), 2);
        assert!(timeout(ms(2_000), connect("server:7000")).await.is_err(), "a connect needs both ways");
        // A death does not show through a cut.
        world.kill("server");
        assert!(timeout(ms(2_000), connection.0.next()).await.is_err());
        assert!(timeout(ms(2_000), connect("server:7000")).await.is_err(), "a refusal neither");
        world.heal("server", "world");
        let held = connection.0.next().await.unwrap().expect("what was held comes first");
        assert_eq!(held.correlation, 2);
        assert!(matches!(connection.0.next().await, Ok(None) | Err(_)), "then the end");
    });
}

#[test]
fn cuts_add_up_and_heal_all_takes_all_back() {
    in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        world.cut("world", "server");
        world.cut("world", "server");
        world.heal("world", "server");
        connection.1.send(request(1)).await.unwrap();
        assert!(timeout(ms(1_000), connection.0.next()).await.is_err(), "the second cut stands");
        world.heal_all();
        assert_eq!(timeout(ms(1_000), connection.0.next()).await.unwrap().unwrap().unwrap().correlation, 1);
    });
}

#[test]
fn a_delayed_frame_holds_those_behind_it() {
    in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        let touched = world.delay("server", "world", Some(ECHO | RESPONSE), 2, 500);
        assert!(answered(&mut connection, 1).await < 100);
        assert!(!touched.yet());
        connection.1.send(request(2)).await.unwrap();
        connection.1.send(request(3)).await.unwrap();
        let start = monotonic_ms();
        for expected in [2, 3] {
            assert_eq!(connection.0.next().await.unwrap().unwrap().correlation, expected);
            assert!((500..700).contains(&(monotonic_ms() - start)));
        }
        assert!(touched.yet());
        assert!(answered(&mut connection, 4).await < 100);
    });
}

#[test]
fn a_lost_response_takes_its_connection_with_it() {
    in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        let touched = world.lose("server", "world", Some(ECHO | RESPONSE), 1);
        connection.1.send(request(1)).await.unwrap();
        assert_eq!(connection.0.next().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(touched.yet());
        assert_eq!(world.reached().on("request_seen", "server"), 1, "the request was served");
        assert_eq!(connection.1.send(request(2)).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        answered(&mut open().await, 3).await;
    });
}

#[test]
fn clocks_jump_and_drift_and_durations_do_not() {
    in_world(|world| async move {
        let shown = Arc::new(AtomicU64::new(0));
        let told = shown.clone();
        world.node("watch", move |_| {
            let told = told.clone();
            Box::pin(async move {
                loop {
                    told.store(now_ms(), Ordering::Relaxed);
                    sleep(ms(1)).await;
                }
            })
        });
        let ahead = || shown.load(Ordering::Relaxed) as i64 - now_ms() as i64;
        sleep(ms(10)).await;
        assert!((-3..=0).contains(&ahead()));
        world.clock_jump("watch", 60_000);
        sleep(ms(10)).await;
        assert!((59_997..=60_000).contains(&ahead()), "{}", ahead());
        world.clock_jump("watch", -120_000);
        sleep(ms(10)).await;
        assert!((-60_003..=-60_000).contains(&ahead()), "{}", ahead());
        world.heal_all();
        world.clock_drift("watch", 100_000);
        sleep(ms(10_000)).await;
        assert!((990..=1_010).contains(&ahead()), "{}", ahead());
        assert!((10_030..10_060).contains(&monotonic_ms()), "{}", monotonic_ms());
    });
}

#[test]
fn disk_faults_bite_until_healed() {
    in_world(|world| async move {
        let slot: Arc<std::sync::Mutex<Option<Arc<dyn Disk>>>> = Arc::default();
        let told = slot.clone();
        world.node("writer", move |ctx| {
            *told.lock().unwrap() = Some(ctx.disk.clone());
            Box::pin(std::future::pending())
        });
        sleep(ms(2)).await;
        let disk = slot.lock().unwrap().clone().expect("the node has started");
        disk.append("log", b"x").unwrap();
        world.disk_fault("writer", DiskFault::SlowSync { ms: 4_000 });
        let start = monotonic_ms();
        disk.sync(&["log".to_string()]).await.unwrap();
        assert!((4_000..4_010).contains(&(monotonic_ms() - start)));
        world.disk_fault("writer", DiskFault::Eio);
        assert!(disk.append("log", b"y").is_err());
        world.disk_heal("writer");
        assert_eq!(disk.append("log", b"y").unwrap(), 1);
        // A sync that is under way when the node dies says nothing any more.
        let late = disk.clone();
        let sync = spawn(async move { late.sync(&["log".to_string()]).await });
        sleep(ms(0)).await;
        world.kill("writer");
        assert!(sync.await.unwrap().is_err());
    });
}

#[test]
fn a_node_that_is_asked_to_leave_ends_by_itself_and_may_join_again() {
    let outcome = in_world(|world| async move {
        echo_node(&world);
        sleep(ms(5)).await;
        let mut connection = open().await;
        answered(&mut connection, 1).await;
        world.leave("server");
        timeout(ms(100), world.ended("server")).await.expect("it leaves when asked");
        assert_eq!(world.state("server"), NodeState::Out);
        assert!(matches!(connection.0.next().await, Ok(None) | Err(_)), "its process has ended");
        world.join("server");
        sleep(ms(5)).await;
        answered(&mut open().await, 2).await;
    });
    let ups: Vec<&str> = outcome.history.iter().filter_map(|e| if let Event::Service { why, .. } = &e.event { Some(why.as_str()) } else { None }).collect();
    assert_eq!(ups, ["started", "it returned", "started"]);
}

#[test]
fn a_panic_is_the_verdict_of_its_seed_with_the_node() {
    let outcome = run(&Settings::of_seed(1), |world| {
        Box::pin(async move {
            world.node("account-1", |_| {
                Box::pin(async {
                    sleep(ms(20)).await;
                    panic!("watermark <= offset");
                })
            });
            sleep(ms(60_000)).await;
        })
    });
    let Ended::Crashed(crash) = outcome.ended else { panic!("{:?}", outcome.ended) };
    assert_eq!((crash.node.as_str(), crash.message.as_str()), ("account-1", "watermark <= offset"));
    assert!(crash.place.contains("verbs.rs:"), "{}", crash.place);
    assert!((20_000..30_000).contains(&crash.at_us));
    assert_eq!(outcome.history.len(), 1, "the history up to the crash is there");
}

#[test]
fn a_body_that_does_not_return_meets_the_time_limit() {
    let settings = Settings { time_limit: Duration::from_secs(60), ..Settings::of_seed(1) };
    let outcome = run(&settings, |world| {
        Box::pin(async move {
            echo_node(&world);
            std::future::pending::<()>().await;
        })
    });
    assert_eq!(outcome.ended, Ended::TimeLimit);
    assert!((60_000_000..60_010_000).contains(&outcome.simulated_us));
}

#[test]
fn a_task_that_never_yields_is_found_by_the_wall_clock() {
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    let settings = Settings { stall_limit: Duration::from_secs(1), warm_up: ms(1), ..Settings::of_seed(1) };
    let outcome = run(&settings, |world| {
        Box::pin(async move {
            world.node("spinner", |_| {
                Box::pin(async {
                    sleep(ms(10)).await;
                    while !ENOUGH.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            });
            sleep(ms(60_000)).await;
        })
    });
    ENOUGH.store(true, Ordering::Relaxed);
    let Ended::Stalled(crash) = outcome.ended else { panic!("{:?}", outcome.ended) };
    assert!(crash.message.contains("stood still") && crash.at_us < 60_000_000, "{crash:?}");
}

#[test]
fn random_streams_of_a_node_are_its_own() {
    in_world(|world| async move {
        let draws: Arc<std::sync::Mutex<Vec<u64>>> = Arc::default();
        for name in ["a", "b"] {
            let draws = draws.clone();
            world.node(name, move |_| {
                let draws = draws.clone();
                Box::pin(async move {
                    for _ in 0..2 {
                        draws.lock().unwrap().push(runtime::rng::Rng::of_node("jitter").next_u64());
                    }
                })
            });
            world.ended(name).await;
        }
        let draws = draws.lock().unwrap().clone();
        let distinct: std::collections::BTreeSet<u64> = draws.iter().copied().collect();
        assert_eq!((draws.len(), distinct.len()), (4, 4));
        assert_eq!(draws[0], runtime::rng::Rng::keyed(5, &["a", "jitter", "1"]).next_u64());
    });
}
