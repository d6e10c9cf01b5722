//! What was found once is run by every `cargo test`: the corpus of each target, and its seeds.

#![allow(clippy::disallowed_methods, reason = "reads the corpus from the real disk")]

use fuzz::{Corpus, Search, from_hex, targets};

#[test]
fn every_input_of_the_corpus_runs() {
    for target in targets::ALL {
        let path = format!("{}/corpus/{}.hex", env!("CARGO_MANIFEST_DIR"), target.name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let kept = from_hex(&text).unwrap_or_else(|| panic!("{path}: a line is not hexadecimal"));
        let corpus = Corpus::new(target, kept);
        assert!(corpus.kinds() >= 8, "{}: the corpus leads to {} kinds of outcome", target.name, corpus.kinds());
    }
}

/// A short search is part of the tests: the same inputs every time.
#[test]
fn the_first_inputs_of_seed_1_run() {
    for target in targets::ALL {
        let mut search = Search::new(*target, Corpus::new(target, Vec::new()), 1);
        for _ in 0..200 {
            let input = search.next_input();
            if let Err(crash) = search.run(&input) {
                panic!("{}: {}: {}", target.name, fuzz::to_hex(&crash.input), crash.message);
            }
        }
    }
}
