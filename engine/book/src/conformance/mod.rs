//! The cases that every [`Book`] passes: one function per rule, named after it. They panic where the rule is broken.

mod depth;
mod desk;
mod immediate;
mod oracle;
mod priority;
mod refusals;
mod replace;
mod room;
mod withdraw;

pub use desk::Desk;
pub use oracle::Oracle;

use crate::{Book, BookConfig};

/// Gives a case a fresh book.
type Make<'a, B> = &'a dyn Fn(BookConfig) -> Desk<B>;

/// A rule's name and its case.
type Case<B> = (&'static str, fn(Make<B>));

/// Runs every case on books that `make` gives; names each before it runs.
pub fn conformance<B: Book>(make: impl Fn(BookConfig) -> B) {
    for (name, case) in cases::<B>() {
        println!("{name}");
        case(&|config| Desk::new(config, make(config)));
    }
}

fn cases<B: Book>() -> Vec<Case<B>> {
    let mut cases: Vec<Case<B>> = Vec::new();
    cases.extend(depth::cases());
    cases.extend(immediate::cases());
    cases.extend(priority::cases());
    cases.extend(refusals::cases());
    cases.extend(replace::cases());
    cases.extend(room::cases());
    cases.extend(withdraw::cases());
    cases
}
