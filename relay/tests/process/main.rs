//! The real program: started, used, stopped and killed, and its store damaged.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy spares only the functions that are marked as tests"
)]

mod damage;
mod federation;
mod life;
mod sides;
