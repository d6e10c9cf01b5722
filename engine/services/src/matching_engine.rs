//! matching_engine
