//! Which files there are: a name, the number of the file that has it, and how long it is. Where the bytes stand is another matter: a file keeps its
//! place on the disk under every name, so that a rename touches nothing but this table, and doing the same operations again comes out the same.

use super::record::{FileId, Op, u32_at, u64_at};
use std::collections::BTreeMap;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place, relative to the directory: the name it was made with, and its number.
    pub place: String,
    /// Bytes that count; there may be more in its place.
    pub len: u64,
}

/// Does a path end in a file's number?
pub fn is_place(path: &str) -> bool {
    path.rsplit_once('~').is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// All files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    names: BTreeMap<String, FileId>,
    files: BTreeMap<FileId, Stored>,
    next: FileId,
}

/// What an operation left behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// A file without a name, and its place.
    pub file: Option<(FileId, String)>,
}

impl Table {
    /// Files that were there before there was a journal: their names are their places.
    pub fn adopt(found: Vec<(String, u64)>) -> Table {
        let mut table = Table::default();
        for (name, len) in found {
            let file = table.fresh();
            table.next += 1;
            table.files.insert(file, Stored { place: name.clone(), len });
            table.names.insert(name, file);
        }
        table
    }

    /// The number of the next file.
    pub fn fresh(&self) -> FileId {
        self.next
    }

    pub fn named(&self, name: &str) -> Option<FileId> {
        self.names.get(name).copied()
    }

    pub fn stored(&self, file: FileId) -> Option<&Stored> {
        self.files.get(&file)
    }

    pub fn files(&self) -> impl Iterator<Item = (FileId, &Stored)> {
        self.files.iter().map(|(file, stored)| (*file, stored))
    }

    /// Names that begin with `prefix`, with lengths, by name.
    pub fn list(&self, prefix: &str) -> Vec<(String, u64)> {
        let below = self.names.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        below.map(|(name, file)| (name.clone(), self.files[file].len)).collect()
    }

    /// Applies one operation. `Err`: it does not fit what is there, which a journal that was written in order cannot say.
    pub fn apply(&mut self, op: Op<'_>) -> Result<Gone, String> {
        match op {
            Op::Create { file, name } => {
                if file < self.next || self.names.contains_key(name) {
                    return Err(format!("file {file} {name:?} is made a second time"));
                }
                self.next = file + 1;
                self.files.insert(file, Stored { place: format!("{name}~{file}"), len: 0 });
                self.names.insert(name.to_owned(), file);
            }
            Op::Append { file, offset, bytes } => {
                let stored = self.files.get_mut(&file).filter(|stored| stored.len == offset).ok_or_else(|| format!("file {file} does not end at {offset}"))?;
                stored.len += bytes.len() as u64;
            }
            Op::Truncate { file, len } => {
                let stored = self.files.get_mut(&file).filter(|stored| stored.len >= len).ok_or_else(|| format!("file {file} is shorter than {len}"))?;
                stored.len = len;
            }
            Op::Rename { from, to } => {
                let file = self.names.remove(from).ok_or_else(|| format!("file {from:?} gets another name and is not there"))?;
                let replaced = self.names.insert(to.to_owned(), file);
                return Ok(replaced.filter(|replaced| *replaced != file).map_or_else(Gone::default, |replaced| self.forget(replaced)));
            }
            Op::Remove { name } => {
                let file = self.names.remove(name).ok_or_else(|| format!("file {name:?} is removed and is not there"))?;
                return Ok(self.forget(file));
            }
        }
        Ok(Gone::default())
    }

    fn forget(&mut self, file: FileId) -> Gone {
        let stored = self.files.remove(&file).expect("a name belongs to a file");
        Gone { file: Some((file, stored.place)) }
    }

    /// As bytes: next number u64, count u32, then number u64, length u64, name length u32, place length u32, name, place.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.next.to_le_bytes());
        out.extend(u32::try_from(self.names.len()).expect("below four billion files").to_le_bytes());
        for (name, file) in &self.names {
            let stored = &self.files[file];
            out.extend(file.to_le_bytes());
            out.extend(stored.len.to_le_bytes());
            out.extend(u32::try_from(name.len()).expect("a name is short").to_le_bytes());
            out.extend(u32::try_from(stored.place.len()).expect("a name is short").to_le_bytes());
            out.extend(name.as_bytes());
            out.extend(stored.place.as_bytes());
        }
    }

    /// From bytes whose checksum was right.
    pub fn decode(bytes: &[u8]) -> Option<Table> {
        let mut table = Table { next: u64_at(bytes.get(..12)?, 0), ..Table::default() };
        let count = u32_at(bytes, 8);
        let mut rest = &bytes[12..];
        for _ in 0..count {
            let (numbers, behind) = rest.split_at_checked(24)?;
            let (file, len) = (u64_at(numbers, 0), u64_at(numbers, 8));
            let (name, behind) = behind.split_at_checked(u32_at(numbers, 16) as usize)?;
            let (place, behind) = behind.split_at_checked(u32_at(numbers, 20) as usize)?;
            rest = behind;
            table.names.insert(String::from_utf8(name.to_vec()).ok()?, file);
            table.files.insert(file, Stored { place: String::from_utf8(place.to_vec()).ok()?, len });
        }
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_keeps_its_place_and_the_one_it_replaces_is_gone() {
        let mut table = Table::adopt(vec![("a".into(), 5)]);
        assert_eq!(table.apply(Op::Create { file: 1, name: "a.tmp" }), Ok(Gone::default()));
        assert_eq!(table.apply(Op::Append { file: 1, offset: 0, bytes: b"new" }), Ok(Gone::default()));
        assert_eq!(table.apply(Op::Rename { from: "a.tmp", to: "a" }), Ok(Gone { file: Some((0, "a".into())) }));
        assert_eq!(table.list(""), [("a".to_owned(), 3)]);
        assert_eq!(table.stored(1).map(|stored| stored.place.as_str()), Some("a.tmp~1"));
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        assert_eq!(Table::decode(&bytes), Some(table.clone()));
        assert!(table.apply(Op::Create { file: 1, name: "b" }).is_err(), "numbers are not used twice");
        assert_eq!(table.apply(Op::Remove { name: "a" }), Ok(Gone { file: Some((1, "a.tmp~1".into())) }));
        assert_eq!(table.apply(Op::Create { file: 2, name: "a" }), Ok(Gone::default()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut table = Table::adopt(vec![("a".into(), 5)]);
        for op in [
            Op::Create { file: 0, name: "b" },
            Op::Create { file: 1, name: "a" },
            Op::Append { file: 0, offset: 4, bytes: b"x" },
            Op::Append { file: 9, offset: 0, bytes: b"x" },
            Op::Truncate { file: 0, len: 6 },
            Op::Rename { from: "none", to: "a" },
            Op::Remove { name: "none" },
        ] {
            assert!(table.apply(op).is_err(), "{op:?}");
        }
        assert_eq!(table, Table::adopt(vec![("a".into(), 5)]));
    }
}
