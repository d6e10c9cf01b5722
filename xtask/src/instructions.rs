//! The gate on speed that a noisy machine cannot fool: instructions of fixed work, counted by callgrind, against `bench/instructions.json`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::gate::{Figures, Gate};
use crate::process;
use crate::world::executable;

/// The baseline, from the root.
const BASELINE: &str = "bench/instructions.json";

/// The counts of one build repeat exactly; what remains is the code that another linker or C library brings in.
const GATE: Gate = Gate { unit: "instructions", tolerance_percent: 1.0, update: "cargo xtask bench instructions --update" };

/// Whether nothing costs more than the baseline allows; says every figure. `true` with one line where it cannot be counted. `target` overrides the
/// caller's target directory.
pub fn gate(root: &Path, target: Option<&Path>) -> Result<bool> {
    if let Some(why) = cannot_count() {
        println!("    skipped: {why}");
        return Ok(true);
    }
    let baseline = read(root)?;
    let compiler = compiler()?;
    if baseline["compiler"] != compiler.as_str() {
        println!("    skipped: the baseline is of {}, this is {compiler}; `cargo xtask bench instructions --update` takes a new one", baseline["compiler"]);
        return Ok(true);
    }
    let old: Figures = serde_json::from_value(baseline["counts"].clone()).with_context(|| format!("{BASELINE}: counts: a number for each name"))?;
    let lines = GATE.compare(&old, &count(root, target)?);
    lines.iter().for_each(|line| println!("    {}", line.text));
    Ok(lines.iter().all(|line| line.passes))
}

/// Takes what is counted now as the baseline.
pub fn update(root: &Path) -> Result<()> {
    if let Some(why) = cannot_count() {
        bail!("{why}");
    }
    let baseline = json!({ "compiler": compiler()?, "counts": count(root, None)? });
    let text = serde_json::to_string_pretty(&baseline)? + "\n";
    std::fs::write(root.join(BASELINE), text).with_context(|| BASELINE.to_owned())
}

fn read(root: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(root.join(BASELINE)).with_context(|| format!("{BASELINE}: `cargo xtask bench instructions --update` makes it"))?;
    serde_json::from_str(&text).with_context(|| BASELINE.to_owned())
}

fn cannot_count() -> Option<String> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    (!valgrind.is_ok_and(|status| status.success()))
        .then(|| "no valgrind, so that instructions are not counted (Debian and Ubuntu: apt-get install valgrind)".to_owned())
}

/// Compiler and target: other ones make other instructions.
fn compiler() -> Result<String> {
    let text = process::output(Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    Ok(format!("rustc {} {}", field("release:"), field("host:")))
}

fn count(root: &Path, target: Option<&Path>) -> Result<Figures> {
    let mut cargo = process::cargo();
    // The caller's flags would count another program; with several codegen units a change in one place moves the borders of all others.
    cargo.current_dir(root).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    cargo.args(["build", "--quiet", "--release", "--package", "lockstep-bench", "--bin", "instructions", "--message-format=json-render-diagnostics"]);
    if let Some(target) = target {
        cargo.arg("--target-dir").arg(target);
    }
    let program = executable(&process::output(&mut cargo)?, "instructions").context("cargo built `instructions` but did not say where it lies")?;
    let list = process::output(&mut Command::new(&program))?;
    let names = list.lines().filter_map(|line| line.split(' ').next());
    names.map(|name| Ok((name.to_owned(), count_one(&program, name)?))).collect()
}

fn count_one(program: &Path, name: &str) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no", "--toggle-collect=*instructions::counted*"]);
    let output = valgrind.arg(program).arg(name).output().context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind {name}: {said}");
    let count = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    count.filter(|count| *count > 0).with_context(|| format!("valgrind counted nothing of {name}: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(old: u64, new: u64) -> bool {
        let counts = |count| Figures::from([("book".to_owned(), count)]);
        GATE.compare(&counts(old), &counts(new)).iter().all(|line| line.passes)
    }

    #[test]
    fn three_percent_more_fail_and_half_a_percent_does_not() {
        assert!(!verdict(100_000, 103_000));
        assert!(verdict(100_000, 100_500));
        assert!(verdict(100_000, 90_000));
    }
}
