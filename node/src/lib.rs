//! Undertone as a library: private chat with no company in the middle.

pub mod net;
