//! A worker of a sweep: reads one task a line, answers one report a line. Every seed runs on a fresh OS thread, after one discarded warm-up.

use super::one;
use scenarios::verdict::SeedReport;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One seed to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    pub seed: u64,
    pub scenario: Option<String>,
}

/// The worker's side.
pub fn run() -> u8 {
    let stdin = std::io::stdin().lock();
    for line in stdin.lines() {
        let Ok(line) = line else { return 0 };
        let task: Task = serde_json::from_str(&line).expect("only a parent of this build writes to a worker");
        let plan = one::drawn(task.seed, task.scenario.as_deref()).expect("the parent knows the scenarios");
        let done = one::judge_measured(&plan).expect("a drawn plan is sound");
        let report = serde_json::to_string(&done.report).expect("a report has no unserialisable part");
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{report}").and_then(|()| stdout.flush()).is_err() {
            return 0;
        }
        if done.thread_is_lost {
            return 0;
        }
    }
    0
}

/// The parent's side: a child process that is started again when it has ended.
pub struct Worker {
    live: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Worker {
    pub fn new() -> Self {
        Worker { live: None }
    }

    /// Runs one seed; an error is the end of the process without a report.
    pub fn judge(&mut self, task: &Task) -> Result<SeedReport, String> {
        let (_, stdin, stdout) = match &mut self.live {
            Some(live) => live,
            None => self.live.insert(start()?),
        };
        let line = serde_json::to_string(task).expect("a task has no unserialisable part");
        let mut answer = String::new();
        let told = writeln!(stdin, "{line}").and_then(|()| stdin.flush()).and_then(|()| stdout.read_line(&mut answer));
        match told {
            Ok(bytes) if bytes > 0 => serde_json::from_str(&answer).map_err(|error| format!("a worker answered `{}`: {error}", answer.trim_end())),
            _ => {
                let status = self.end();
                Err(format!("the worker process ended in the middle of the seed ({status})"))
            }
        }
    }

    /// Ends the process; the next seed starts another.
    pub fn end(&mut self) -> String {
        let Some((mut child, stdin, _)) = self.live.take() else { return "not running".to_owned() };
        drop(stdin);
        match child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

fn start() -> Result<(Child, ChildStdin, BufReader<ChildStdout>), String> {
    let program = std::env::current_exe().map_err(|error| format!("where this program lies: {error}"))?;
    let spawned = Command::new(program).arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut child = spawned.map_err(|error| format!("starting a worker: {error}"))?;
    let stdin = child.stdin.take().expect("it was piped");
    let stdout = child.stdout.take().expect("it was piped");
    Ok((child, stdin, BufReader::new(stdout)))
}
