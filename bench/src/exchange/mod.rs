//! `exchange up` as its users see it: a process, a web interface, a disk.

mod disk;
mod gateway;
mod process;

pub use disk::Disk;
pub use gateway::Account;
pub use process::Exchange;
