//! A world in one thread: the real machines of nodes and relay, memory disks that lose what was not
//! committed, a network that delays, drops, doubles and reorders, clocks that are off, and crashes at every boundary
//! between deciding, committing and sending. One seed decides everything, so a seed that fails fails again.
//!
//! Most worlds seal with a deterministic model of the cryptography, one in sixteen with the real one. In some the relay lies
//! (`lies`): it withholds, repeats, shuffles and alters what its machine sends. In some one user's device is hostile
//! (`hostile`): it alters what its machine wants to say, and signs it anew. In every other one of these it is in a group with
//! the others, as a member or an admin, and lies about the membership too (`forged`): changes that it has no right to,
//! backdated, on top of what nobody knows, or with one number, another one to each; and more of them than there is room for.
//!
//! A [`Stage`] is the same machines without faults, led by a test. A world is driven in [`World::run`]. [`explore`] runs
//! many worlds; what does not hold in one becomes a [`Capsule`]: a world as small as it could be made, to be kept as a
//! [`Scenario`] in `tests/scenarios`.
//!
//! # What is looked at, and when
//!
//! | invariant | while a world runs (`watch`) | at rest (`peace`, `checks`) |
//! |---|---|---|
//! | 1 what was sent shows, or failed | what was *sent* is at the relay after each of its crashes | `Rest`, `Settled`, `Readable`: all devices have everything, nothing failed; `Kept`: what a user was told is kept, is there |
//! | 2 equal entries, equal view | | `Reference`: what each device shows is what `reference` makes of the signed entries; `Converged`: so it is of somebody who cheats; `Membership`: who is in a group holds the same operations as the others, leaves the same out, and shows what the model of the rules makes of them |
//! | 3 only members decrypt | `Members`: nothing more is sealed under a key that a device holds which is known to be revoked; `Turns`: a turn renews the sender key; `SealedOnce`: no key seals two things under one number | |
//! | 4 ticks are true | `Ticks`: none goes back; `TrueTicks`: who is said to have it, or to have read it, does; `Vouched`: without the relay's signature nothing is in custody | `ReadTicks`: all is read, and shows so on all own devices |
//! | 5 shown once | `Once`: told once | `Once`: stands there once |
//! | 6 crashes lose nothing | `Machines`, `Custody`: what was signed for is at the relay or at its device, after each crash of the relay; so is what a home relay said that it holds for another one | `Custody`, `Kept`; `Settled`: nothing waits at a home relay that lost it |
//! | 7 no bytes from outside harm | `Panic`, `Circles`; `Bounded`: no table beyond its limit, every so many steps | `Bounded` |
//! | 8 relays learn nothing | | `Blind`: neither texts nor identities on its disk |
//!
//! `Truth` (nothing shows that nobody said), `Blocked` and `Strangers` are more than these. Where the relay lies, what it
//! spoilt is not in custody, and may stay unopened; where somebody cheats, what is said of and to them may be anything, as
//! long as the devices of each contact agree. In some worlds there is a group (`group`), which all change at once:
//! `Membership`, all who are in hold the same operations, and show what the rules make of them; `Entitled`, nobody holds
//! what was written to a group in which they were not. Where a member cheats (`group::cheated`), that holds for the others, and
//! what these wrote is complete at each of them; of what the cheat wrote each shows what counts of what they hold, and all know
//! of the same fork. In some worlds messages in the group vanish (`vanishing`): `Vanished`, what is over by a device's clock
//! neither shows nor stays there.
//!
//! In worlds that are asked for (`WorldOptions::with_relays`) there are two to seven relays (`relays`): each device has one to
//! three of them, some devices don't reach one for a while, one is down for minutes, and one is lost for ever, or its disk is.
//! In every other one devices get other home relays, and give some up. In one of three relays lie to each other, and about what
//! devices hand in: they withhold, repeat, put off and alter parcels, what is answered to them, and what they tell devices of that.
//! All of the above holds there, too.
//!
//! In one of six worlds clocks of some devices are off by one to five days, for good; where they are not, by hours.

mod answers;
mod asking;
mod bounds;
mod calling;
mod capsule;
mod checks;
mod circle;
mod devices;
mod drawn;
mod drive;
mod failed;
mod faults;
mod forged;
mod group;
mod hostile;
mod lies;
mod listener;
mod many;
mod network;
mod node;
mod outages;
mod peace;
mod people;
mod peopling;
mod reference;
mod relay;
mod relays;
mod report;
mod scenario;
mod seen;
mod sent;
mod stage;
mod trace;
mod trunks;
mod user;
mod vanishing;
mod waiting;
mod watch;
mod world;

pub use capsule::Capsule;
pub use failed::{Check, Failed};
pub use faults::{Faults, Gap};
pub use many::{Explored, explore};
pub use report::Report;
pub use scenario::{CryptoKind, Scenario, WorldOptions};
pub use stage::Stage;
pub use world::World;

/// Replays one world, with `SEED=n` before it.
pub const REPLAY: &str = "cargo test -p undertone-tests --test simulation one_seed -- --nocapture";
