//! Every case of `cargo xtask bench`: one file each, one line in `all`.

mod clock;
mod pipeline;
mod ring;

use bench::Case;

/// In alphabetical order.
pub const fn all() -> &'static [Case] {
    &[clock::CASE, pipeline::CASE, ring::CASE]
}
