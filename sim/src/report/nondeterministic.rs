//! The screen of two runs of one seed that differ.

use super::{Header, count, exit, line};
use crate::meta::Difference;

/// The whole screen.
pub fn nondeterministic(header: &Header, difference: &Difference) -> String {
    let mut text = header.top();
    let Difference { line: number, a, b } = difference;
    line(&mut text, format_args!("\nNOT DETERMINISTIC  two runs of seed {} differ at line {} of history.jsonl", header.seed, count(*number)));
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "(no such line)".to_string());
    line(&mut text, format_args!("  a  {}\n  b  {}", side(a), side(b)));
    line(&mut text, format_args!("  usual causes: HashMap iteration, getrandom 0.2, a real thread, a real clock"));
    line(&mut text, format_args!("\nreproduce   cargo xtask sim meta --scenario {} --seed {}", header.scenario, header.seed));
    line(&mut text, format_args!("\nFAIL  seed {}  (exit {}: nondeterminism)", header.seed, exit::NONDETERMINISM));
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::header;
    use super::*;

    #[test]
    fn it_shows_both_lines() {
        let difference = Difference { line: 18_204, a: Some("poll p0@311".into()), b: None };
        let screen = nondeterministic(&header(), &difference);
        assert!(screen.contains("differ at line 18,204 of history.jsonl\n  a  poll p0@311\n  b  (no such line)\n"), "{screen}");
        assert!(screen.ends_with("(exit 13: nondeterminism)\n"));
    }
}
