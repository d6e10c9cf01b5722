//! One row, one file.

mod thin_path;
