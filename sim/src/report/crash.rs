//! The screens of a run that a panic ended, and of one whose clock stood still.

use super::{Header, exit, line, time};
use crate::Crash;

/// A panic.
pub fn crash(header: &Header, crash: &Crash) -> String {
    let Crash { node, place, message, at_us } = crash;
    told(header, format_args!("CRASH  {node} panicked at {place}: {message}\n  node {node}, sim {}", time(*at_us)))
}

/// A simulated clock that stood still.
pub fn stalled(header: &Header, crash: &Crash) -> String {
    let Crash { node, message, at_us, .. } = crash;
    told(header, format_args!("CRASH  {message} at sim {}\n  node {node}: a task of it does not yield", time(*at_us)))
}

fn told(header: &Header, what: std::fmt::Arguments<'_>) -> String {
    let mut text = header.top();
    line(&mut text, format_args!("{}\n\n{what}", header.bar()));
    line(&mut text, format_args!("\nreproduce   {}", header.reproduce()));
    line(&mut text, format_args!("look        {}/history.jsonl", header.folder()));
    line(&mut text, format_args!("\nFAIL  seed {}  (exit {}: crash)", header.seed, exit::CRASH));
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::header;
    use super::*;

    #[test]
    fn it_names_node_and_place() {
        let fact = Crash { node: "account-1".into(), place: "account.rs:88".into(), message: "watermark <= offset".into(), at_us: 1_000 };
        let screen = crash(&header(), &fact);
        assert!(screen.contains("CRASH  account-1 panicked at account.rs:88: watermark <= offset\n  node account-1, sim 0.001s\n"), "{screen}");
        assert!(screen.ends_with("FAIL  seed 42  (exit 12: crash)\n"), "{screen}");
        assert!(stalled(&header(), &fact).contains("does not yield"));
    }
}
