//! drop_rule
