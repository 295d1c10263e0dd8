//! Power cuts: the stores of relay and node on a disk whose power fails at a random instant.
//!
//! A writer process (the real store) works on an ext4 image that is mounted through a loop device, and prints
//! each record once it is acknowledged. At a random instant all its threads are stopped and the image is
//! copied: the copy has what was written to the device, and nothing of what was still in memory. The copy is
//! mounted, and a second process opens the store there and compares it with what was acknowledged.
//!
//! The power goes while the store is made or opened (also while it recovers from the cut before), right after that,
//! or while records are written, in turn.
//!
//! This shows whether what is acknowledged depends on the page cache: a missing `fsync` of a file or of a
//! directory, or a wrong order of them. It does not show a drive that lies: what reached the loop device counts
//! as durable, whether or not a flush followed.
//!
//! The file system is mounted with a long `commit=`, so that it writes its own journal only when it is told to,
//! and without `auto_da_alloc`, which forgives a rename without a sync. Copying waits until no thread is in a
//! system call any more, and a copy counts when it equals the image after it was taken: the image did not
//! change meanwhile, so the copy is no mixture of two moments.

mod cut;
mod disk;
mod messages;
mod new_relay;
mod node;
mod record;
mod relay;
mod subject;

pub mod cli;

pub use cut::{Cuts, Report, Start};
pub use disk::{Image, Mount};
pub use subject::Subject;
