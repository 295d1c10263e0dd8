use crate::codec::{Malformed, Signed};
use crate::ids::{EntryId, Handle, UserId};
use crate::keys::{BundleAccess, DeliveryGrant, Name};
use crate::limits::{ACCOUNT_ADDRESSES_MAX, ENTRY_HEADS_MAX};
use crate::time::Timestamp;
use crate::wire;

/// What a user's devices know of another user (`spec/devices.md`). The causally maximal record counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Of whom.
    pub user: UserId,
    /// The records of this user that the author knew, at most 16.
    pub replaces: Vec<EntryId>,
    /// How the acquaintance stands.
    pub state: AccountState,
    /// What the user calls them.
    pub name: Name,
    /// Whether the user compared safety numbers.
    pub verified: bool,
    /// The handle of the token that they have.
    pub token: Handle,
    /// The invitation that was answered, by either side.
    pub invitation: Option<Handle>,
    /// Their newest list known; its signature is checked by whoever takes it.
    pub device_list: Option<Signed>,
    /// Where their bundles lie; at most 32.
    pub bundles: Vec<BundleAccess>,
    /// Their mailboxes, with the right to deliver; at most 32.
    pub grants: Vec<DeliveryGrant>,
}

/// How an acquaintance stands, as one's own devices tell each other. Of two concurrent records the one with
/// the greater state counts: blocked over declined over accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountState {
    /// We asked.
    Requesting,
    /// They asked.
    Requested,
    /// Both want to talk.
    Accepted,
    /// They asked, and were turned down.
    Declined,
    /// The user wants nothing from them.
    Blocked {
        /// Since when.
        since: Timestamp,
        /// What they were before.
        was: BlockedFrom,
    },
}

/// The states that somebody can be blocked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockedFrom {
    /// [`AccountState::Requesting`].
    Requesting,
    /// [`AccountState::Requested`].
    Requested,
    /// [`AccountState::Accepted`].
    Accepted,
    /// [`AccountState::Declined`].
    Declined,
}

impl AccountRecord {
    pub(super) fn from_wire(record: wire::AccountRecord) -> Result<Self, Malformed> {
        let bounded = |length: usize, max: usize, what: &str| {
            let why = || format!("{length} {what}, at most {max} are allowed");
            if length > max { Err(Malformed::new("account record", why())) } else { Ok(()) }
        };
        bounded(record.replaces.len(), ENTRY_HEADS_MAX, "predecessors")?;
        bounded(record.bundles.len(), ACCOUNT_ADDRESSES_MAX, "bundles")?;
        bounded(record.grants.len(), ACCOUNT_ADDRESSES_MAX, "mailboxes")?;
        let state = state(record.state(), record.before_block(), Timestamp::from_ms(record.blocked_ms))?;
        Ok(Self {
            user: UserId::from_slice(&record.user)?,
            replaces: record.replaces.iter().map(|id| EntryId::from_slice(id)).collect::<Result<_, _>>()?,
            state,
            name: Name::new(&record.name)?,
            verified: record.verified,
            token: Handle::from_slice(&record.token)?,
            invitation: (!record.invitation.is_empty())
                .then(|| Handle::from_slice(&record.invitation))
                .transpose()?,
            device_list: record.device_list.map(Signed::from_wire).transpose()?,
            bundles: record.bundles.into_iter().map(BundleAccess::from_wire).collect::<Result<_, _>>()?,
            grants: record.grants.into_iter().map(DeliveryGrant::from_wire).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn to_wire(&self) -> wire::AccountRecord {
        use wire::AccountState as Wire;
        let (state, before, since) = match self.state {
            AccountState::Requesting => (Wire::Requesting, Wire::Unspecified, 0),
            AccountState::Requested => (Wire::Requested, Wire::Unspecified, 0),
            AccountState::Accepted => (Wire::Accepted, Wire::Unspecified, 0),
            AccountState::Declined => (Wire::Declined, Wire::Unspecified, 0),
            AccountState::Blocked { since, was } => (Wire::Blocked, before_to_wire(was), since.as_ms()),
        };
        wire::AccountRecord {
            user: self.user.to_wire(),
            replaces: self.replaces.iter().map(EntryId::to_wire).collect(),
            state: state.into(),
            before_block: before.into(),
            blocked_ms: since,
            name: self.name.as_str().to_owned(),
            verified: self.verified,
            token: self.token.to_wire(),
            invitation: self.invitation.map(|handle| handle.to_wire()).unwrap_or_default(),
            device_list: self.device_list.as_ref().map(Signed::to_wire),
            bundles: self.bundles.iter().map(BundleAccess::to_wire).collect(),
            grants: self.grants.iter().map(DeliveryGrant::to_wire).collect(),
        }
    }
}

fn state(
    state: wire::AccountState,
    before: wire::AccountState,
    since: Timestamp,
) -> Result<AccountState, Malformed> {
    use wire::AccountState as Wire;
    match (state, before) {
        (Wire::Requesting, Wire::Unspecified) => Ok(AccountState::Requesting),
        (Wire::Requested, Wire::Unspecified) => Ok(AccountState::Requested),
        (Wire::Accepted, Wire::Unspecified) => Ok(AccountState::Accepted),
        (Wire::Declined, Wire::Unspecified) => Ok(AccountState::Declined),
        (Wire::Blocked, Wire::Requesting) => blocked(since, BlockedFrom::Requesting),
        (Wire::Blocked, Wire::Requested) => blocked(since, BlockedFrom::Requested),
        (Wire::Blocked, Wire::Accepted) => blocked(since, BlockedFrom::Accepted),
        (Wire::Blocked, Wire::Declined) => blocked(since, BlockedFrom::Declined),
        _ => Err(Malformed::new("account record", "unknown state")),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is one arm of a match over results")]
const fn blocked(since: Timestamp, was: BlockedFrom) -> Result<AccountState, Malformed> {
    Ok(AccountState::Blocked { since, was })
}

const fn before_to_wire(was: BlockedFrom) -> wire::AccountState {
    match was {
        BlockedFrom::Requesting => wire::AccountState::Requesting,
        BlockedFrom::Requested => wire::AccountState::Requested,
        BlockedFrom::Accepted => wire::AccountState::Accepted,
        BlockedFrom::Declined => wire::AccountState::Declined,
    }
}
