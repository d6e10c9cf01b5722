//! A node's process: known by the id in its pid file, and only as long as that id still is a Java of ours.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// One node's files.
pub struct Process {
    pub properties: PathBuf,
    pub log: PathBuf,
    pub pid: PathBuf,
}

impl Process {
    /// Starts it in a process group of its own: it outlives this command, and a Ctrl-C at the desk is not for it.
    pub fn start(&self, java: &mut Command) -> Result<()> {
        if self.running().is_some() {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(&self.log).with_context(|| format!("cannot open {}", self.log.display()))?;
        java.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = java.spawn().context("cannot start java")?;
        std::fs::write(&self.pid, child.id().to_string())?;
        // A parent goes on a moment before its child's command line can be read, and until then the child would not count as ours.
        while self.running().is_none() && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Its process id, if it runs. An id that was given to somebody else since does not count.
    pub fn running(&self) -> Option<u32> {
        let pid: u32 = std::fs::read_to_string(&self.pid).ok()?.trim().parse().ok()?;
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = self.properties.to_string_lossy().into_owned();
        command.split(|byte| *byte == 0).any(|word| word == ours.as_bytes()).then_some(pid)
    }

    /// Sends a signal by its name; false if it does not run.
    pub fn signal(&self, name: &str) -> Result<bool> {
        let Some(pid) = self.running() else { return Ok(false) };
        let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().context("cannot start kill")?;
        ensure!(status.success() || self.running().is_none(), "process {pid} took no signal {name}");
        Ok(true)
    }

    /// Waits until it has ended.
    pub fn await_end(&self, at_most: Duration) -> bool {
        let begin = Instant::now();
        while self.running().is_some() {
            if begin.elapsed() > at_most {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }
}

/// The last lines of a log, for an error message.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recorded id that belongs to somebody else now must not be signalled.
    #[test]
    fn only_a_process_that_names_our_properties_is_ours() {
        let folder = std::env::temp_dir().join(format!("lockstep-process-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let process = Process { properties: folder.join("n1.properties"), log: folder.join("n1.log"), pid: folder.join("n1.pid") };
        assert_eq!(process.running(), None, "no pid file");
        std::fs::write(&process.pid, std::process::id().to_string()).unwrap();
        assert_eq!(process.running(), None, "this test is no node");
        assert!(!process.signal("KILL").unwrap());
        // `sh -c SCRIPT NAME`: the name stands in its command line as the properties do in a node's.
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60; true"]).arg(&process.properties);
        std::fs::remove_file(&process.pid).unwrap();
        process.start(&mut shell).unwrap();
        assert!(process.running().is_some());
        assert!(process.signal("KILL").unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        let log = std::env::temp_dir().join(format!("lockstep-tail-{}", std::process::id()));
        std::fs::write(&log, "a\nb\nc\n").unwrap();
        assert_eq!(tail(&log, 2), "b\nc");
        std::fs::remove_file(&log).unwrap();
        assert_eq!(tail(&log, 2), "");
    }
}
