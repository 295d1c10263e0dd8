//! What was asked of a relay and is not answered yet.

use undertone_protocol::ids::{DeviceId, Handle, PayloadHash, PublishId, UserId};
use undertone_protocol::keys::{BundleAccess, BundleFields};
use undertone_protocol::token::TokenGrant;

/// A bundle that was asked for.
#[derive(Debug, Clone)]
pub(super) struct BundleWant {
    pub(super) user: UserId,
    pub(super) access: BundleAccess,
}

/// What was asked of a relay and is not answered yet.
#[derive(Debug)]
pub(super) enum Asked {
    Register,
    Attach,
    /// With the number that it says.
    PutCheckpoint(u64),
    /// With what it says.
    PutBundle(Box<BundleFields>),
    /// With its prekeys.
    RemoveBundle,
    /// That a mailbox takes nothing more.
    Shut,
    PutPrekeys,
    PutIntroduction(Handle),
    Revoke(Vec<Handle>),
    FetchBundle(BundleWant),
    Publish(InFlight),
}

/// A publish on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) publish_id: PublishId,
    pub(super) items: Vec<InFlightItem>,
    /// Whether some device has other mailboxes, too.
    pub(super) has_others: bool,
}

/// One item of a publish on its way: which outbox item, for which devices, in the route's order.
#[derive(Debug)]
pub(super) struct InFlightItem {
    pub(super) outbox: u64,
    pub(super) payload_hash: PayloadHash,
    pub(super) devices: Vec<DeviceId>,
    /// By which tokens, in the same order.
    pub(super) tokens: Vec<TokenGrant>,
}
