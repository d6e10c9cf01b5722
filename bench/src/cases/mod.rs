//! Every case of `cargo xtask bench`: one file each, one line in `all`.

mod clock;

use bench::Case;

/// In alphabetical order.
pub const fn all() -> &'static [Case] {
    &[clock::CASE]
}
