//! `exchange up` as its users see it: a process, a web interface, a disk.

mod disk;
mod echo;
mod gateway;
mod process;

pub use disk::Disk;
pub use echo::Echo;
pub use gateway::{Account, Answer};
pub use process::Exchange;
