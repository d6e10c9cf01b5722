//! What every implementation of a port must do, as bodies of tests that take the implementation.

pub mod disk;
pub mod log;
pub mod proxy;
