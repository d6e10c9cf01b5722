//! Every case of `cargo xtask bench`: one file each, one line in `all`.

mod clock;
mod ring;

use bench::Case;

/// In alphabetical order.
pub const fn all() -> &'static [Case] {
    &[clock::CASE, ring::CASE]
}
