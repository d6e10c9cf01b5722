//! The names on a disk: as the page cache has them, as the platter has them, and what lies between.

use super::dir_of;
use runtime::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Something done to a directory and not yet synced.
#[derive(Debug, Clone)]
enum Change {
    Created(String, u64),
    Renamed(String, String, u64),
    Removed(String),
}

/// Names and inodes.
#[derive(Debug, Default)]
pub struct Names {
    cached: BTreeMap<String, u64>,
    platter: BTreeMap<String, u64>,
    /// In the order done; a journal keeps that order within a directory.
    pending: Vec<Change>,
}

impl Change {
    fn dir(&self) -> &str {
        match self {
            Change::Created(name, _) | Change::Removed(name) => dir_of(name),
            // Durable with the directory it came to.
            Change::Renamed(_, to, _) => dir_of(to),
        }
    }
}

impl Names {
    pub fn inode(&self, name: &str) -> io::Result<u64> {
        self.cached.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no file {name}")))
    }

    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        self.cached.range(prefix.to_string()..).take_while(move |(name, _)| name.starts_with(prefix)).map(|(name, inode)| (name.as_str(), *inode))
    }

    pub fn create(&mut self, name: &str, inode: u64) {
        self.cached.insert(name.to_string(), inode);
        self.pending.push(Change::Created(name.to_string(), inode));
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.inode(from)?;
        self.cached.remove(from);
        self.cached.insert(to.to_string(), inode);
        self.pending.push(Change::Renamed(from.to_string(), to.to_string(), inode));
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        self.inode(name)?;
        self.cached.remove(name);
        self.pending.push(Change::Removed(name.to_string()));
        Ok(())
    }

    /// How many changes of a directory a sync that begins now will cover.
    pub fn pending_of(&self, dir: &str) -> usize {
        self.pending.iter().filter(|change| change.dir() == dir).count()
    }

    /// The first `count` changes of a directory are durable.
    pub fn synced(&mut self, dir: &str, count: usize) {
        self.settle(|of| if of == dir { count } else { 0 });
    }

    /// Per directory a prefix of its changes is durable, the rest never happened; how many never happened.
    pub fn power_loss(&mut self, mut draw: impl FnMut(&str) -> Rng) -> u64 {
        let dirs: BTreeSet<String> = self.pending.iter().map(|change| change.dir().to_string()).collect();
        let kept: BTreeMap<String, usize> = dirs.into_iter().map(|dir| (dir.clone(), draw(&dir).below(self.pending_of(&dir) as u64 + 1) as usize)).collect();
        self.settle(|dir| kept[dir]);
        let lost = self.pending.len() as u64;
        self.pending.clear();
        self.cached = self.platter.clone();
        lost
    }

    /// What is below `prefix` is `files` from now on, in the cache and on the platter.
    pub fn replace_below(&mut self, prefix: &str, files: BTreeMap<String, u64>) {
        let is_below = |name: &str| name.starts_with(prefix);
        self.cached.retain(|name, _| !is_below(name));
        self.platter.retain(|name, _| !is_below(name));
        self.pending.retain(|change| match change {
            Change::Created(name, _) | Change::Removed(name) | Change::Renamed(_, name, _) => !is_below(name),
        });
        self.cached.extend(files.clone());
        self.platter.extend(files);
    }

    /// Moves to the platter the first `count(dir)` changes of each directory.
    fn settle(&mut self, count: impl Fn(&str) -> usize) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for change in std::mem::take(&mut self.pending) {
            let nth = seen.entry(change.dir().to_string()).or_default();
            *nth += 1;
            if *nth > count(change.dir()) {
                self.pending.push(change);
                continue;
            }
            match change {
                Change::Created(name, inode) => drop(self.platter.insert(name, inode)),
                Change::Removed(name) => drop(self.platter.remove(&name)),
                Change::Renamed(from, to, inode) => {
                    self.platter.remove(&from);
                    self.platter.insert(to, inode);
                }
            }
        }
    }

    /// Inode and name of everything on the platter.
    pub fn durable(&self) -> BTreeMap<u64, String> {
        self.platter.iter().map(|(name, inode)| (*inode, name.clone())).collect()
    }

    /// Every inode that a name leads to, or may lead to after a power loss.
    pub fn all_inodes(&self) -> BTreeSet<u64> {
        let pending = self.pending.iter().filter_map(|change| match change {
            Change::Created(_, inode) | Change::Renamed(_, _, inode) => Some(*inode),
            Change::Removed(_) => None,
        });
        self.cached.values().chain(self.platter.values()).copied().chain(pending).collect()
    }
}
