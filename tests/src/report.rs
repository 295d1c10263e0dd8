//! Figures that a reader of a test's output wants to see even when nothing failed.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Writes a line to the standard error. The test runner shows it, as it holds back only what is printed.
pub fn line(text: Arguments<'_>) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}
