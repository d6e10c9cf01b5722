//! The 64-byte message of a ring.
