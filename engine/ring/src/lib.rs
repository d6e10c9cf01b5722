//! `ring`
