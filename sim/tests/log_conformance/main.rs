//! The log port's contract on our own broker: embedded in the ordinary build (`cargo xtask conformance --log embedded`), as a simulated cluster under
//! madsim (`--log sim`). Part of every test run; an argument runs only the contracts whose names contain it.

#[cfg(not(turmoil))]
use sim::conformance::log::{conclude, only};

#[cfg(not(any(madsim, turmoil)))]
#[path = "embedded.rs"]
mod arm;
#[cfg(madsim)]
#[path = "simulated.rs"]
mod arm;

/// Rounds of faults over the workload: what `cargo xtask conformance` asks for, and few in an ordinary test run.
#[cfg(not(turmoil))]
fn rounds(few: u32) -> u32 {
    std::env::var("LOCKSTEP_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

/// Are its answers the next record?
#[cfg(not(turmoil))]
fn is_recording() -> bool {
    std::env::var_os("LOCKSTEP_RECORDING").is_some()
}

#[cfg(not(turmoil))]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(not(madsim))]
    match words.split_first() {
        Some((word, rest)) if word == "--serve" => return arm::serve(rest),
        Some((word, rest)) if word == "--kills" => return arm::kills(rest.first().and_then(|count| count.parse().ok()).expect("--kills N")),
        _ => {}
    }
    std::process::exit(conclude(&words, arm::judge(only(&words))));
}

/// This build's world has no cluster of its own.
#[cfg(turmoil)]
fn main() {}
