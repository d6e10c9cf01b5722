//! The log port's contract on our own broker: embedded in the ordinary build (`cargo xtask conformance --log embedded`), as a simulated cluster under
//! madsim (`--log sim`). Part of every test run; an argument runs only the contracts whose names contain it.

#[cfg(not(any(madsim, turmoil)))]
#[path = "embedded.rs"]
mod arm;
#[cfg(madsim)]
#[path = "simulated.rs"]
mod arm;

#[cfg(not(turmoil))]
fn main() {
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    std::process::exit(if arm::judge(&only) > 0 { 10 } else { 0 });
}

/// This build's world has no cluster of its own.
#[cfg(turmoil)]
fn main() {}
