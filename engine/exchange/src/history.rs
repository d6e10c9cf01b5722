//! `--history FILE`: every fact taken at the ports, as JSON Lines, in the schema that the simulator's checkers read.

use anyhow::{Context, Result};
use log::Event;
use log::history::{Observer, SharedObserver, Silent};
use serde::Serialize;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Writes each fact as it is taken: what a `kill -9` leaves is whole but for its last line.
struct JsonLines(Mutex<LineWriter<File>>);

#[derive(Serialize)]
struct Line<'e> {
    /// Microseconds of the monotonic clock.
    at_us: u64,
    event: &'e Event,
}

impl Observer for JsonLines {
    fn is_on(&self) -> bool {
        true
    }

    fn observe(&self, event: Event) {
        let mut line = serde_json::to_vec(&Line { at_us: runtime::time::monotonic_us(), event: &event }).expect("facts are JSON");
        line.push(b'\n');
        // A history that cannot be written must not stop the exchange.
        let _ = self.0.lock().expect("nothing panics while it holds this lock").write_all(&line);
    }
}

/// Appends to `path`; without one nobody listens.
pub fn open(path: Option<&Path>) -> Result<SharedObserver> {
    let Some(path) = path else { return Ok(Arc::new(Silent)) };
    let file = File::options().create(true).append(true).open(path).with_context(|| format!("--history {}", path.display()))?;
    Ok(Arc::new(JsonLines(Mutex::new(LineWriter::new(file)))))
}
