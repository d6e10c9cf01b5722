//! Makes inputs, and shrinks one that breaks a rule.

use crate::random::Random;
use crate::{Corpus, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An input that made the target panic, as small as it could be made.
#[derive(Debug, PartialEq, Eq)]
pub struct Crash {
    /// The bytes.
    pub input: Vec<u8>,
    /// What the panic said.
    pub message: String,
}

/// The search over one target.
pub struct Search {
    target: Target,
    corpus: Corpus,
    random: Random,
}

/// Changes to one input.
const CHANGES_MAX: usize = 6;

/// Runs that shrinking may cost.
const SHRINKS_MAX: usize = 5_000;

/// Bytes that readers treat unlike others.
const TELLING: &[u8] = b"\0\x01\x02\x7f\x80\xff09-+.,:;\"'[]{}\n ABSeE";

impl Search {
    /// Begins with the corpus.
    pub fn new(target: Target, corpus: Corpus, seed: u64) -> Self {
        Search { target, corpus, random: Random(seed) }
    }

    /// The next input; [`Search::run`] it.
    pub fn next_input(&mut self) -> Vec<u8> {
        let at = self.random.below(self.corpus.inputs.len());
        let mut input = self.corpus.inputs[at].clone();
        for _ in 0..=self.random.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input
    }

    /// Runs an input. `Ok(true)`: it was kept, its outcome is of a new kind.
    pub fn run(&mut self, input: &[u8]) -> Result<bool, Crash> {
        match outcome(&self.target, input) {
            Ok(outcome) => Ok(self.corpus.take_in(input, &outcome)),
            Err(message) => Err(self.shrunk(Crash { input: input.to_vec(), message })),
        }
    }

    /// How many kinds of outcome were seen.
    pub fn kinds(&self) -> usize {
        self.corpus.kinds()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let length = input.len();
        let at = self.random.below(length + 1);
        let byte = TELLING[self.random.below(TELLING.len())];
        match self.random.below(9) {
            0 => input.insert(at, byte),
            1 => input.truncate(at),
            2 => {
                let end = (at + 1 + self.random.below(16)).min(length);
                drop(input.drain(at.min(end)..end));
            }
            3 => {
                let end = (at + 1 + self.random.below(48)).min(length);
                let copy = input[at.min(end)..end].to_vec();
                let to = self.random.below(length + 1);
                drop(input.splice(to..to, copy));
            }
            4 => {
                // The tail of another input.
                let other = self.random.below(self.corpus.inputs.len());
                let from = self.random.below(self.corpus.inputs[other].len() + 1);
                input.truncate(at);
                input.extend_from_slice(&self.corpus.inputs[other][from..]);
            }
            what if at < length => match what {
                5 => input[at] ^= 1 << self.random.below(8),
                6 => input[at] = byte,
                7 => input[at] = input[at].wrapping_add(self.random.below(9) as u8).wrapping_sub(4),
                _ => input[at] = self.random.next() as u8,
            },
            _ => input.push(byte),
        }
    }

    /// Takes ever smaller pieces out while it still panics.
    fn shrunk(&self, mut crash: Crash) -> Crash {
        let (mut piece, mut left) = (crash.input.len().div_ceil(2), SHRINKS_MAX);
        while piece > 0 {
            let mut at = 0;
            while at < crash.input.len() && left > 0 {
                left -= 1;
                let mut input = crash.input.clone();
                drop(input.drain(at..(at + piece).min(crash.input.len())));
                match outcome(&self.target, &input) {
                    Err(message) => crash = Crash { input, message },
                    Ok(_) => at += piece,
                }
            }
            piece /= 2;
        }
        crash
    }
}

/// What the target says, or what its panic said.
fn outcome(target: &Target, input: &[u8]) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without words").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks when three things come together, each of which alone is another kind of outcome.
    const BROKEN: Target = Target {
        name: "broken",
        about: "",
        seeds: || vec![b"abcdef".to_vec()],
        run: |input| {
            let has = |byte: u8| input.contains(&byte);
            assert!(!(has(0xff) && has(b'{') && has(b'0')), "all three");
            format!("{} {} {}", has(0xff), has(b'{'), has(b'0'))
        },
    };

    #[test]
    fn what_is_broken_is_found_and_shrunk() {
        let search = |seed| {
            let mut search = Search::new(BROKEN, Corpus::new(&BROKEN, Vec::new()), seed);
            (0..100_000).find_map(|_| {
                let input = search.next_input();
                search.run(&input).err()
            })
        };
        let crash = search(1).expect("it is found");
        assert_eq!((crash.input.len(), crash.message.as_str()), (3, "all three"));
        assert_eq!(search(1), Some(crash), "the same seed finds the same");
    }
}
