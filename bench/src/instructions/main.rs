//! Fixed work whose instructions are counted: `cargo xtask bench instructions` runs each piece under callgrind, which counts what happens inside
//! [`counted`] and nothing else. The counts repeat exactly on a noisy machine, and change only with the code and the compiler.
//!
//! `instructions` lists the pieces with their operations; `instructions NAME` does one, and says a hash of what it computed.

mod work;

use std::process::ExitCode;

/// A piece of work.
pub struct Work {
    /// As in the baseline.
    pub name: &'static str,
    /// Operations in it.
    pub operations: u64,
    /// Prepares it, and answers what is counted; that answers a hash of what it computed.
    pub prepare: fn() -> Box<dyn FnOnce() -> u64>,
}

/// Callgrind counts from the entry of this function to its end.
#[inline(never)]
fn counted(work: Box<dyn FnOnce() -> u64>) -> u64 {
    work()
}

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        for work in work::ALL {
            println!("{} {}", work.name, work.operations);
        }
        return ExitCode::SUCCESS;
    };
    let Some(work) = work::ALL.iter().find(|work| work.name == name) else {
        eprintln!("error: no work `{name}`; without a name, `instructions` lists them");
        return ExitCode::from(2);
    };
    println!("{:016x}", counted((work.prepare)()));
    ExitCode::SUCCESS
}
