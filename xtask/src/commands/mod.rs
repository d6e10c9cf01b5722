//! Every command of `cargo xtask`: one file each, one line in `all`.

mod bench;
mod ci;
mod conformance;
mod fix;
mod fuzz;
pub mod kafka;
mod loom;
mod miri;
mod plants;
mod sim;
mod test;
mod tidy;
mod up;

/// What the manual says of a command, and how it runs.
pub struct Command {
    pub name: &'static str,
    /// What it is for, and the line to type; a command that is several things has a pair for each.
    pub uses: &'static [(&'static str, &'static str)],
    /// Takes the words after the name; answers the exit code.
    pub run: fn(&[String]) -> anyhow::Result<u8>,
}

/// In alphabetical order; the manual prints them so.
pub const fn all() -> &'static [Command] {
    &[
        bench::COMMAND,
        ci::COMMAND,
        conformance::COMMAND,
        fix::COMMAND,
        fuzz::COMMAND,
        kafka::COMMAND,
        loom::COMMAND,
        miri::COMMAND,
        plants::COMMAND,
        sim::COMMAND,
        test::COMMAND,
        tidy::COMMAND,
        up::COMMAND,
    ]
}
