//! The commands of bin `sim`, one per file.

pub mod args;
pub mod keep;
pub mod list;
pub mod meta;
pub mod one;
pub mod process;
pub mod story;
pub mod sweep;
pub mod worker;

use sim::report::exit;

/// Says what is wrong with the command line or a file that it names.
pub fn usage(error: &str) -> u8 {
    eprintln!("sim: {error}");
    exit::USAGE
}

/// The commit that this build was made of, as `cargo xtask` says it.
pub fn commit() -> String {
    std::env::var("LOCKSTEP_COMMIT").unwrap_or_else(|_| "unknown".to_owned())
}
