//! Inputs that are known, and the kinds of outcome they lead to.

use crate::Target;
use std::collections::BTreeSet;

/// Longest input that is kept.
const BYTES_MAX: usize = 4_096;

/// See the module.
pub struct Corpus {
    /// Never empty.
    pub inputs: Vec<Vec<u8>>,
    kinds: BTreeSet<String>,
}

impl Corpus {
    /// The target's seeds and what was kept before, all of which must run: panics where they do.
    pub fn new(target: &Target, kept: Vec<Vec<u8>>) -> Self {
        let mut corpus = Corpus { inputs: vec![Vec::new()], kinds: BTreeSet::new() };
        for input in (target.seeds)().into_iter().chain(kept) {
            let kind = kind(&(target.run)(&input));
            corpus.kinds.insert(kind);
            corpus.inputs.push(input);
        }
        corpus
    }

    /// Takes an input in if its outcome is of a new kind; says whether it was.
    pub fn take_in(&mut self, input: &[u8], outcome: &str) -> bool {
        let is_new = input.len() <= BYTES_MAX && self.kinds.insert(kind(outcome));
        if is_new {
            self.inputs.push(input.to_vec());
        }
        is_new
    }

    /// How many kinds of outcome.
    pub fn kinds(&self) -> usize {
        self.kinds.len()
    }
}

/// An outcome without its numbers and quoted text.
fn kind(outcome: &str) -> String {
    let (mut quote, mut kind) = (None, String::new());
    let mut characters = outcome.chars().take(1_000);
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => drop(characters.next()),
            (_, Some(open)) if character == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '`' | '\'', None) => quote = Some(character),
            ('0'..='9' | '-' | '.', None) => {}
            _ => kind.push(character),
        }
    }
    kind
}

/// One input a line; lines that begin with `#` are for people. `None` where a line is not hexadecimal.
pub fn from_hex(text: &str) -> Option<Vec<Vec<u8>>> {
    let bytes = |line: &str| (0..line.len()).step_by(2).map(|at| u8::from_str_radix(line.get(at..at + 2)?, 16).ok()).collect();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(bytes).collect()
}

/// A line of [`from_hex`].
pub fn to_hex(input: &[u8]) -> String {
    input.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_as_it_was_written() {
        let inputs = vec![vec![0, 255, 16], vec![1]];
        let text = format!("# two\n{}\n{}\n", to_hex(&inputs[0]), to_hex(&inputs[1]));
        assert_eq!(from_hex(&text), Some(inputs));
        assert_eq!((from_hex("0"), from_hex("0g")), (None, None));
    }

    #[test]
    fn numbers_and_quoted_text_make_no_new_kind() {
        assert_eq!(kind("a.csv:2: size: -1.7 is \"no \\\"t\" positive"), kind("a.csv:31: size: 0 is \"\" positive"));
        assert_eq!(kind("type 'x'"), kind("type '\\''"));
        assert_ne!(kind("size"), kind("price"));
    }
}
