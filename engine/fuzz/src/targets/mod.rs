//! What is fuzzed: one target per file, one line here.

mod book;
mod frame;
mod itch;
mod lobster;
mod plan;
mod slot;

use crate::Target;

/// In alphabetical order.
pub const ALL: &[Target] = &[book::TARGET, frame::TARGET, itch::TARGET, lobster::TARGET, plan::TARGET, slot::TARGET];
