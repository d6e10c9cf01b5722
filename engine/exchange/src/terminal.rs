//! Words for whoever sits before the terminal, or has gone: `println!` and `eprintln!` panic when the other end of a pipe is closed, which would end an
//! exchange because a pager did.

use anyhow::{Context, Result};
use std::fmt;
use std::io::{ErrorKind, Write};

/// Nobody reads any more (`exchange tail … | head -1`): no error, there is just nothing left to do.
#[derive(Debug)]
pub struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the standard output any more")
    }
}

impl std::error::Error for Unread {}

/// A line of what was asked for.
///
/// # Errors
/// [`Unread`], or it cannot be written.
pub fn line(words: fmt::Arguments<'_>) -> Result<()> {
    match std::io::stdout().write_fmt(format_args!("{words}\n")) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Unread.into()),
        written => written.context("standard output"),
    }
}

/// A line beside what is done, which goes on whether anybody reads it or not.
pub fn aside(mut to: impl Write, words: fmt::Arguments<'_>) {
    let _ = to.write_fmt(format_args!("{words}\n"));
}

/// Prints what was asked for; an error if it cannot be, [`Unread`] if nobody reads.
macro_rules! say {
    ($($words:tt)*) => { $crate::terminal::line(format_args!($($words)*)) };
}

/// To standard output, heard or not.
macro_rules! announce {
    ($($words:tt)*) => { $crate::terminal::aside(std::io::stdout(), format_args!($($words)*)) };
}

/// To standard error, heard or not.
macro_rules! tell {
    ($($words:tt)*) => { $crate::terminal::aside(std::io::stderr(), format_args!($($words)*)) };
}

pub(crate) use {announce, say, tell};
