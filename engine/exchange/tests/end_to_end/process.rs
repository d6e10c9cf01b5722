//! An `exchange up` of a test's own: its place, its process, its end.

use runtime::rng::Rng;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Partitions of every topic.
pub const PARTITIONS: u32 = 2;

/// How long a process may take to start or to end before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory and two addresses: what several lives of one exchange share.
pub struct Place {
    dir: TempDir,
    pub http: String,
    pub log: String,
}

/// A process that is ended when the test ends, however it ends.
pub struct Exchange {
    child: Child,
}

/// An address that nobody uses now, below the range of which the system gives ports to those who connect: a client that tries while nobody listens
/// would else now and then get the very port and speak with itself.
fn free_address() -> String {
    let mut rng = Rng::of_node("port");
    let candidates = std::iter::repeat_with(|| format!("127.0.0.1:{}", rng.range(10_000..30_000)));
    candidates.take(1_000).find(|address| TcpListener::bind(address).is_ok()).expect("one of a thousand ports is free")
}

/// The command itself, with a subcommand.
pub fn exchange(subcommand: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exchange"));
    command.arg(subcommand);
    command
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("a temporary directory"), http: free_address(), log: free_address() }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file beside the data.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("writable");
        path
    }

    /// `exchange up` here.
    pub fn up(&self) -> Command {
        let mut command = exchange("up");
        command.arg("--data").arg(self.data()).args(["--listen", &self.http, "--log-listen", &self.log, "--partitions", &PARTITIONS.to_string()]);
        command
    }

    /// Starts it; it may not answer yet.
    pub fn start(&self) -> Exchange {
        Exchange::spawn(self.up())
    }
}

impl Exchange {
    pub fn spawn(mut command: Command) -> Exchange {
        Exchange { child: command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts") }
    }

    pub fn kill_nine(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was our child");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill -{name}");
    }

    /// SIGTERM, and the exit code of an exchange that stopped in good order.
    pub fn stop(self) {
        self.signal("TERM");
        let (code, said) = self.end();
        assert_eq!(code, Some(0), "SIGTERM ends it in good order: {said}");
    }

    /// Exit code and what it said, when it has ended.
    pub fn end(mut self) -> (Option<i32>, String) {
        let by = Instant::now() + PATIENCE;
        while self.is_running() {
            assert!(Instant::now() < by, "it has not ended within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().expect("piped"), &mut said).expect("text");
        (self.child.wait().expect("it was our child").code(), said)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that ends by itself; its exit code, and both its outputs as text.
pub fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}
