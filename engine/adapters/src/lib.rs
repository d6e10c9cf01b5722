//! `adapters`
