//! The running relay. One thread of its own owns the machine and the store; Tokio tasks own the
//! connections; bounded queues lie between them.

mod clock;
mod driver;
mod files;
mod run;
mod snapshot;

pub(crate) use driver::Control;
pub(crate) use files::DataDir;
pub(crate) use run::run;
pub(crate) use snapshot::Status;
