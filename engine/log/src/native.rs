//! The client of our own broker.
