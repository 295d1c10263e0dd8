//! What a sender makes of a relay's answer (`spec/receipts.md`).

mod next;

pub use next::{Next, retry_delay};

#[cfg(test)]
mod tests;
