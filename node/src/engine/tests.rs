use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prost::bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::codec::Signed;
use undertone_protocol::crypto::{HeaderKey, KeyPackage, PackageEnds, Vodozemac, XWingKey};
use undertone_protocol::entry::{Content, DeviceChange, EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{
    ConversationId, CurveKey, DeviceId, EntryId, Handle, PayloadHash, RelayId, Secret, SessionId, UserId,
};
use undertone_protocol::keys::{
    Bundle, BundleFields, Certificate, DeviceCode, DeviceKey, DeviceList, DeviceRevoke, DeviceRevokeFields,
    IdentityKey, ListedDevice, Name, RecoveryPhrase, RelayAddress,
};
use undertone_protocol::limits::{
    DEVICES_PER_USER_MAX, GROUP_ROTATION_JITTER, RECEIVER_KEYS_PER_DEVICE_MAX, SEEN_ITEMS_MAX,
};
use undertone_protocol::log::{Frontier, FrontierItem};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::agenda::{Agenda, Side};
use super::circle::Circle;
use super::context::{Context, Me};
use super::direct::Bearer;
use super::documents::Documents;
use super::setup::{NewAccount, Origin, create_account};
use super::{direct, inbox, linking, own, received_keys, sender_keys};
use crate::command::ErrorKind;
use crate::store::{Contact, ContactState, Cut, Group, MemoryStore, NodeStore, PeerDevice, Standing};

pub(super) const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

pub(super) fn relay(n: u8) -> RelayAddress {
    RelayAddress { relay: RelayId::new([n; 32]), addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
}

/// A contact who lists their own device, and two more as revoked: one of theirs, and one that they say is.
struct Liar {
    identity: IdentityKey,
    key: DeviceKey,
    list: DeviceList,
}

impl Liar {
    fn new(rng: &mut ChaCha20Rng, claimed: [DeviceId; 2]) -> Self {
        let identity = IdentityKey::from_phrase(&RecoveryPhrase::random(rng));
        let key = DeviceKey::random(rng);
        let listed = |device: DeviceId, revoked: bool| {
            let name = Name::new("any").unwrap();
            let curve = CurveKey::new([9; 32]);
            ListedDevice { certificate: Certificate::issue(&identity, device, curve, name, START), revoked }
        };
        let devices = vec![listed(key.device(), false), listed(claimed[0], true), listed(claimed[1], true)];
        let list = DeviceList::issue(&identity, None, devices);
        Self { identity, key, list }
    }

    /// An entry that says that nothing of these devices counts.
    fn revokes(&self, rng: &mut ChaCha20Rng, me: &Me, devices: [DeviceId; 2]) -> SignedEntry {
        let (user, conversation) = (self.identity.user(), me.direct(&self.identity.user()));
        let revoke = |device: DeviceId| -> Signed {
            let list = self.list.hash();
            let fields = DeviceRevokeFields { user, list, device, conversation, cut: None };
            DeviceRevoke::issue(&self.identity, fields).signed
        };
        let revocations = devices.map(revoke).to_vec();
        let change = DeviceChange { device_list: self.list.signed.clone(), revocations };
        let body = EntryBody::new(Content::Devices(change), rng).unwrap();
        let header = EntryHeader {
            conversation,
            device: self.key.device(),
            seq: 1,
            prev: None,
            heads: Vec::new(),
            claimed: START,
            membership_heads: vec![self.list.hash()],
            body_hash: body.hash(),
            expires: None,
        };
        SignedEntry::issue(self.key.signing_key(), header, body)
    }
}

#[test]
fn nobody_takes_out_devices_of_somebody_else() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let new = NewAccount {
        name: Name::new("Alice").unwrap(),
        device_name: Name::new("desktop").unwrap(),
        relays: vec![relay(1)],
        invitations: BTreeMap::new(),
        origin: Origin::New,
    };
    let mut store = MemoryStore::default();
    let cuts: [Option<Cut>; 2] = store
        .transaction(|tx| {
            create_account(tx, &mut Vodozemac, &mut rng, new, START).unwrap();
            let me = Me::new(tx.account()?.unwrap());
            let devices = [me.device, DeviceId::new([8; 32])];
            let liar = Liar::new(&mut rng, devices);
            let user = liar.identity.user();
            let (name, token) = (Name::new("Mallory").unwrap(), Handle::random(&mut rng));
            let contact = Contact::new(user, name, ContactState::Accepted, token, START);
            let contact = Contact { device_list: Some(liar.list.clone()), ..contact };
            tx.put_contact(&contact)?;
            let entry = liar.revokes(&mut rng, &me, devices);
            let (mut agenda, mut events) = (Agenda::default(), Vec::new());
            agenda.directory.insert(me.direct(&user), Side::User(user));
            agenda.note_devices(user, &liar.list);
            let mut ctx = Context {
                tx,
                now: START,
                me: &me,
                crypto: &mut Vodozemac,
                rng: &mut rng,
                groups: &mut Documents::default(),
                agenda: &mut agenda,
                events: &mut events,
            };
            direct::take(&mut ctx, Circle::Direct(Box::new(contact)), entry, Bearer::Author)?;
            let [mine, theirs] = devices.map(|device| ctx.tx.cut(&me.direct(&user), &device));
            Ok([mine?, theirs?])
        })
        .unwrap();
    assert_eq!(cuts[0], None);
    assert!(cuts[1].is_some(), "a revocation of one's own device holds");
}

/// Does something with a new user's device.
pub(super) fn on_a_device(work: impl FnOnce(&mut Context<'_>)) {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let new = NewAccount {
        name: Name::new("Alice").unwrap(),
        device_name: Name::new("desktop").unwrap(),
        relays: vec![relay(1)],
        invitations: BTreeMap::new(),
        origin: Origin::New,
    };
    let done = MemoryStore::default().transaction(|tx| {
        create_account(tx, &mut Vodozemac, &mut rng, new, START).unwrap();
        let me = Me::new(tx.account()?.unwrap());
        let (mut agenda, mut events) = (Agenda::default(), Vec::new());
        work(&mut Context {
            tx,
            now: START,
            me: &me,
            crypto: &mut Vodozemac,
            rng: &mut rng,
            groups: &mut Documents::default(),
            agenda: &mut agenda,
            events: &mut events,
        });
        Ok(())
    });
    done.unwrap();
}

/// The user has another device.
pub(super) fn has_another(ctx: &mut Context<'_>, device: DeviceId) {
    let mut account = ctx.me.account.clone();
    let (identity, name) = (ctx.me.identity().unwrap(), Name::new("phone").unwrap());
    let certificate = Certificate::issue(&identity, device, CurveKey::new([7; 32]), name, START);
    let mut devices = account.device_list.devices.clone();
    devices.push(ListedDevice { certificate, revoked: false });
    account.device_list = DeviceList::issue(&identity, Some(&account.device_list), devices);
    ctx.tx.put_account(&account).unwrap();
    let list = account.device_list.clone();
    let contact = own::contact(ctx.me.user, Handle::new([7; 8]), list, START).unwrap();
    ctx.tx.put_contact(&contact).unwrap();
    ctx.me = Box::leak(Box::new(Me::new(account)));
}

/// The user has another device, for which something can be sealed.
pub(super) fn sibling_in_reach(ctx: &mut Context<'_>) -> DeviceKey {
    let key = DeviceKey::from_seed(&Secret::new([50; 32]));
    let (user, device) = (ctx.me.user, key.device());
    has_another(ctx, device);
    let device_list = ctx.me.account.device_list.clone();
    let fields = BundleFields {
        certificate: device_list.device(&device).unwrap().clone(),
        device_list,
        xwing_key: Bytes::copy_from_slice(XWingKey::from_seed(Secret::new([8; 32])).public().as_bytes()),
        fallback_prekey: CurveKey::new([7; 32]),
        mailboxes: Vec::new(),
        issued: START,
    };
    let bundle = Bundle::issue(&key, fields);
    ctx.tx.put_peer_device(&PeerDevice { device, user, bundle, prekey: None, fetched: ctx.now }).unwrap();
    key
}

/// What is held where so many devices wrote.
pub(super) fn written_by(devices: usize) -> Frontier {
    let mut frontier = Frontier::default();
    for n in 0..devices {
        let id = *hash(n).as_bytes();
        let head = Some(EntryId::new(id));
        frontier.set(DeviceId::new(id), FrontierItem { seq: 1 + n as u64, head, ..FrontierItem::default() });
    }
    frontier
}

fn hash(n: usize) -> PayloadHash {
    PayloadHash::of(&n.to_be_bytes())
}

#[test]
fn of_what_was_handled_the_newest_are_remembered() {
    on_a_device(|ctx| {
        let all = SEEN_ITEMS_MAX + 3_000;
        for n in 0..all {
            ctx.now = START.after(Duration::from_millis(n as u64));
            inbox::note_seen(ctx, &hash(n)).unwrap();
        }
        let kept: Vec<usize> = (0..all).filter(|n| ctx.tx.seen(&hash(*n)).unwrap()).collect();
        assert!((SEEN_ITEMS_MAX..=SEEN_ITEMS_MAX + 1_025).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept, Vec::from_iter(all - kept.len()..all));
    });
}

/// A sender key as a contact's device shares it with the device.
fn shared_key(ctx: &mut Context<'_>, user: UserId, device: &DeviceKey) -> (SessionId, wire::Signed) {
    let conversation = ctx.me.direct(&user);
    shared_key_of(ctx, (user, device), conversation, 1)
}

/// The same of any conversation, where what is for the device begins with a number.
pub(super) fn shared_key_of(
    ctx: &mut Context<'_>,
    (user, device): (UserId, &DeviceKey),
    conversation: ConversationId,
    next_seq: u64,
) -> (SessionId, wire::Signed) {
    let key = ctx.crypto.new_sender_key();
    let info = ctx.crypto.sender_key_info(&key).unwrap();
    let package = KeyPackage {
        ends: PackageEnds {
            sender_user: user,
            sender_device: device.device(),
            recipient_user: ctx.me.user,
            recipient_device: ctx.me.device,
        },
        conversation,
        session: info.session,
        first_index: info.next_index,
        next_seq,
        membership_heads: vec![ctx.me.account.device_list.hash()],
        session_key: info.session_key,
        header_key: HeaderKey::random(ctx.rng),
    };
    (info.session, package.sign(device.signing_key()).to_wire())
}

#[test]
fn a_device_that_leaves_ever_more_keys_drops_its_own() {
    on_a_device(|ctx| {
        let user = IdentityKey::from_phrase(&RecoveryPhrase::random(ctx.rng)).user();
        let (flooding, quiet) = (DeviceKey::random(ctx.rng), DeviceKey::random(ctx.rng));
        let (of_quiet, signed) = shared_key(ctx, user, &quiet);
        received_keys::key_package(ctx, &user, &quiet.device(), signed).unwrap();
        let mut sessions = Vec::new();
        for n in 0..RECEIVER_KEYS_PER_DEVICE_MAX as u64 + 3 {
            ctx.now = START.after(Duration::from_millis(n + 1));
            let (session, signed) = shared_key(ctx, user, &flooding);
            received_keys::key_package(ctx, &user, &flooding.device(), signed).unwrap();
            sessions.push(session);
        }
        let is_kept = |session: &SessionId| ctx.tx.receiver_key(session).unwrap().is_some();
        assert!(!sessions[..3].iter().any(is_kept));
        assert!(sessions[3..].iter().all(is_kept));
        assert!(is_kept(&of_quiet), "nobody else's");
    });
}

/// Or all members of a large group hand out new keys to all others at once.
#[test]
fn keys_of_groups_that_were_made_together_are_not_renewed_together() {
    on_a_device(|ctx| {
        let group = Group {
            id: ConversationId::new([4; 32]),
            name: "Club".to_owned(),
            standing: Standing::In,
            added: START,
        };
        let circle = Circle::Group(group.clone());
        let made = |ctx: &mut Context<'_>| sender_keys::new_key(ctx, group.id, &circle.key_life()).made;
        let made: BTreeSet<_> = (0..100).map(|_| made(ctx)).collect();
        let (first, last) = (*made.first().unwrap(), *made.last().unwrap());
        assert!(made.len() > 90 && last <= START && START.since(first) < GROUP_ROTATION_JITTER);
        assert!(last.since(first) > GROUP_ROTATION_JITTER / 2);
        let contact = ctx.tx.contact(&ctx.me.user).unwrap().unwrap();
        let direct = Circle::Direct(Box::new(contact));
        assert_eq!(sender_keys::new_key(ctx, group.id, &direct.key_life()).made, START);
    });
}

#[test]
fn a_key_of_a_clock_that_was_ahead_serves_for_no_further_message() {
    on_a_device(|ctx| {
        let contact = ctx.tx.contact(&ctx.me.user).unwrap().unwrap();
        let circle = Circle::Direct(Box::new(contact));
        let key = sender_keys::new_key(ctx, circle.conversation(ctx), &circle.key_life());
        let is_old = |ctx: &Context<'_>| sender_keys::must_rotate(ctx, &circle, &key, &BTreeMap::new());
        assert!(!is_old(ctx));
        ctx.now = START.before(Duration::from_millis(1));
        assert!(is_old(ctx));
    });
}

#[test]
fn a_list_that_is_full_of_devices_takes_none_and_says_what_there_is_to_do() {
    on_a_device(|ctx| {
        for n in 1..DEVICES_PER_USER_MAX {
            has_another(ctx, DeviceId::new([u8::try_from(n).unwrap(); 32]));
        }
        let code = DeviceCode {
            device: DeviceId::new([99; 32]),
            olm_key: CurveKey::new([9; 32]),
            name: Name::new("tablet").unwrap(),
            key: Secret::new([9; 32]),
            grants: Vec::new(),
        };
        let problem = linking::add(ctx, &code).unwrap().unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Limit);
        assert!(problem.message.contains("32 devices") && problem.message.contains("init --recover"));
    });
}
