//! `exchange dump PATH`: the log's files, batch by batch, of an exchange that does not run. Every checksum is checked,
//! and nothing is written: what the last life left unfinished stays so.

use super::record;
use crate::usage::usage;
use anyhow::{Context, Result, anyhow, bail};
use broker::batch::HEADER_LEN;
use broker::{Batch, BatchHeader, ControlKind};
use clap::Args;
use runtime::disk::JournalView;
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
        println!("{file}  {len} bytes");
        sums.files += 1;
        if file.ends_with(".log") && !file.starts_with("node-0/") {
            segment(&disk, &file, len, args.records, &mut sums)?;
        }
    }
    println!("{} files, {} batches, {} records, {} damaged", sums.files, sums.batches, sums.records, sums.damaged);
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
    let found = [path.to_path_buf(), path.join("log")].into_iter().find(|directory| directory.join(".format").is_file());
    found.with_context(|| format!("{}: no log was ever kept here (neither it nor its part log/ has a file .format)", path.display()))
}

/// One batch at a time: a file may be larger than memory.
fn segment(disk: &JournalView, file: &str, len: u64, records: bool, sums: &mut Sums) -> Result<()> {
    let mut position = 0;
    while position < len {
        let head = disk.read(file, position, HEADER_LEN)?;
        let batch = match BatchHeader::read(&head) {
            Some(header) => Batch::check(disk.read(file, position, header.len as usize)?).ok(),
            None => None,
        };
        let Some(batch) = batch else {
            println!("  at byte {position}: no whole batch, {} bytes cannot be read", len - position);
            sums.damaged += 1;
            return Ok(());
        };
        let header = batch.header();
        println!("  {}", line(header));
        if records {
            for found in batch.records().map_err(|error| anyhow!("{file} at byte {position}: {error:?}"))? {
                println!("    @{}  {} ms  {}", found.offset, found.timestamp_ms, record::text(found.key.as_deref(), found.value.as_deref()));
            }
        }
        sums.batches += 1;
        sums.records += u64::from(header.record_count);
        position += u64::from(header.len);
    }
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
