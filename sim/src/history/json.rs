//! JSON Lines: one entry a line, for people and for tools.

use super::Entry;
use std::io::{self, Write};

/// One entry as a line, without the newline.
pub fn to_json_line(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("an entry has no part that JSON cannot say")
}

/// Writes entries, one a line.
pub fn write_json_lines(entries: &[Entry], to: &mut dyn Write) -> io::Result<()> {
    for entry in entries {
        writeln!(to, "{}", to_json_line(entry))?;
    }
    to.flush()
}

/// Reads one line back; the error names the line (from 1).
pub fn from_json_line(number: usize, line: &str) -> Result<Entry, String> {
    serde_json::from_str(line).map_err(|error| format!("history line {number}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Event;

    #[test]
    fn a_line_comes_back() {
        let entry = Entry { ordinal: 3, at_us: 7, node: "broker-1".into(), event: Event::Service { name: "x".into(), up: true, why: "started".into() } };
        let mut lines = Vec::new();
        write_json_lines(std::slice::from_ref(&entry), &mut lines).unwrap();
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(from_json_line(1, text.trim_end()).unwrap(), entry);
        assert!(from_json_line(4, "{}").unwrap_err().starts_with("history line 4: missing field"));
    }
}
