//! Load on a real relay: one process for the relay, with its store on disk and a sync before every answer, and some for
//! its clients, which speak the real protocol through the real transport and put checkpoints as a node does. This one
//! starts them, tells them when to begin, and puts together what they measured.
//!
//! What is measured is the relay's: its CPU time, its memory, its disk. Payloads are pseudo-random bytes
//! of the length that was asked for, in place of sealed ones: a relay can't tell them apart, and sealing
//! is the clients' work. Every run checks that each message arrived once and unchanged.

mod client;
mod clients;
mod fan_out;
mod forward;
mod forwarder;
mod group;
mod idle;
mod letters;
mod offline;
mod options;
mod pairs;
mod process;
mod report;
mod run;
mod share;
mod sides;
mod stage;
mod wire;

pub use run::run_from;
pub use share::clients_from;
