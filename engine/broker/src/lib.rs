//! `broker`
