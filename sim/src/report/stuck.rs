//! The screen of a run in which nothing wrong happened, but not everything that should.

use super::{Header, exit, line};
use crate::Violation;

/// The whole screen.
pub fn stuck(header: &Header, invariant: &str, violation: &Violation) -> String {
    let mut text = header.top();
    line(&mut text, format_args!("{}\n\nSTUCK  {invariant}: {}", header.bar(), violation.headline));
    for fact in &violation.facts {
        line(&mut text, format_args!("  {fact}"));
    }
    line(&mut text, format_args!("\nreproduce   {}", header.reproduce()));
    line(&mut text, format_args!("look        {}/history.jsonl", header.folder()));
    line(&mut text, format_args!("\nFAIL  seed {}  (exit {}: liveness)", header.seed, exit::LIVENESS));
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::header;
    use super::*;

    #[test]
    fn it_names_what_waits() {
        let violation = Violation { headline: "41 of 5,000 orders unsettled".into(), facts: vec!["matching_engine-2 waits for p3".into()] };
        let screen = stuck(&header(), "eventually_settled", &violation);
        assert!(screen.contains("STUCK  eventually_settled: 41 of 5,000 orders unsettled\n  matching_engine-2 waits for p3\n"), "{screen}");
        assert!(screen.ends_with("FAIL  seed 42  (exit 11: liveness)\n"), "{screen}");
    }
}
