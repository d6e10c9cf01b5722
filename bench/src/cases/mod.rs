//! Every case of `cargo xtask bench`: one file each, one line in `all`.

mod book;
mod clock;
mod e2e;
mod gateway;
mod log;
mod pipeline;
mod ring;
mod sim;

use bench::Case;

/// In alphabetical order.
pub const fn all() -> &'static [Case] {
    &[book::CASE, clock::CASE, e2e::CASE, gateway::CASE, log::CASE, pipeline::CASE, ring::CASE, sim::CASE]
}
