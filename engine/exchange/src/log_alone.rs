//! `exchange log`: the embedded log without an exchange, for whoever wants one.

use crate::composition::{LogArgs, nobody};
use crate::terminal::announce;
use crate::up::asked_to_stop;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Settings of `exchange log`.
#[derive(Debug, Clone, Args)]
pub struct LogAloneArgs {
    /// Directory of the log; made if it does not exist.
    #[arg(long, env = "EXCHANGE_LOG_DATA", default_value = "log-data")]
    data: PathBuf,
    /// The log.
    #[command(flatten)]
    log: LogArgs,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: LogAloneArgs) -> Result<()> {
    let mut log = args.log.start(args.log.disk(&args.data)?, &nobody()).await?;
    announce!("log {}  data {}", log.address, args.data.display());
    runtime::select! {
        asked = asked_to_stop() => asked?,
        ended = &mut log.host => {
            ended.context("the log's task")?.context("the log")?;
            bail!("the log ended by itself");
        }
    }
    log.stop().await
}
