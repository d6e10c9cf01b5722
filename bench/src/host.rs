//! Where it was measured: printed above every table, and compared before any comparison.

use crate::measure::core_count;
use serde::{Deserialize, Serialize};
use std::fs;

/// What makes figures comparable. Two hosts are the same if all of it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Model of the processor.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory, rounded to GiB.
    pub memory_gib: u64,
    /// Operating system and its release.
    pub kernel: String,
    /// Whether a hypervisor is below.
    pub is_virtual: bool,
}

impl Host {
    /// This one.
    pub fn here() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let memory_kib: u64 = field(&read("/proc/meminfo"), "MemTotal").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        Host {
            name: read("/proc/sys/kernel/hostname").trim().to_owned(),
            processor: field(&cpuinfo, "model name"),
            cores: core_count(),
            memory_gib: (memory_kib + (1 << 19)) >> 20,
            kernel: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
            is_virtual: field(&cpuinfo, "flags").split(' ').any(|flag| flag == "hypervisor"),
        }
    }

    /// The first thing in which the other differs, as a person says it.
    pub fn difference(&self, other: &Host) -> Option<String> {
        let pairs = [
            ("name", self.name.clone(), other.name.clone()),
            ("processor", self.processor.clone(), other.processor.clone()),
            ("cores", self.cores.to_string(), other.cores.to_string()),
            ("memory_gib", self.memory_gib.to_string(), other.memory_gib.to_string()),
            ("kernel", self.kernel.clone(), other.kernel.clone()),
            ("is_virtual", self.is_virtual.to_string(), other.is_virtual.to_string()),
        ];
        pairs.into_iter().find(|(_, here, there)| here != there).map(|(field, here, there)| format!("{field}: here `{here}`, there `{there}`"))
    }

    /// What stands in the way of believing absolute figures, now.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_virtual {
            warnings.push("virtual machine".to_owned());
        }
        if load() > 0.2 {
            warnings.push(format!("others compute too (load {:.1})", load()));
        }
        if read("/sys/devices/system/cpu/isolated").trim().is_empty() {
            warnings.push("no isolated cores".to_owned());
        }
        warnings
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} cores, {} GiB, {}", self.processor, self.cores, self.memory_gib, self.kernel)
    }
}

/// Threads that computed or wanted to, averaged over the last minute.
pub fn load() -> f64 {
    read("/proc/loadavg").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Memory of this process in huge pages, now.
pub fn huge_pages_mib() -> u64 {
    field(&read("/proc/self/smaps_rollup"), "AnonHugePages").split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) >> 10
}

/// Of a file that may not exist on this system.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_host_is_told_by_the_field_that_differs() {
        let here = Host::here();
        assert_eq!(here.difference(&here.clone()), None);
        let there = Host { cores: here.cores + 62, ..here.clone() };
        assert_eq!(here.difference(&there), Some(format!("cores: here `{}`, there `{}`", here.cores, here.cores + 62)));
    }

    #[test]
    fn fields_are_read_by_their_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: EPYC 9R14\n";
        assert_eq!(field(text, "model name"), "EPYC 9R14");
        assert_eq!(field(text, "absent"), "");
    }
}
