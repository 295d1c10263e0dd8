use anyhow::Context;
use bytes::Bytes;
use undertone::store::{
    Account, Delivery, NodeTx, OutboxItem, OutboxRecipient, OutboxState, OwnReceipts, Purpose, SenderKey,
    StoreError, StoredEntry,
};
use undertone_protocol::crypto::{HeaderKey, SenderKeyState};
use undertone_protocol::entry::{EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, CurveKey, DeviceId, EntryId, PayloadHash, Secret, UserId};
use undertone_protocol::keys::{
    Certificate, DeviceKey, DeviceList, IdentityKey, ListedDevice, Name, direct_conversation,
};
use undertone_protocol::log::FrontierItem;
use undertone_protocol::receipts::Tick;
use undertone_protocol::time::Timestamp;

use super::record::{content, rng};

/// Items in the outbox; each new one takes the place of the oldest.
const OUTBOX_ITEMS_HELD: usize = 16;
/// Of a text, in letters: two for each byte of its content.
const TEXT_CONTENT_BYTES_MAX: u64 = 1_024;
const PAYLOAD_BYTES_MAX: u64 = 4 * 1_024;
/// There is one producer.
const PRODUCER: usize = 0;

/// Somebody who writes one message after the other to somebody else. Everything about them follows from the
/// number of messages that they wrote.
pub(super) struct Author {
    identity: IdentityKey,
    key: DeviceKey,
    conversation: ConversationId,
    recipient: (UserId, DeviceId),
}

impl Author {
    pub(super) fn new() -> Self {
        let identity = |byte| IdentityKey::from_seed(&Secret::new([byte; 32]));
        let key = |byte| DeviceKey::from_seed(&Secret::new([byte; 32]));
        let (own, other) = (identity(1), identity(2));
        Self {
            conversation: direct_conversation(&own.user(), &other.user()),
            recipient: (other.user(), key(4).device()),
            identity: own,
            key: key(3),
        }
    }

    /// The account, as it is made at first.
    pub(super) fn account(&self) -> anyhow::Result<Account> {
        let (name, device) = (Name::new("Robin").context("a name")?, Name::new("phone").context("a name")?);
        let curve_key = CurveKey::new([5; 32]);
        let certificate =
            Certificate::issue(&self.identity, self.key.device(), curve_key, device, Timestamp::from_ms(1));
        let listed = ListedDevice { certificate: certificate.clone(), revoked: false };
        Ok(Account {
            linking: None,
            fault: None,
            name,
            identity_seed: Some(self.identity.seed()),
            device_seed: self.key.seed(),
            xwing_seed: Secret::new([6; 32]),
            fallback_prekey: curve_key,
            keys_made: Timestamp::from_ms(1),
            superseded: None,
            bundle_key: Secret::new([7; 32]),
            certificate,
            device_list: DeviceList::issue(&self.identity, None, vec![listed]),
        })
    }

    /// How many messages are there, and the last of them.
    pub(super) fn last(&self, tx: &dyn NodeTx) -> Result<(u64, Option<EntryId>), StoreError> {
        let frontier = tx.frontier(&self.conversation)?;
        let own = frontier.into_iter().find(|(device, _)| *device == self.key.device());
        Ok(own.map(|(_, item)| (item.seq, item.head)).unwrap_or_default())
    }

    /// What an engine writes when the user sends a message, and hears at once that the one before was sent.
    pub(super) fn write(
        &self,
        tx: &mut dyn NodeTx,
        number: u64,
        prev: Option<EntryId>,
    ) -> Result<EntryId, StoreError> {
        let entry = self.entry(number, prev)?;
        let id = entry.id;
        let at = Timestamp::from_ms(number);
        tx.put_entry(&StoredEntry { entry, effective: at, received: at })?;
        let item = FrontierItem { seq: number, head: Some(id), ..FrontierItem::default() };
        tx.put_frontier(&self.conversation, &self.key.device(), &item)?;
        tx.put_delivery(&self.delivery(id, number, Tick::Queued))?;
        if let Some(prev) = prev {
            tx.put_delivery(&self.delivery(prev, number - 1, Tick::Sent))?;
        }
        tx.put_sender_key(&self.sender_key(number)?)?;
        tx.put_own_receipts(
            &self.conversation,
            &OwnReceipts { counter: number, due: number.is_multiple_of(2), ..OwnReceipts::default() },
        )?;
        let item = self.outbox_item(number, id);
        tx.put_seen(&PayloadHash::of(&item.payload), at)?;
        tx.put_outbox(&item)?;
        if tx.outbox_len()? > OUTBOX_ITEMS_HELD {
            for oldest in tx.outbox_pending(0, 1)? {
                tx.delete_outbox(oldest.id)?;
            }
        }
        Ok(id)
    }

    fn entry(&self, number: u64, prev: Option<EntryId>) -> Result<SignedEntry, StoreError> {
        let damaged = |why: String| StoreError::Damaged { what: "text", why };
        let content = content(PRODUCER, number, TEXT_CONTENT_BYTES_MAX);
        let text: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        let body =
            EntryBody::text(&text, &mut rng(PRODUCER, number)).map_err(|error| damaged(error.to_string()))?;
        let header = EntryHeader {
            conversation: self.conversation,
            device: self.key.device(),
            seq: number,
            prev,
            heads: prev.into_iter().collect(),
            claimed: Timestamp::from_ms(number),
            membership_heads: Vec::new(),
            body_hash: body.hash(),
            expires: None,
        };
        Ok(SignedEntry::issue(self.key.signing_key(), header, body))
    }

    const fn delivery(&self, entry: EntryId, seq: u64, tick: Tick) -> Delivery {
        Delivery { entry, conversation: self.conversation, seq, sealed: true, tick, failed: None }
    }

    fn sender_key(&self, number: u64) -> Result<SenderKey, StoreError> {
        let damaged = |why: String| StoreError::Damaged { what: "header key", why };
        let state = content(PRODUCER, number, TEXT_CONTENT_BYTES_MAX);
        Ok(SenderKey {
            own_holders: Vec::new(),
            conversation: self.conversation,
            state: SenderKeyState::from_bytes(state.into()),
            header_key: HeaderKey::from_slice(&[8; 32]).map_err(|error| damaged(error.to_string()))?,
            own_header_key: HeaderKey::from_slice(&[8; 32]).map_err(|error| damaged(error.to_string()))?,
            holders: vec![self.recipient.1],
            made: Timestamp::from_ms(number),
            messages: number,
            turned: false,
        })
    }

    fn outbox_item(&self, number: u64, entry: EntryId) -> OutboxItem {
        let (user, device) = self.recipient;
        let state = OutboxState::Pending { attempts: 0, not_before: Timestamp::from_ms(number) };
        OutboxItem {
            id: 0,
            group: number,
            purpose: Purpose::Entry(entry),
            class: 0,
            payload: Bytes::from(content(PRODUCER, number, PAYLOAD_BYTES_MAX)),
            recipients: vec![OutboxRecipient { device, user, state }],
            created: Timestamp::from_ms(number),
        }
    }

    /// Everything that is held.
    pub(super) fn held(&self, tx: &dyn NodeTx) -> Result<Held, StoreError> {
        let (last, _) = self.last(tx)?;
        let all = usize::try_from(last).unwrap_or(usize::MAX).saturating_add(1);
        let outbox = tx.outbox_pending(0, all)?.into_iter().filter_map(|item| tx.outbox(item.id).transpose());
        let seen = (1..=last + 1).map(|number| {
            let payload = content(PRODUCER, number, PAYLOAD_BYTES_MAX);
            tx.seen(&PayloadHash::of(&payload))
        });
        Ok(Held {
            account: tx.account()?,
            history: tx.history(&self.conversation, None, all)?,
            heads: tx.heads(&self.conversation, all)?,
            frontier: tx.frontier(&self.conversation)?,
            deliveries: tx.deliveries_between(&self.conversation, 0, u64::MAX >> 1, usize::MAX >> 1)?,
            sender_key: tx.sender_key(&self.conversation)?,
            receipts: tx.own_receipts(&self.conversation)?,
            outbox: outbox.collect::<Result<_, _>>()?,
            outbox_len: tx.outbox_len()?,
            seen: seen.collect::<Result<_, _>>()?,
        })
    }
}

/// Everything that a store holds of an author.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    account: Option<Account>,
    history: Vec<StoredEntry>,
    heads: Vec<EntryId>,
    frontier: Vec<(DeviceId, FrontierItem)>,
    deliveries: Vec<Delivery>,
    sender_key: Option<SenderKey>,
    receipts: OwnReceipts,
    outbox: Vec<OutboxItem>,
    outbox_len: usize,
    seen: Vec<bool>,
}

impl Held {
    /// What is not as in `other`.
    pub(super) fn difference(&self, other: &Self) -> Vec<&'static str> {
        let same = [
            ("account", self.account == other.account),
            ("history", self.history == other.history),
            ("heads", self.heads == other.heads),
            ("frontier", self.frontier == other.frontier),
            ("deliveries", self.deliveries == other.deliveries),
            ("sender key", self.sender_key == other.sender_key),
            ("receipts", self.receipts == other.receipts),
            ("outbox", self.outbox == other.outbox && self.outbox_len == other.outbox_len),
            ("payloads seen", self.seen == other.seen),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(what, _)| what).collect()
    }
}
