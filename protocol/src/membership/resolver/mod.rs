//! Who is in: a function of a set of operations, kept up to date as operations come (`spec/groups.md`, "Rules").
//!
//! Each operation is judged once, in the view of its past ([`judge`]); which judged operations count in a set
//! ([`world`]) follows by rank. One world stands at everything that is held; a few more stand at pasts, near to
//! those that are asked for next. No order of arrival decides anything: it only numbers the rows.

mod anchored;
mod bits;
mod engine;
mod entries;
mod graph;
mod judge;
mod standing;
mod table;
mod view;
mod world;

pub use anchored::Anchored;
pub use engine::{Forbidden, PlaceError, Placed, Resolver, UnknownHead, Verdict};
pub use entries::{EntryPlace, EntryVerdict};
pub use view::{Link, Member, View};
