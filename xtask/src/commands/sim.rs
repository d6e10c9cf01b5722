//! `cargo xtask sim`: builds the simulated exchange and runs it. Everything but `--world` is bin `sim`'s own command line, and its exit code is ours.

use anyhow::Result;

use super::Command;
use crate::world::{World, sim_command};
use crate::{Usage, process, tree};

pub const COMMAND: Command = Command {
    name: "sim",
    uses: &[
        ("one seed; it draws the scenario too", "cargo xtask sim --seed 42 [--scenario NAME] [--world madsim|turmoil] [-v]"),
        ("a saved plan; real order flow", "cargo xtask sim --plan FILE | --flow FILE"),
        ("many seeds", "cargo xtask sim sweep --seeds A..B | --time 5m [--scenario NAME] [--jobs N]"),
        ("the same seed twice, byte for byte", "cargo xtask sim meta [--scenario NAME]"),
        ("keep a shrunk failing plan", "cargo xtask sim keep 42"),
        ("the scenarios", "cargo xtask sim list"),
    ],
    run,
};

fn run(arguments: &[String]) -> Result<u8> {
    let (world, rest) = take_world(arguments)?;
    let root = tree::root();
    let sim = world.build_sim(&root, None)?;
    process::exec(sim_command(&sim, &root)?.args(rest))
}

/// `--world` chooses the build, so it is ours; all else is handed on in order.
fn take_world(arguments: &[String]) -> Result<(World, Vec<String>)> {
    let (mut world, mut rest) = (World::Madsim, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let name = match word.strip_prefix("--world") {
            Some("") => words.next().map(String::as_str).unwrap_or_default(),
            Some(value) if value.starts_with('=') => &value[1..],
            _ => {
                rest.push(word.clone());
                continue;
            }
        };
        world = World::parse(name).ok_or_else(|| Usage(format!("--world is madsim or turmoil, not `{name}`")))?;
    }
    Ok((world, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_world_is_taken_out_and_the_rest_handed_on() {
        assert_eq!(take_world(&words("--seed 42 -v")).unwrap(), (World::Madsim, words("--seed 42 -v")));
        assert_eq!(take_world(&words("sweep --world turmoil --jobs 2")).unwrap(), (World::Turmoil, words("sweep --jobs 2")));
        assert_eq!(take_world(&words("--world=madsim --seed 1")).unwrap(), (World::Madsim, words("--seed 1")));
    }

    #[test]
    fn another_world_is_a_usage_error_that_names_it() {
        for line in ["--world mars", "--world", "--world="] {
            assert!(take_world(&words(line)).unwrap_err().is::<Usage>(), "{line}");
        }
    }
}
