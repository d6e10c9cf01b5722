//! Nodes outlive the command that starts them. Where they should not, a watchdog holds one end of a pipe and its master the other: whatever ends the master
//! (Ctrl-C, a signal that nobody can catch, a panic) closes the pipe, and the watchdog takes the cluster down.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Cluster, Version};

/// Said by a master that has done it himself.
const DISMISSED: &[u8] = b"dismissed";

/// Until what the master's other children had begun is written down: a node that one of them was starting is known by its pid file.
const SETTLED: Duration = Duration::from_secs(1);

/// From the master's side.
pub struct Watchdog(Child);

impl Watchdog {
    /// Over this version's cluster, from before it is started.
    pub fn over(version: Version) -> Result<Watchdog> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["kafka", "watch", "--version", version.name()]).stdin(Stdio::piped()).stdout(Stdio::null());
        // In a group of its own: a Ctrl-C at the desk is not for it.
        Ok(Watchdog(command.process_group(0).spawn().context("cannot start the cluster's watchdog")?))
    }

    /// The cluster is down already.
    pub fn dismiss(mut self) -> Result<()> {
        self.0.stdin.take().expect("piped").write_all(DISMISSED).context("the cluster's watchdog is gone")?;
        ensure!(self.0.wait()?.success(), "the cluster's watchdog failed");
        Ok(())
    }
}

/// From its own side: until the pipe is closed.
pub fn watch(cluster: &Cluster) -> Result<u8> {
    let mut said = Vec::new();
    std::io::stdin().read_to_end(&mut said)?;
    if said == DISMISSED {
        return Ok(0);
    }
    std::thread::sleep(SETTLED);
    cluster.down()
}
