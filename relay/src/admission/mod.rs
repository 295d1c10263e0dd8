//! Who may do what: connections, rates, mailbox ownership and delivery tokens
//! (`spec/relay.md`, `spec/tokens.md`).
//!
//! Tokens are recomputed, not stored. What is stored: for each mailbox a hash of its owner's key, the
//! secret K with its epoch, revoked prefixes, and the uses of introductions; and the uses of the operator's invitations.

mod attaches;
mod checkpoint;
mod connections;
mod introductions;
mod invitations;
mod ownership;
mod record;
mod rates;
mod revocation;
mod tokens;

pub(crate) use attaches::AttachRates;
pub(crate) use checkpoint::{checkpoint, put_checkpoint};
pub(crate) use connections::{Connections, Peer};
pub(crate) use introductions::{Charged, put_introduction, take_use};
pub(crate) use invitations::{Invitation, sweep_invitations};
pub(crate) use ownership::{Registering, forget_generation, register};
pub(crate) use rates::{Rate, RateClock, TooFast};
pub(crate) use record::{Mailbox, owned};
pub(crate) use revocation::{revoke, sweep};
pub(crate) use tokens::{Claim, NotCharged, TokenRates, Verdict, charge, check};
