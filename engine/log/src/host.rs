//! Runs broker cores.
