//! `faults`
