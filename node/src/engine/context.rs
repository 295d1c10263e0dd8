use rand_chacha::ChaCha20Rng;
use undertone_protocol::crypto::{Crypto, XWingKey};
use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::{DeviceKey, IdentityKey, direct_conversation};
use undertone_protocol::time::Timestamp;

use super::agenda::Agenda;
use super::documents::Documents;
use crate::event::Event;
use crate::store::{Account, Fault, NodeTx, StoreError};

/// Who this node is, with its keys.
pub struct Me {
    /// The account as stored.
    pub account: Account,
    /// The user.
    pub user: UserId,
    /// This device.
    pub device: DeviceId,
    /// The device key.
    pub key: DeviceKey,
    pub(super) xwing: XWingKey,
    /// The one before, while it lives.
    superseded: Option<XWingKey>,
}

impl Me {
    pub(super) fn new(account: Account) -> Self {
        Self {
            user: account.certificate.user,
            device: account.certificate.device,
            key: DeviceKey::from_seed(&account.device_seed),
            xwing: XWingKey::from_seed(account.xwing_seed.clone()),
            superseded: account.superseded.as_ref().map(|key| XWingKey::from_seed(key.xwing_seed.clone())),
            account,
        }
    }

    /// The X-Wing keys that somebody may have made a channel for.
    pub(super) fn xwing_keys(&self) -> impl Iterator<Item = &XWingKey> {
        std::iter::once(&self.xwing).chain(&self.superseded)
    }

    /// Whether this device waits to be added by another one of its user.
    pub const fn is_linking(&self) -> bool {
        self.account.linking.is_some()
    }

    /// Whether another device of the user revoked this one.
    pub fn is_revoked(&self) -> bool {
        !self.is_linking() && self.account.device_list.active_device(&self.device).is_none()
    }

    /// Whether nothing goes out of this device any more: it was revoked, or its store is an old copy or was copied.
    pub fn is_silenced(&self) -> bool {
        self.is_revoked() || self.account.fault.is_some()
    }

    /// The identity key, on the primary device.
    pub(super) fn identity(&self) -> Option<IdentityKey> {
        self.account.identity_seed.as_ref().filter(|_| !self.is_linking()).map(IdentityKey::from_seed)
    }

    /// The direct conversation with a user.
    pub fn direct(&self, user: &UserId) -> ConversationId {
        direct_conversation(&self.user, user)
    }
}

/// What every part of the engine works with while it handles one input.
pub(super) struct Context<'a> {
    pub(super) tx: &'a mut dyn NodeTx,
    pub(super) now: Timestamp,
    pub(super) me: &'a Me,
    pub(super) crypto: &'a mut dyn Crypto,
    pub(super) rng: &'a mut ChaCha20Rng,
    /// Who is in which group.
    pub(super) groups: &'a mut Documents,
    /// What to do before the transaction ends.
    pub(super) agenda: &'a mut Agenda,
    /// What happened; told after the transaction is durable.
    pub(super) events: &'a mut Vec<Event>,
}

impl Context<'_> {
    /// The account as it is stored now: something that came before in the same input may have changed it.
    pub(super) fn account(&self) -> Result<Account, StoreError> {
        Ok(self.tx.account()?.unwrap_or_else(|| self.me.account.clone()))
    }

    /// The store turned out to be an old copy, or to be copied: nothing goes out of it any more.
    pub(super) fn silence(&mut self, fault: Fault) -> Result<(), StoreError> {
        let mut account = self.account()?;
        if account.fault.is_some() {
            return Ok(());
        }
        account.fault = Some(fault);
        self.tx.put_account(&account)?;
        self.agenda.reload = true;
        self.events.push(match fault {
            Fault::RolledBack => Event::RolledBack {},
            Fault::Copied => Event::Copied {},
        });
        Ok(())
    }
}
