//! A reference model of a group's membership: the plainest reading of section 3 of the rules, written apart from the
//! resolver and sharing nothing with it, so that the two can be compared over random worlds. It costs whatever it costs.
//!
//! [`resolve`] is rules 1 to 14 and 16, [`entries_count`] is rule 15, and
//! [`World::random`] makes worlds to compare over; [`Anchored`] is what is left out for its device's fork.
//!
//! Where the text leaves a choice, this is how it is read here; each is said again at its function:
//!
//! 1. *Which group.* Its Create is named by the caller; any other Create is malformed, and so is what stands on it.
//! 2. *Number below 4,096.* A matter of form. Which operations are left out since their device gave one number twice
//!    is told by [`Anchored`]; the rules themselves look at no number.
//! 3. *Add* names nobody who is in; *SetRole* names a member. What counts as lowering is the rank, not the role: else a
//!    junior could grant an elder the elder's own role, and so make the elder's generation greater than theirs.
//! 4. *Remove of oneself* is not allowed: there is Leave.
//! 5. *Role or policy permits*: owners and admins do everything, but for what the policy says of who adds (bits
//!    [`POLICY_MEMBERS_ADD`], [`POLICY_OWNERS_ADD`]); members leave. The acting owner may do what an owner may, but ranks
//!    and grants by its recorded role.
//! 6. *A revoked device* writes no allowed operation on top of its revocation, as if its author were out.
//! 7. *DeviceRevoke and Create* always count, a DeviceRevoke if it knows what it cuts at: nothing kills them, neither the
//!    carrier's standing nor another DeviceRevoke.
//! 8. *A successor*: Leave with one is a grant of (successor, owner) too. The last owner must name one; only a recorded
//!    owner may; it is another member, whom it raises.
//! 9. *The creator's generation* 0 is that of the Create's grant: a later grant to the creator gives another one.
//! 10. *The last rank* of a past member comes from the causally maximal of their counting grants.
//! 11. *Removes the right that it needs*: Remove and DeviceRevoke take all rights. A lowering SetRole takes it if its
//!     target could not do it, in the same view, with the rank that the lowering states, and not acting as owner.
//! 12. *A cut* takes the place of past(r), also for what is in past(r). A device's head covers itself and its past; a
//!     head outside past(r) makes r not allowed. Only the head of an operation's own device is looked at.
//! 13. *Already removed* (rule 11): had a counting grant and is out, by a Remove or a Leave. Not: unknown there.
//! 14. *The lowest role* is the least powerful, *the lowest rank* (settings) the least number, so the most senior.
//! 15. *Entries*: removals are Remove and DeviceRevoke, not Leave. One without a cut leaves no entry whose heads do
//!     not know it. Both kinds must be satisfied: some Remove's cut, and every DeviceRevoke's. Heads include themselves.
//!     Heads that are not held: the entry does not count (yet).
//! 16. *The cap*: an Add is allowed while fewer are in.
//! 17. *A grant beside another one* (rule 12) that gives a lower role is passed over if its author stood below the rank
//!     that the other gives: else a junior who pretends not to know an elder could lower the elder's role by an Add.

mod allowed;
mod anchored;
mod counting;
mod entries;
mod fact;
mod op;
mod random;
mod resolver;
mod seats;
mod view;

#[cfg(test)]
mod tests;

pub use anchored::{Anchored, Numbers};
pub use entries::{Entry, entries_count, entry_counts};
pub use op::{
    Cut, Device, EntryId, Field, Group, Kind, NUMBER_MAX, Op, OpId, PARENTS_MAX, POLICY_MEMBERS_ADD,
    POLICY_OWNERS_ADD, Role, User,
};
pub use random::World;
pub use resolver::{Model, Resolved, resolve};
pub use view::{Member, Rank, Rule, View};
