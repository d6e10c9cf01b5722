//! Rows of Kafka's behaviour (`A11` is a row of the document that lists them), asked request by request: the same questions to the simulated cluster, the
//! embedded log and Apache Kafka, and the same verdict: the assertions of a body are the verdict.
//!
//! What may differ from run to run is printed, not asserted: whether a new leader's end went back (A11) depends on who was ahead of whom when the old
//! one died.

pub mod a11_end_after_a_leader_s_move;
pub mod a28_duplicates;
pub mod a40_visibility_after_the_end;
pub mod a41_an_end_that_comes_twice;
pub mod a53_zombie_commit;
pub mod a57_commit_without_a_generation;

use super::asked::ErrorCode;
use std::fmt::Debug;

/// Of what comes by chance.
pub const NEVER: &str = "did not come";

/// In words; what was taken is taken wherever it landed.
fn verdict_in_words<T: Debug>(verdict: &Result<T, ErrorCode>) -> String {
    match verdict {
        Ok(_) => "taken".to_owned(),
        Err(why) => format!("{why:?}"),
    }
}
