//! Order flow.
