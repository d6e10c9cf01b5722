//! The three builds of the one workspace, and bin `sim` in the two simulated ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Which simulated world the workspace is compiled for; the ordinary build is cargo's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    Madsim,
    Turmoil,
}

impl World {
    /// Accepts the names that `--world` takes.
    pub fn parse(name: &str) -> Option<World> {
        match name {
            "madsim" => Some(World::Madsim),
            "turmoil" => Some(World::Turmoil),
            _ => None,
        }
    }

    fn cfgs(self) -> &'static [&'static str] {
        match self {
            World::Madsim => &["madsim"],
            World::Turmoil => &["turmoil", "tokio_unstable"],
        }
    }

    /// A cargo that compiles for this world. The cfg is added to whatever flags the caller exported: cargo reads only one of its
    /// sources of flags, and an exported `RUSTFLAGS` would otherwise silently switch the world off.
    pub fn cargo(self) -> Command {
        let encoded = std::env::var("CARGO_ENCODED_RUSTFLAGS").ok();
        let plain = std::env::var("RUSTFLAGS").ok();
        let mut cargo = process::cargo();
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(self, encoded.as_deref(), plain.as_deref()));
        cargo
    }

    /// Builds bin `sim` of the tree at `root` and answers where it lies; `target` overrides the caller's target directory.
    pub fn build_sim(self, root: &Path, target: Option<&Path>) -> Result<PathBuf> {
        let mut cargo = self.cargo();
        cargo.current_dir(root).args(["build", "--profile", "simulation", "--package", "lockstep-scenarios", "--bin", "sim"]);
        cargo.arg("--message-format=json-render-diagnostics");
        if let Some(target) = target {
            cargo.arg("--target-dir").arg(target);
        }
        let messages = process::output(&mut cargo)?;
        executable(&messages, "sim").context("cargo built `sim` but did not say where it lies")
    }
}

/// The caller's flags and then the world's, in cargo's encoding (0x1f between words). As in cargo, the encoded variable wins over the plain one.
fn flags(world: World, encoded: Option<&str>, plain: Option<&str>) -> String {
    let mut words: Vec<&str> = match (encoded, plain) {
        (Some(encoded), _) => encoded.split('\x1f').collect(),
        (None, Some(plain)) => plain.split_whitespace().collect(),
        (None, None) => Vec::new(),
    };
    words.retain(|word| !word.is_empty());
    for cfg in world.cfgs() {
        words.extend(["--cfg", cfg]);
    }
    words.join("\x1f")
}

/// Finds the executable of bin `name` in cargo's build messages (JSON Lines).
pub fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let built = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    built.filter(|message| message["target"]["name"] == name).filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back()
}

/// `sim` under the given world with the commit it was built from.
pub fn sim_command(sim: &Path, root: &Path) -> Result<Command> {
    let mut command = Command::new(sim);
    command.current_dir(root).env("LOCKSTEP_COMMIT", describe(root)?);
    Ok(command)
}

/// The commit of the tree, with `-dirty` behind it where the tree differs: a plan says what it was drawn by.
fn describe(root: &Path) -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["describe", "--always", "--abbrev=10", "--exclude=*", "--dirty"]);
    match process::output(&mut git) {
        Ok(text) => Ok(text.trim().to_owned()),
        // An unpacked archive has no commit; the run is as good without.
        Err(_) => Ok("unknown".to_owned()),
    }
}

/// The full hash of the commit, for seeds that are derived from it.
pub fn commit_hash(root: &Path) -> Result<String> {
    let text = process::output(Command::new("git").current_dir(root).args(["rev-parse", "HEAD"]))?;
    let hash = text.trim().to_owned();
    if hash.is_empty() {
        bail!("git knows no commit here");
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cfg_is_added_to_the_callers_flags_whichever_way_they_came() {
        assert_eq!(flags(World::Madsim, None, None), "--cfg\x1fmadsim");
        assert_eq!(flags(World::Madsim, None, Some("-C target-cpu=native")), "-C\x1ftarget-cpu=native\x1f--cfg\x1fmadsim");
        assert_eq!(flags(World::Madsim, Some("-C\x1flink-arg=a b"), Some("ignored")), "-C\x1flink-arg=a b\x1f--cfg\x1fmadsim");
        assert_eq!(flags(World::Turmoil, Some(""), None), "--cfg\x1fturmoil\x1f--cfg\x1ftokio_unstable");
    }

    #[test]
    fn the_executable_is_the_one_of_the_named_bin() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"sim"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}
{"reason":"compiler-artifact","target":{"name":"sim"},"executable":"/t/simulation/sim"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "sim"), Some(PathBuf::from("/t/simulation/sim")));
        assert_eq!(executable(messages, "absent"), None);
    }
}
