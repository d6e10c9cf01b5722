//! This process as the kernel sees it: CPU time and resident memory of one seed.

use std::fs;

/// User and system time of this process so far, ms.
pub fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command in parentheses may hold blanks: count from behind it. Fields 14 and 15 are ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10
}

/// Lets the kernel forget the highest resident memory so far.
pub fn forget_peak() {
    // Where /proc is not Linux's, the peak is that of the whole process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Highest resident memory since then, kB.
pub fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
