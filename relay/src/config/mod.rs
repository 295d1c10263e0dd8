//! The relay's configuration: one TOML file. A key that nobody knows is an error, so that a typing error
//! in a limit can't leave the relay without it.

mod check;
mod error;
mod file;
mod settings;
#[cfg(test)]
mod tests;

pub use error::ConfigError;
pub use file::{TEMPLATE, load, parse};
pub use settings::{Backend, Config, Federation, Network, Tls};
