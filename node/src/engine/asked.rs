//! What was asked of a relay and is not answered yet.

use undertone_protocol::ids::{Handle, PublishId, RelayId, UserId};
use undertone_protocol::keys::{BundleAccess, BundleFields};

use crate::store::SentItem;

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
    /// What is for another relay.
    Forward(PublishId),
    /// Another relay's.
    RoutingKey(RelayId),
    /// Where another one is.
    FindRelay(RelayId),
}

impl Asked {
    /// Whether it is something for others, that takes long to decide.
    pub(super) const fn is_upload(&self) -> bool {
        matches!(self, Self::Publish(_) | Self::Forward(_))
    }
}

/// A publish on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) publish_id: PublishId,
    pub(super) items: Vec<SentItem>,
    /// Whether some device has other mailboxes, too.
    pub(super) has_others: bool,
}
