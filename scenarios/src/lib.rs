//! `scenarios`
