//! Somebody who opens connections and says nothing takes his own kind's places, not the log's descriptors.

use crate::process::{Exchange, Place};
use crate::trading::{Call, client, limit, until_told};
use log::history::Silent;
use log::native::{ClientConfig, Native};
use log::{LogPort, Outcome, TopicSpec};
use runtime::time::monotonic_ms;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use wire::Side;

/// Descriptors of the process, and connections that would take them all.
const DESCRIPTORS: usize = 620;

#[tokio::test]
async fn as_many_connections_as_there_are_descriptors_do_not_end_the_log() {
    let place = Place::new();
    let up = place.up();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"")).arg(up.get_program()).args(up.get_args());
    let mut process = Exchange::spawn({
        command.args(["--deposit", "1:USD:1000"]);
        command
    });
    until_told(&mut client(&place.http, 1), Call::Place(&limit("mine", Side::Buy, 100, 1))).await.expect("taken");

    // The system's queue takes some more than the process does.
    let address: SocketAddr = place.http.parse().expect("an address");
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let silent: Vec<TcpStream> = std::iter::repeat_with(connect).take(DESCRIPTORS).map_while(|stream| stream).collect();
    let log = Native::new(ClientConfig::new("operator", [place.log.clone()]), Arc::new(Silent));
    for name in ["first", "second", "third"] {
        // Every partition is a new file.
        let spec = TopicSpec { name: name.to_owned(), partitions: 64, replication: 1, min_isr: 1, compacted: false };
        let created = log.create_topics(vec![spec], monotonic_ms() + 20_000).await;
        assert!(process.is_running(), "{}", process.end().1);
        assert!(matches!(created, Outcome::Done(())), "{name}: {created:?}");
    }
    drop(silent);
    assert_eq!(until_told(&mut client(&place.http, 1), Call::Query("mine")).await.expect("known").status, "NEW");
    process.stop();
}
