//! The cores' files. Page-cache operations run at once, in order. Whatever must reach the platter waits for the next sync round: one at a time per
//! disk, and a round takes everything that came while the one before it ran (group commit).

use broker::io::Output;
use broker::protocol::{NodeId, Response};
use bytes::Bytes;
use runtime::BoxFuture;
use runtime::disk::{Disk, Entry};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Ends the name of a file that is to replace another; one left over by a crash is removed at the start.
const TEMPORARY: &str = ".tmp";

/// What a round brought.
pub struct Round {
    /// (core, operation, how it went)
    pub done: Vec<(NodeId, u64, io::Result<()>)>,
    /// Outputs that waited for a file to be replaced, in order.
    pub freed: Vec<(NodeId, Output)>,
    /// What may leave now, in order; an error: never, and nothing more may.
    pub released: io::Result<Vec<Withheld>>,
}

/// What must not leave the process before all that was written until then is on the platter.
pub enum Withheld {
    /// An answer (`None`: that none will be sent).
    Reply { connection: u64, correlation: u32, response: Option<Response> },
    /// Somebody in this process is about to tell somebody outside.
    Word(oneshot::Sender<()>),
}

/// One operation that waits for, or is in, a round.
#[derive(Debug, Default)]
struct Job {
    node: NodeId,
    op: u64,
    files: Vec<String>,
    /// A temporary file is synced and takes this name.
    replaces: Option<String>,
    /// A name in this directory was removed.
    removed_in: Option<String>,
}

/// A round under way.
struct Running {
    jobs: Vec<Job>,
    withheld: Vec<Withheld>,
    fresh: BTreeSet<String>,
    result: BoxFuture<'static, io::Result<()>>,
}

/// All files of the host.
pub struct Files {
    disk: Arc<dyn Disk>,
    known: BTreeSet<String>,
    /// Files whose names may not be durable yet: made, or found, since the last round that named them.
    fresh: BTreeSet<String>,
    /// Directories whose own names are durable.
    durable_directories: BTreeSet<String>,
    waiting: Vec<Job>,
    withheld: Vec<Withheld>,
    /// Something was changed since the last round began.
    is_dirty: bool,
    running: Option<Running>,
    /// Files that are being replaced, with the outputs that must come after.
    replacing: BTreeMap<String, VecDeque<(NodeId, Output)>>,
}

fn path(node: NodeId, file: &str) -> String {
    format!("node-{node}/{file}")
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

impl Files {
    /// Finds what is there; removes what a crash left half replaced.
    ///
    /// # Errors
    /// The disk cannot be listed.
    pub fn open(disk: Arc<dyn Disk>, nodes: impl Iterator<Item = NodeId>) -> io::Result<Self> {
        let mut known = BTreeSet::new();
        for node in nodes {
            for (file, _) in disk.list(&path(node, ""))? {
                if file.ends_with(TEMPORARY) {
                    disk.remove(&file)?;
                } else {
                    known.insert(file);
                }
            }
        }
        let fresh = known.clone();
        Ok(Files {
            disk,
            known,
            fresh,
            durable_directories: BTreeSet::new(),
            waiting: Vec::new(),
            withheld: Vec::new(),
            is_dirty: true,
            running: None,
            replacing: BTreeMap::new(),
        })
    }

    /// A core's files, by its own names for them.
    ///
    /// # Errors
    /// The disk cannot be listed.
    pub fn listing(&self, node: NodeId) -> io::Result<Vec<Entry>> {
        let prefix = path(node, "");
        let own = |(file, len): Entry| file.strip_prefix(&prefix).map(|name| (name.to_owned(), len));
        Ok(self.disk.list(&prefix)?.into_iter().filter_map(own).collect())
    }

    /// The file of this output that is being replaced: the output must wait for it.
    pub fn replaced_by(&self, node: NodeId, output: &Output) -> Option<String> {
        if self.replacing.is_empty() {
            return None;
        }
        let is_replaced = |file: &String| Some(path(node, file)).filter(|path| self.replacing.contains_key(path));
        match output {
            Output::Append { file, .. }
            | Output::Truncate { file, .. }
            | Output::Replace { file, .. }
            | Output::Remove { file, .. }
            | Output::Read { file, .. } => is_replaced(file),
            Output::Sync { files, .. } => files.iter().find_map(is_replaced),
            Output::Reply { reads, .. } => reads.iter().find_map(|(_, file, _, _)| is_replaced(file)),
            _ => None,
        }
    }

    /// Keeps an output until its file is replaced.
    pub fn defer(&mut self, path: String, node: NodeId, output: Output) {
        self.replacing.get_mut(&path).expect("only a file that is being replaced defers").push_back((node, output));
    }

    /// Writes at the end.
    pub fn append(&mut self, node: NodeId, file: &str, bytes: &[u8]) -> io::Result<()> {
        let path = path(node, file);
        self.is_dirty = true;
        self.disk.append(&path, bytes)?;
        if !self.known.contains(&path) {
            self.fresh.insert(path.clone());
            self.known.insert(path);
        }
        Ok(())
    }

    /// Cuts.
    pub fn truncate(&mut self, node: NodeId, file: &str, len: u64) -> io::Result<()> {
        self.is_dirty = true;
        self.disk.truncate(&path(node, file), len)
    }

    /// Reads; fewer bytes at the end of the file.
    pub fn read(&self, node: NodeId, file: &str, offset: u64, len: u64) -> io::Result<Bytes> {
        self.disk.read(&path(node, file), offset, usize::try_from(len).map_err(io::Error::other)?)
    }

    /// Starts to replace a file; its end comes with a round.
    pub fn replace(&mut self, node: NodeId, op: u64, file: &str, bytes: &[u8]) -> io::Result<()> {
        let path = path(node, file);
        let temporary = format!("{path}{TEMPORARY}");
        self.is_dirty = true;
        match self.disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.disk.append(&temporary, bytes)?;
        self.replacing.insert(path.clone(), VecDeque::new());
        self.waiting.push(Job { node, op, files: vec![temporary], replaces: Some(path), removed_in: None });
        Ok(())
    }

    /// Removes; its end comes with a round.
    pub fn remove(&mut self, node: NodeId, op: u64, file: &str) -> io::Result<()> {
        let path = path(node, file);
        self.is_dirty = true;
        self.disk.remove(&path)?;
        self.known.remove(&path);
        self.fresh.remove(&path);
        // What waits for a round with it has nothing to wait for any more.
        self.waiting.iter_mut().for_each(|job| job.files.retain(|file| *file != path));
        self.waiting.push(Job { node, op, files: Vec::new(), replaces: None, removed_in: Some(directory(&path).to_owned()) });
        Ok(())
    }

    /// Asks for a round. A file removed meanwhile needs no syncing.
    pub fn sync(&mut self, node: NodeId, op: u64, files: &[String]) {
        let files = files.iter().map(|file| path(node, file)).filter(|path| self.known.contains(path)).collect();
        self.waiting.push(Job { node, op, files, ..Job::default() });
    }

    /// Is everything on the platter that was ever written?
    pub fn is_durable(&self) -> bool {
        !self.is_dirty && self.running.is_none()
    }

    /// Lets it leave with the first round that covers all that was written until now.
    pub fn withhold(&mut self, what: Withheld) {
        self.withheld.push(what);
    }

    /// Starts a round if none runs and something waits.
    pub fn begin_round(&mut self) {
        if self.running.is_some() || self.waiting.is_empty() && self.withheld.is_empty() {
            return;
        }
        let (jobs, withheld) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.withheld));
        // Where order is kept a round covers everything, whatever it is for.
        self.is_dirty = !self.disk.keeps_order();
        let files: BTreeSet<String> = jobs.iter().flat_map(|job| job.files.iter().cloned()).collect();
        let fresh: BTreeSet<String> = files.intersection(&self.fresh).cloned().collect();
        self.fresh.retain(|file| !fresh.contains(file));
        let renames: Vec<(String, String)> = jobs.iter().filter_map(|job| Some((job.files[..].first()?.clone(), job.replaces.clone()?))).collect();
        let named = fresh.iter().chain(renames.iter().map(|(_, path)| path)).map(|path| directory(path).to_owned());
        let mut directories: BTreeSet<String> = named.chain(jobs.iter().filter_map(|job| job.removed_in.clone())).collect();
        for directory_of in directories.clone() {
            directories.extend(self.new_ancestors(&directory_of));
        }
        let all = !withheld.is_empty();
        let result = Box::pin(reach_platter(self.disk.clone(), all, files.into_iter().collect(), renames, directories.into_iter().collect()));
        self.running = Some(Running { jobs, withheld, fresh, result });
    }

    /// The directories above that are not known to be durable, noted as such: an error ends the replicas below them anyway.
    fn new_ancestors(&mut self, path: &str) -> Vec<String> {
        let mut ancestors = Vec::new();
        let mut path = path;
        while !path.is_empty() && self.durable_directories.insert(path.to_owned()) {
            path = directory(path);
            ancestors.push(path.to_owned());
        }
        ancestors
    }

    /// The round under way, when it ends; never without one. Cancel-safe.
    pub async fn round_finished(&mut self) -> Round {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let result = (&mut running.result).await;
        let Running { jobs, withheld, fresh, .. } = self.running.take().expect("it was there");
        // An io::Error cannot be cloned: its kind and words can.
        let outcome = || result.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
        let mut round = Round { done: Vec::new(), freed: Vec::new(), released: outcome().map(|()| withheld) };
        if result.is_err() {
            self.fresh.extend(fresh);
        }
        for job in jobs {
            if let Some(path) = job.replaces {
                round.freed.extend(self.replacing.remove(&path).expect("it was being replaced"));
                self.known.insert(path);
            }
            round.done.push((job.node, job.op, outcome()));
        }
        round
    }
}

/// `all`: whatever was written, which is every sync's where order is kept.
async fn reach_platter(disk: Arc<dyn Disk>, all: bool, files: Vec<String>, renames: Vec<(String, String)>, directories: Vec<String>) -> io::Result<()> {
    if all || !files.is_empty() {
        disk.sync(&files).await?;
    }
    for (from, to) in &renames {
        disk.rename(from, to)?;
    }
    for directory in &directories {
        disk.sync_dir(directory).await?;
    }
    Ok(())
}
