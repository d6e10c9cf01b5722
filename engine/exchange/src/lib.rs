//! `exchange`
