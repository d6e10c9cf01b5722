//! Bytes that nobody would write, for whatever reads bytes: frames, slots, recorded flow, plans, and commands for the fast book beside the naive one.
//!
//! A [`Target`] takes any bytes, panics if something is wrong, and says what kind of thing happened. [`Search`] makes bytes: it changes inputs that are known
//! ([`Corpus`]), and keeps what leads to a kind of thing that was not seen before. It is guided by outcomes and not by code coverage, so that a stable compiler
//! does and every new machine can run it. The same seed makes the same inputs.
//!
//! `cargo xtask fuzz TARGET --time 10m` searches; `corpus/TARGET.hex` is run by every `cargo test`.

mod corpus;
mod random;
mod search;
pub mod targets;

pub use corpus::{Corpus, from_hex, to_hex};
pub use search::{Crash, Search};

/// Something that reads bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// As the command line and the corpus file call it.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Well-formed inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads; panics if a rule is broken. The kind of outcome, in any words: numbers and quoted text in it do not count.
    pub run: fn(&[u8]) -> String,
}
