//! A node's disk: what is in the page cache and what is on the platter. A kill keeps the first, a power loss at least the second.

use crate::rng::Rng;
use broker::{DiskAnswer, DiskError};
use bytes::Bytes;
use std::collections::BTreeMap;

#[derive(Default, Clone)]
struct File {
    cache: Vec<u8>,
    /// `None`: the name itself is not durable.
    platter: Option<Vec<u8>>,
}

#[derive(Default)]
pub struct Disk {
    files: BTreeMap<String, File>,
    /// Every operation fails from now on.
    pub broken: bool,
}

impl Disk {
    pub fn listing(&self) -> Vec<(String, u64)> {
        self.files.iter().map(|(name, file)| (name.clone(), file.cache.len() as u64)).collect()
    }

    pub fn append(&mut self, name: &str, bytes: &[u8]) {
        self.files.entry(name.to_owned()).or_default().cache.extend_from_slice(bytes);
    }

    pub fn truncate(&mut self, name: &str, len: u64) {
        let file = self.files.get_mut(name).unwrap_or_else(|| panic!("truncates {name}, which does not exist"));
        assert!(len <= file.cache.len() as u64, "truncates {name} to {len}, beyond its end {}", file.cache.len());
        file.cache.truncate(len as usize);
    }

    pub fn replace(&mut self, name: &str, bytes: &[u8]) {
        self.files.insert(name.to_owned(), File { cache: bytes.to_vec(), platter: Some(bytes.to_vec()) });
    }

    pub fn remove(&mut self, name: &str) {
        self.files.remove(name).unwrap_or_else(|| panic!("removes {name}, which does not exist"));
    }

    pub fn read(&self, name: &str, offset: u64, len: u64) -> Result<DiskAnswer, DiskError> {
        let cache = &self.files.get(name).unwrap_or_else(|| panic!("reads {name}, which does not exist")).cache;
        let end = cache.len().min((offset + len) as usize);
        Ok(DiskAnswer::Bytes(Bytes::copy_from_slice(&cache[(offset as usize).min(end)..end])))
    }

    /// How much of each file a sync that begins now covers.
    pub fn begin_sync(&self, names: &[String]) -> Vec<(String, Vec<u8>)> {
        names.iter().filter_map(|name| Some((name.clone(), self.files.get(name)?.cache.clone()))).collect()
    }

    pub fn end_sync(&mut self, covered: Vec<(String, Vec<u8>)>) {
        for (name, bytes) in covered {
            if let Some(file) = self.files.get_mut(&name) {
                file.platter = Some(bytes);
            }
        }
    }

    /// Each file on its own keeps a prefix of its cache that is no shorter than what was durable of it; a name that never was durable may go.
    pub fn lose_power(&mut self, rng: &mut Rng) {
        let names: Vec<String> = self.files.keys().cloned().collect();
        for name in names {
            let file = self.files.get_mut(&name).expect("listed");
            match &file.platter {
                None if rng.chance(2) => drop(self.files.remove(&name)),
                None => file.cache.truncate(rng.below(file.cache.len() as u64 + 1) as usize),
                Some(platter) => {
                    let common = platter.iter().zip(&file.cache).take_while(|(a, b)| a == b).count();
                    let kept = common as u64 + rng.below((file.cache.len() - common) as u64 + 1);
                    file.cache.truncate(kept as usize);
                }
            }
        }
        for file in self.files.values_mut() {
            file.platter = Some(file.cache.clone());
        }
    }

    /// Flips a bit.
    pub fn corrupt(&mut self, name: &str, at: usize) {
        self.files.get_mut(name).expect("exists").cache[at] ^= 1;
    }

    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|file| file.cache.as_slice())
    }
}
