//! Values for tests, told apart by small numbers.

use std::sync::LazyLock;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::crypto::{
    HeaderKey, InboundChannel, OutboundChannel, ReceiverKeyState, SenderKeyState, SessionState, XWingKey,
};
use undertone_protocol::entry::BlockedFrom;
use undertone_protocol::ids::{
    ChannelHash, ConversationId, CurveKey, DeviceId, EntryId, Generation, Handle, Locator, MailboxId,
    PayloadHash, RelayId, Secret, SessionId, Tag, UserId,
};
use undertone_protocol::keys::{
    Bundle, BundleAccess, BundleFields, Certificate, DeliveryGrant, DeviceKey, DeviceList, IdentityKey,
    ListedDevice, MailboxAddress, Name, RelayAddress,
};
use undertone_protocol::log::SeqRange;
use undertone_protocol::membership::Written;
use undertone_protocol::receipts::Denial;
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{Step, TokenGrant};
use zeroize::Zeroizing;

use crate::store::{
    Account, Block, Contact, ContactState, Fault, Group, HomeRelay, Member, OlmSession, PeerDevice, Received,
    ReceiverKey, Retired, Revocation, SenderKey, Standing, StoredInvitation, SupersededKey,
};

pub(super) use super::log_fixtures::*;

/// How many users, devices, conversations and so on there are.
pub(super) const COUNT: u8 = 4;

pub(super) fn t(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

pub(super) fn rng(n: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([n; 32])
}

pub(super) fn secret(n: u8) -> Secret {
    Secret::new([n; 32])
}

pub(super) fn conversation(n: u8) -> ConversationId {
    ConversationId::new([n; 32])
}

pub(super) fn relay(n: u8) -> RelayId {
    RelayId::new([n; 32])
}

pub(super) fn handle(n: u8) -> Handle {
    Handle::new([n; 8])
}

pub(super) fn channel_hash(n: u8) -> ChannelHash {
    ChannelHash::new([n; 32])
}

pub(super) fn session_id(n: u8) -> SessionId {
    SessionId::new([n; 32])
}

pub(super) fn tag(n: u8) -> Tag {
    Tag::new([n; 16])
}

pub(super) fn payload_hash(n: u8) -> PayloadHash {
    PayloadHash::new([n; 32])
}

pub(super) fn state_bytes(n: u8) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![n; 40])
}

pub(super) fn identity(n: u8) -> IdentityKey {
    IdentityKey::from_seed(&secret(n + 100))
}

pub(super) fn user(n: u8) -> UserId {
    identity(n).user()
}

pub(super) fn device_key(n: u8) -> DeviceKey {
    DeviceKey::from_seed(&secret(n + 200))
}

pub(super) fn device(n: u8) -> DeviceId {
    device_key(n).device()
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Devices 2 and 3 claim one Olm key.
pub(super) fn olm_key(n: u8) -> CurveKey {
    CurveKey::new([n.min(2); 32])
}

fn certificate(n: u8) -> Certificate {
    Certificate::issue(&identity(n), device(n), olm_key(n), name("phone"), t(1))
}

fn device_list(n: u8) -> DeviceList {
    let listed = ListedDevice { certificate: certificate(n), revoked: false };
    DeviceList::issue(&identity(n), None, vec![listed])
}

pub(super) fn account(variant: u8) -> Account {
    Account {
        name: name("Robin"),
        identity_seed: (variant != 0).then(|| secret(1)),
        device_seed: secret(variant),
        xwing_seed: secret(3),
        fallback_prekey: CurveKey::new([4; 32]),
        keys_made: t(u64::MAX),
        superseded: (variant == 1).then(|| SupersededKey { xwing_seed: secret(9), made: t(8) }),
        bundle_key: secret(5),
        certificate: certificate(0),
        device_list: device_list(0),
        linking: (variant == 2).then(|| secret(7)),
        fault: [None, Some(Fault::RolledBack), Some(Fault::Copied)]
            .into_iter()
            .nth(usize::from(variant))
            .flatten(),
    }
}

fn relay_address(n: u8) -> RelayAddress {
    RelayAddress { relay: relay(n), addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
}

pub(super) fn home_relay(n: u8, priority: u32) -> HomeRelay {
    let ranges = vec![SeqRange { from: 9, through: 9 }, SeqRange { from: 20, through: u64::MAX }];
    HomeRelay {
        address: relay_address(n),
        priority,
        mailbox: MailboxId::new([n; 16]),
        secret: secret(n),
        epoch: u32::MAX,
        generation: (n != 0).then(|| Generation::new([n; 8])),
        locator: Locator::new([n; 32]),
        bundle_stored: n == 1,
        prekey_batch: u64::from(n),
        prekeys_unconfirmed: vec![Bytes::from_static(b"first"), Bytes::new(), Bytes::from_static(b"third")],
        received: [
            Received { through: 7, ranges },
            Received { through: u64::from(priority), ranges: vec![] },
        ],
        announced: n != 3,
        retired: (n == 2).then(|| Retired { since: t(7), untold: t(u64::MAX) }),
        invitation: if n == 1 { Bytes::from_static(b"invited") } else { Bytes::new() },
        renewed: (n == 2).then(|| handle(7)),
        lost_due: (n == 1).then(|| t(n.into())),
        moved_due: (n == 3).then(|| t(n.into())),
    }
}

fn state_of(n: u8) -> ContactState {
    let block = |was| ContactState::Blocked(Block { was, since: t(u64::from(n) + (1 << 63)) });
    match n {
        0 => ContactState::Requesting,
        1 => block(BlockedFrom::Accepted),
        2 => ContactState::Accepted,
        _ => ContactState::Declined,
    }
}

/// Path 3 goes on from path 1.
pub(super) fn path(n: u8) -> Vec<Handle> {
    if n == 3 { vec![handle(1), handle(2)] } else { vec![handle(n)] }
}

pub(super) fn revocation(of: u8, n: u8, confirmed: bool) -> Revocation {
    Revocation { relay: relay(of), path: path(n), confirmed }
}

pub(super) fn contact(n: u8, called: &str) -> Contact {
    let mailbox =
        MailboxAddress { relay: relay_address(n), mailbox: MailboxId::new([n; 16]), epoch: 1, priority: 2 };
    let token = TokenGrant::issue(&secret(n), Step::named(handle(n)));
    Contact {
        user: user(n),
        name: name(called),
        state: state_of(n),
        verified: n == 1,
        identity_warning: n == 2,
        reinstalled: n == 3,
        token: handle(n),
        former_tokens: (0..n).map(handle).collect(),
        device_list: (n != 0).then(|| device_list(n)),
        bundles: vec![BundleAccess {
            device: device(n),
            relay: relay_address(n),
            locator: Locator::new([n; 32]),
            key: secret(n),
        }],
        grants: vec![DeliveryGrant { device: device(n), mailbox, token }],
        invitation: (n != 1).then(|| handle(n)),
        introduction_due: n == 3,
        introduced: (0..n).map(|m| (device(m), t(u64::MAX - u64::from(m)))).collect(),
        reset_by: (n == 2).then(|| device(1)),
        asks_by: None,
        join_by: None,
        refused: (n == 1).then_some(Denial::UsedUp),
        added: t(5),
    }
}

/// Of group 0 and of even ones the user is out.
pub(super) fn group(n: u8, called: &str) -> Group {
    let standing = if n.is_multiple_of(2) { Standing::Out } else { Standing::In };
    let added = t(u64::from(n) + (1 << 63));
    Group { id: conversation(n), name: called.to_owned(), standing, added }
}

/// Somebody in a group, with the mailboxes that they have as a contact; user 3 is out.
pub(super) fn member(group: u8, n: u8) -> Member {
    Member {
        group: conversation(group),
        user: user(n),
        removed: (n == 3).then(|| t(u64::MAX)),
        from_seq: if n == 2 { u64::MAX } else { u64::from(n) },
        token: handle(n),
        former_tokens: (0..n).map(handle).collect(),
        grants: (1..n).flat_map(|of| contact(of, "somebody").grants).collect(),
        introduced: (0..n).map(|m| (device(m), t(u64::MAX - u64::from(m)))).collect(),
        written: (0..n)
            .map(|m| Written {
                device: device(m),
                seq: u64::MAX - u64::from(m),
                entry: EntryId::new([m; 32]),
            })
            .collect(),
        introduction_due: n == 1,
        welcome_due: n == 2,
        hands_history: n == 1,
    }
}

static PEER_DEVICES: LazyLock<Vec<PeerDevice>> =
    LazyLock::new(|| (0..2 * COUNT).map(make_peer_device).collect());

fn make_peer_device(n: u8) -> PeerDevice {
    let owner = n % COUNT;
    let certificate = Certificate::issue(&identity(owner), device(n), olm_key(n), name("phone"), t(1));
    let listed = ListedDevice { certificate: certificate.clone(), revoked: false };
    let fields = BundleFields {
        certificate,
        device_list: DeviceList::issue(&identity(owner), None, vec![listed]),
        xwing_key: Bytes::copy_from_slice(XWingKey::from_seed(secret(n)).public().as_bytes()),
        fallback_prekey: CurveKey::new([n; 32]),
        mailboxes: vec![],
        issued: t(3),
    };
    PeerDevice {
        device: device(n),
        user: user(owner),
        bundle: Bundle::issue(&device_key(n), fields),
        prekey: (n != 0).then(|| CurveKey::new([n; 32])),
        fetched: t(4),
    }
}

/// Each user has two: `n` and `n + COUNT`.
pub(super) fn peer_device(n: u8) -> PeerDevice {
    PEER_DEVICES[usize::from(n)].clone()
}

pub(super) fn invitation(n: u8, uses_max: u32) -> StoredInvitation {
    StoredInvitation {
        handle: handle(n),
        uses_max,
        used_by: (0..n).map(user).collect(),
        not_after: t(9),
        unconfirmed: (0..n).map(relay).collect(),
    }
}

pub(super) fn olm_session(n: u8, id: u8, used: u64) -> OlmSession {
    OlmSession {
        device: device(n),
        id: [id; 32],
        state: SessionState::from_bytes(state_bytes(id)),
        used: t(used),
    }
}

static CHANNELS: LazyLock<Vec<(OutboundChannel, InboundChannel)>> =
    LazyLock::new(|| (0..COUNT).map(make_channel).collect());

fn make_channel(n: u8) -> (OutboundChannel, InboundChannel) {
    let xwing = XWingKey::from_seed(secret(n));
    let mut outbound = OutboundChannel::open(&mut rng(n), device(n), xwing.public(), t(1)).unwrap();
    let payload = outbound.seal(vec![1]).unwrap();
    let (inbound, _) = InboundChannel::accept(&[xwing], &device(n), &payload).unwrap();
    (outbound, inbound)
}

pub(super) fn outbound_channel(n: u8) -> OutboundChannel {
    CHANNELS[usize::from(n)].0.clone()
}

pub(super) fn inbound_channel(n: u8) -> InboundChannel {
    CHANNELS[usize::from(n)].1.clone()
}

pub(super) fn sender_key(n: u8, messages: u64) -> SenderKey {
    SenderKey {
        conversation: conversation(n),
        state: SenderKeyState::from_bytes(state_bytes(n)),
        header_key: HeaderKey::from_slice(&[n; 32]).unwrap(),
        holders: (0..n).map(device).collect(),
        own_header_key: HeaderKey::from_slice(&[n + 50; 32]).unwrap(),
        own_holders: (n..COUNT).map(device).collect(),
        made: t(messages),
        messages,
        turned: n == 1,
    }
}

pub(super) fn receiver_key(n: u8, next_index: u32, received: u64) -> ReceiverKey {
    ReceiverKey {
        session: session_id(n),
        conversation: conversation(0),
        device: device(n / 3),
        state: ReceiverKeyState::from_bytes(state_bytes(n)),
        header_key: HeaderKey::from_slice(&[n; 32]).unwrap(),
        next_index,
        tags_end: u32::MAX - next_index,
        next_seq: u64::MAX - received,
        received: t(received),
    }
}
