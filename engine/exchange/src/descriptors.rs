//! Files and connections draw on one number of descriptors. Whoever connects must not take those of the log: it would end for want of one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More are not asked for, however many the system would give.
const WANTED: u64 = 1 << 16;

/// The log's files (`OPEN_FILES_MAX` of its disk), the database's, and what a process has anyway.
const FILES: u64 = 512 + 64;

/// How many connections may be open at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub http: usize,
    pub log: usize,
}

/// Raises this process's limit as far as it may, and divides what files leave of it.
pub fn room() -> Room {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    let now = limit.current.unwrap_or(WANTED);
    if now < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).is_ok() {
        return divided(wanted);
    }
    divided(now)
}

fn divided(descriptors: u64) -> Room {
    let left = descriptors.saturating_sub(FILES) as usize;
    Room { http: (left / 2).clamp(16, 16_384), log: (left / 4).clamp(16, 1_024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_first() {
        assert_eq!(divided(65_536), Room { http: 16_384, log: 1_024 });
        for descriptors in [608, 640, 1_024, 4_096, 20_000] {
            let Room { http, log } = divided(descriptors);
            assert!(http >= 16 && log >= 16 && (http + log) as u64 + FILES <= descriptors, "{descriptors}");
        }
        assert_eq!(divided(64), Room { http: 16, log: 16 });
    }
}
