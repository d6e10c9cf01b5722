//! The process: started on a directory of its own, stopped when it is no longer needed.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running `exchange up`.
pub struct Exchange {
    child: Child,
    /// `host:port` of the web interface.
    pub gateway: String,
}

impl Exchange {
    /// Starts the program that `cargo xtask bench` built, in release, on `data`; accounts 1 to `accounts` own money.
    pub fn up(data: &Path, accounts: u64) -> Result<Self> {
        let program = PathBuf::from(std::env::var_os("LOCKSTEP_EXCHANGE").context("LOCKSTEP_EXCHANGE names the program: `cargo xtask bench` sets it")?);
        let mut command = Command::new(&program);
        // Its memory is what a user's is, not the bench's own.
        command.env_remove(crate::HUGE_PAGES.0).arg("up").arg("--data").arg(data).args(["--listen", "127.0.0.1:0", "--log-listen", "127.0.0.1:0"]);
        for account in 1..=accounts {
            command.args(["--deposit", &format!("{account}:USD:1000000000000")]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().with_context(|| program.display().to_string())?;
        let said = BufReader::new(child.stdout.take().expect("piped")).lines().next().transpose()?;
        let address = said.as_deref().and_then(|line| line.split("http://").nth(1)?.split(' ').next());
        match address.map(str::to_owned) {
            Some(gateway) => Ok(Exchange { child, gateway }),
            None => {
                let ended = child.wait()?;
                bail!("`exchange up` ended before it listened: {ended}");
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Its data is thrown away: there is nothing to end in good order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
