//! `exchange flow`: a recording played over HTTP; a bad line is named.

use crate::process::{Place, exchange, run};
use crate::trading::balances;
use std::path::Path;
use std::process::Command;

/// Rests, two executions of one order, a partial cancel, a deletion, a hidden execution, and an execution of an order from before.
const MESSAGES: &str = "\
34200.1,1,11,100,5853300,1
34200.2,1,12,50,5853400,-1
34200.3,4,12,20,5853400,-1
34200.4,1,13,10,5853200,1
34200.5,2,11,40,5853300,1
34200.6,3,13,10,5853200,1
34200.7,5,0,7,5853350,-1
34200.8,4,12,30,5853400,-1
34200.9,4,999,5,5853500,-1
";

fn flow(place: &Place, file: &Path) -> Command {
    let mut command = exchange("flow");
    command.arg(file).args(["--gateway", &place.http, "--log", &place.log]);
    command
}

#[tokio::test]
async fn a_recording_is_played() {
    let place = Place::new();
    let process = place.start();
    let file = place.file("AAPL_message_1.csv", MESSAGES);
    // One account: its orders keep their order however fast they are played.
    let (code, said, errors) = run(flow(&place, &file).args(["--speed", "max", "--accounts", "1", "--fund"]));
    assert_eq!(code, Some(0), "{errors}");
    let figures: Vec<&str> = said.lines().skip_while(|line| !line.is_empty()).skip(1).take(4).collect();
    let expected = [
        "  orders               6   refused 0",
        "  cancels              2   too late 0",
        "  traded               3   lots bought 50, sold 50",
        "  unknown              0   never resolved 0",
    ];
    assert_eq!(figures, expected, "{said}");
    assert!(said.contains("order to ack  p50 "), "{said}");
    let held = balances(&place.http, 1).await;
    assert_eq!(held["USD"].1, 60 * 58_533, "what the partial cancel left still rests");
    assert_eq!(held["BTC"].1, 0);

    // With its order book file, at ten times its speed, by two accounts.
    place.file("AAPL_orderbook_1.csv", &"5853500,5,5853300,100\n".repeat(MESSAGES.lines().count()));
    let (code, said, errors) = run(flow(&place, &file).args(["--speed", "10", "--accounts", "2", "--fund"]));
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.contains("  8 orders, 0.8 s recorded, as BTCUSD at 10 times the recorded speed\n"), "the level from before, and its taker: {said}");
    assert!(said.contains("  orders               8   refused 0\n"), "{said}");
    process.stop();
}

#[test]
fn a_bad_line_is_named() {
    let place = Place::new();
    let name = |file: &Path| file.display().to_string();
    let bad = place.file("bad.csv", &MESSAGES.replace(",50,", ",fifty,"));
    let (code, _, said) = run(&mut flow(&place, &bad));
    assert_eq!((code, said), (Some(2), format!("exchange: {}:2: size: \"fifty\" is not a whole number\n", name(&bad))));
    let off_the_tick = place.file("off.csv", &MESSAGES.replace("5853200", "5853201"));
    let (code, _, said) = run(&mut flow(&place, &off_the_tick));
    assert_eq!((code, said), (Some(2), format!("exchange: {}:4: price: 5853201 is not a multiple of the tick, 100\n", name(&off_the_tick))));
    let absent = place.data().join("absent.csv");
    let (code, _, said) = run(&mut flow(&place, &absent));
    assert_eq!((code, said), (Some(2), format!("exchange: {}: No such file or directory (os error 2)\n", name(&absent))));
    for (settings, words) in
        [(["--speed", "0"], "a positive number, or max"), (["--accounts", "0"], "--accounts"), (["--symbol", "ETHUSD"], "not in the listing")]
    {
        let (code, _, said) = run(flow(&place, &place.file("good.csv", MESSAGES)).args(settings));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
