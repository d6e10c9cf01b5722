//! Every case of `cargo xtask bench`: one file each, one line in `all`.

mod book;
mod clock;
mod pipeline;
mod ring;

use bench::Case;

/// In alphabetical order.
pub const fn all() -> &'static [Case] {
    &[book::CASE, clock::CASE, pipeline::CASE, ring::CASE]
}
