//! `exchange dump PATH`: the log's files, batch by batch, of an exchange that does not run. Every checksum is checked,
//! and nothing is written: what the last life left unfinished stays so.

use super::record;
use crate::soundness::{self, Kind};
use crate::terminal::say;
use crate::usage::usage;
use anyhow::{Context, Result, anyhow, bail};
use broker::{Batch, BatchHeader, ControlKind};
use clap::Args;
use runtime::disk::JournalView;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Settings of `exchange dump`.
#[derive(Debug, Clone, Args)]
pub struct DumpArgs {
    /// Data directory of an exchange, or of a log alone.
    path: PathBuf,
    /// Only files whose name contains this: `node-1/3-0/`.
    #[arg(long, default_value = "")]
    file: String,
    /// Show every record as well.
    #[arg(long)]
    records: bool,
}

/// What was found.
#[derive(Debug, Default)]
struct Sums {
    files: u64,
    batches: u64,
    records: u64,
    damaged: u64,
}

/// Prints every batch; an error if one is damaged.
pub fn run(args: &DumpArgs) -> Result<()> {
    let directory = log_directory(&args.path).map_err(usage)?;
    let disk = JournalView::open(&directory)
        .with_context(|| format!("data directory {} (of a running exchange see `exchange topics`, `groups` and `tail`)", directory.display()))?;
    let mut sums = Sums::default();
    for (file, len) in disk.list("").into_iter().filter(|(file, _)| file.contains(&args.file)) {
        say!("{file}  {len} bytes")?;
        sums.files += 1;
        let Some(kind) = soundness::kind(&file) else { continue };
        let bytes = disk.read(&file, 0, usize::try_from(len).context("a file larger than memory can be")?)?;
        let damage = match kind {
            Kind::Segment(base) => soundness::batches(&bytes, base, |position, batch| show(&file, position, &batch, args.records, &mut sums))?,
            Kind::Metadata => soundness::metadata(&bytes),
        };
        if let Some(position) = damage {
            say!("  at byte {position}: nothing whole follows, {} bytes cannot be read", len - position)?;
            sums.damaged += 1;
        }
    }
    say!("{} files, {} batches, {} records, {} damaged", sums.files, sums.batches, sums.records, sums.damaged)?;
    if sums.damaged > 0 {
        bail!("{} files are damaged", sums.damaged);
    }
    Ok(())
}

/// The directory that has a journal: this one, or the log's part of an exchange's.
fn log_directory(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Err(anyhow!("{}: there is no such directory", path.display()));
    }
    for directory in [path.to_path_buf(), path.join("log")] {
        let format = directory.join(".format");
        match std::fs::metadata(&format) {
            Ok(_) => return Ok(directory),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(format!("cannot look at {}", format.display())),
        }
    }
    Err(anyhow!("{}: no log was ever kept here (neither it nor its part log/ has a file .format)", path.display()))
}

/// A batch, and its records if they are asked for.
fn show(file: &str, position: u64, batch: &Batch, records: bool, sums: &mut Sums) -> Result<()> {
    let header = batch.header();
    say!("  {}", line(header))?;
    if records {
        for found in batch.records().map_err(|error| anyhow!("{file} at byte {position}: {error:?}"))? {
            say!("    @{}  {} ms  {}", found.offset, found.timestamp_ms, record::text(found.key.as_deref(), found.value.as_deref()))?;
        }
    }
    sums.batches += 1;
    sums.records += u64::from(header.record_count);
    Ok(())
}

fn line(header: &BatchHeader) -> String {
    let producer = match header.producer_id {
        -1 => String::new(),
        id => format!("  producer {id} epoch {} sequence {}", header.producer_epoch, header.first_sequence),
    };
    let kind = match (header.control, header.transactional) {
        (Some(ControlKind::Commit), _) => "  commit",
        (Some(ControlKind::Abort), _) => "  abort",
        (None, true) => "  in a transaction",
        (None, false) => "",
    };
    let (first, last) = (header.base_offset, header.last_offset());
    format!("{first}..={last}  {} bytes  leader epoch {}  records {}{producer}{kind}", header.len, header.leader_epoch, header.record_count)
}
