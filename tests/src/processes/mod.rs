//! Real processes: relays and nodes as users start them, on real sockets and real files, killed by kill -9.
//!
//! Whatever waits does so for something that can be seen (a line, an event, a history), and no longer than
//! [`WAIT_MAX`]. Processes are killed, each by its own id, when what holds them is dropped.

mod files;
mod freeze;
mod isolated;
mod program;
mod relay;

mod memory;
mod search;
mod spot;
mod stage;
mod wait;

mod account;
mod person;
mod watch;

mod apart;
mod chat;

pub use account::Account;
pub use apart::Apart;
pub use chat::{Chat, Judged};
pub use files::put_copy;
pub use freeze::{freeze, thaw};
pub use isolated::isolated;
pub use memory::memory;
pub use person::Person;
pub use program::{Finished, Program, Running};
pub use relay::Relay;
pub use search::{Searched, Wanted, notations, raw, search};
pub use spot::Spot;
pub use stage::Stage;
pub use wait::{WAIT_MAX, until, until_after};
pub use watch::Watch;
