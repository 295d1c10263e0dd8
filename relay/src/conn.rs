//! How connections are named.

/// A connection, as the shell numbers it; never used twice in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId(u64);

impl ConnId {
    /// From the shell's number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The shell's number.
    pub const fn get(self) -> u64 {
        self.0
    }
}
