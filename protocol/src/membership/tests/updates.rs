//! Updates of a group: read as they were written, and cut into parts of which each fits an envelope.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use crate::codec::{Label, Signed, sign};
use crate::ids::{
    ConversationId, CurveKey, EntryId, Handle, Locator, MailboxId, OperationHash, RelayId, Secret, UserId,
};
use crate::keys::*;
use crate::limits::{
    PERSON_ADDRESSES_MAX, RELAY_ADDRESS_BYTES_MAX, RELAY_ADDRESSES_MAX, UPDATE_BYTES_MAX, UPDATE_HEADS_MAX,
    UPDATE_WANTS_MAX,
};
use crate::membership::*;
use crate::testing::schema::fields;
use crate::testing::vectors::{assert_stored, hex};
use crate::time::Timestamp;
use crate::token::{Step, TokenGrant};
use crate::wire;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const GROUP: ConversationId = ConversationId::new([3; 32]);

fn identity(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([seed; 32]))
}

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([seed; 32]))
}

fn certificate(user: u8, seed: u8) -> Certificate {
    let name = Name::new(&format!("device {seed}")).unwrap();
    Certificate::issue(&identity(user), device(seed).device(), CurveKey::new([seed; 32]), name, NOW)
}

/// Device 13, which is revoked, and device 12.
fn device_list(user: u8) -> DeviceList {
    let listed = |seed, revoked| ListedDevice { certificate: certificate(user, seed), revoked };
    DeviceList::issue(&identity(user), None, vec![listed(13, true), listed(12, false)])
}

fn relay(seed: u8) -> RelayAddress {
    let addresses = vec![format!("/dns4/relay-{seed}.example/tcp/4001")];
    RelayAddress { relay: RelayId::new([seed; 32]), addresses }
}

fn bundle(seed: u8) -> BundleAccess {
    BundleAccess {
        device: device(12).device(),
        relay: relay(seed),
        locator: Locator::new([seed + 80; 32]),
        key: Secret::new([5; 32]),
    }
}

/// Somebody's mailbox, by a token that its holder narrowed for who is told.
fn grant(seed: u8) -> DeliveryGrant {
    let issued = TokenGrant::issue(&Secret::new([seed + 40; 32]), Step::named(Handle::new([1; 8])));
    let end = Some(Timestamp::from_ms(NOW.as_ms() + 14 * 24 * 3_600_000));
    let member = issued.extend(Step::named(Handle::new([2; 8]))).unwrap();
    let token = member.extend(Step { not_after: end, ..Step::named(Handle::new([4; 8])) }).unwrap();
    let mailbox =
        MailboxAddress { relay: relay(seed), mailbox: MailboxId::new([seed; 16]), epoch: 1, priority: 0 };
    DeliveryGrant { device: device(12).device(), mailbox, token }
}

fn person() -> Person {
    Person {
        name: Some(Name::new("Bob").unwrap()),
        device_list: device_list(2),
        bundles: vec![bundle(1)],
        grants: vec![grant(1), grant(2)],
        written: vec![written(13, 7), written(12, 300)],
    }
}

fn written(seed: u8, seq: u64) -> Written {
    Written { device: device(seed).device(), seq, entry: EntryId::new([seed; 32]) }
}

fn operation(number: u32, action: Action) -> SignedOperation {
    let operation = Operation {
        group: Some(GROUP),
        device: device(11).device(),
        certificate: Operation::certificate_hash(&certificate(1, 11)),
        parents: vec![OperationHash::new([7; 32])],
        number,
        action,
    };
    SignedOperation::issue(&device(11), operation).unwrap()
}

/// One with something of each kind in it.
fn whole() -> GroupUpdate {
    let named = SettingsChange { name: Some(Name::new("The choir").unwrap()), ..SettingsChange::default() };
    let operations = [
        operation(1, Action::Settings(named)),
        operation(2, Action::Add { user: identity(2).user(), role: Role::Member }),
    ];
    GroupUpdate {
        group: GROUP,
        heads: vec![OperationHash::new([8; 32]), OperationHash::new([7; 32])],
        operations: operations.each_ref().map(SignedOperation::signed).into(),
        people: vec![person()],
        asks: true,
        wants: vec![UserId::new([9; 32])],
        forks: vec![operations.map(|operation| operation.signed())],
        lacks: vec![OperationHash::new([10; 32])],
    }
}

#[test]
fn the_stored_update_is_what_we_encode() {
    let vector = |update: &GroupUpdate| {
        let bytes = update.to_wire().encode_to_vec();
        json!({ "bytes": hex(&bytes), "fields": fields("GroupUpdate", &bytes) })
    };
    let greeting = GroupUpdate { heads: whole().heads, ..GroupUpdate::of(GROUP) };
    let computed = json!({
        "owner_seed": hex([2; 32]),
        "update": vector(&whole()),
        "greeting": vector(&greeting),
    });
    assert_stored("membership/updates.json", &computed);
}

fn read(bytes: &[u8]) -> Option<GroupUpdate> {
    GroupUpdate::from_wire(wire::GroupUpdate::decode(bytes).ok()?).ok()
}

#[test]
fn it_is_read_as_it_was_written() {
    for update in [whole(), GroupUpdate::of(GROUP)] {
        assert_eq!(read(&update.to_wire().encode_to_vec()), Some(update));
    }
}

#[test]
fn who_does_not_say_what_they_are_called_has_no_name() {
    let (bundles, grants, written) = (Vec::new(), Vec::new(), Vec::new());
    let nameless = Person { name: None, bundles, grants, written, ..person() };
    let update = GroupUpdate { people: vec![nameless], ..GroupUpdate::of(GROUP) };
    assert_eq!(read(&update.to_wire().encode_to_vec()), Some(update));
}

/// What the list says of a device, a way to it may not contradict.
#[test]
fn ways_are_to_active_devices_alone() {
    for seed in [13, 14] {
        let of_another = device(seed).device();
        let mut update = whole();
        update.people[0].bundles[0].device = of_another;
        assert_eq!(GroupUpdate::from_wire(update.to_wire()), Err(KeysError::NotListed));
        let mut update = whole();
        update.people[0].grants[1].device = of_another;
        assert_eq!(GroupUpdate::from_wire(update.to_wire()), Err(KeysError::NotListed));
    }
}

/// So there are no more than devices in the list; a revoked one may have written, too.
#[test]
fn what_was_written_is_said_of_each_listed_device_once() {
    let with = |written| {
        let mut update = whole();
        update.people[0].written = written;
        GroupUpdate::from_wire(update.to_wire())
    };
    assert!(with(vec![written(13, 1)]).is_ok());
    assert_eq!(with(vec![written(14, 1)]), Err(KeysError::NotListed));
    for bad in [vec![written(12, 1), written(12, 2)], vec![written(12, 0)]] {
        assert!(matches!(with(bad), Err(KeysError::Malformed(_))));
    }
}

#[test]
fn numbers_are_bounded() {
    type Change = fn(&mut wire::GroupUpdate);
    let changes: [Change; 4] = [
        |update| update.heads = vec![vec![7; 32].into(); UPDATE_HEADS_MAX + 1],
        |update| update.wants = vec![vec![9; 32].into(); UPDATE_WANTS_MAX + 1],
        |update| {
            update.people[0].bundles = vec![update.people[0].bundles[0].clone(); PERSON_ADDRESSES_MAX + 1]
        },
        |update| update.people[0].grants = vec![update.people[0].grants[0].clone(); PERSON_ADDRESSES_MAX + 1],
    ];
    for change in changes {
        let mut update = whole().to_wire();
        change(&mut update);
        assert!(matches!(GroupUpdate::from_wire(update), Err(KeysError::Malformed(_))));
    }
}

/// What an item takes in an update: itself, its field's number and its length.
fn size(message: &impl Message) -> usize {
    let encoded = message.encoded_len();
    1 + prost::length_delimiter_len(encoded) + encoded
}

fn content(update: &GroupUpdate) -> usize {
    let wire = update.to_wire();
    let people: usize = wire.people.iter().map(size).sum();
    let forks: usize = wire.forks.iter().map(size).sum();
    people + forks + wire.operations.iter().map(size).sum::<usize>()
}

/// Nobody checks its signature here.
fn of_size(bytes: usize) -> Signed {
    Signed { body: Bytes::from(vec![1; bytes]), signature: [2; 64] }
}

fn person_of(grants: usize) -> Person {
    Person { grants: vec![grant(1); grants], ..person() }
}

#[test]
fn what_says_little_is_one_part() {
    for update in [whole(), GroupUpdate::of(GROUP)] {
        assert_eq!(update.clone().parts(), [update]);
    }
}

/// One byte decides whether the last operation goes along.
#[test]
fn a_part_is_filled_to_the_last_byte() {
    // 64 bytes of signature; fields and lengths around both, and 8 bytes around the whole.
    let around = of_size(10_000).to_wire().encoded_len() - 10_000 + 8;
    let full = UPDATE_BYTES_MAX / 4 - around;
    let with_last = |last| {
        let sizes = [full, full, full, last];
        GroupUpdate { operations: sizes.map(of_size).into(), ..GroupUpdate::of(GROUP) }.parts()
    };
    assert_eq!(with_last(full).len(), 1);
    let parts = with_last(full + 1);
    assert_eq!(parts.iter().map(|part| part.operations.len()).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn what_is_too_large_alone_hinders_nothing_else() {
    let (large, small) = (of_size(50_000), of_size(10));
    for operations in [
        vec![large.clone(), small.clone()],
        vec![small.clone(), large.clone()],
        vec![small.clone(), large, small],
    ] {
        let count = operations.len();
        let parts = GroupUpdate { operations, ..whole() }.parts();
        assert!(parts.iter().all(|part| content(part) <= UPDATE_BYTES_MAX || part.operations.len() == 1));
        assert_eq!(parts.iter().map(|part| part.operations.len()).sum::<usize>(), count);
    }
}

/// Whatever relays are called, what is said of somebody gets there.
#[test]
fn a_person_with_the_most_and_longest_addresses_fits() {
    let addresses = vec!["a".repeat(RELAY_ADDRESS_BYTES_MAX); RELAY_ADDRESSES_MAX];
    let long = |relay: RelayAddress| RelayAddress { addresses: addresses.clone(), ..relay };
    let access = BundleAccess { relay: long(bundle(1).relay), ..bundle(1) };
    let mailbox = MailboxAddress { relay: long(grant(1).mailbox.relay), ..grant(1).mailbox };
    let way = DeliveryGrant { mailbox, ..grant(1) };
    let many = Person { bundles: vec![access; 256], grants: vec![way; 256], ..person() };
    let parts = GroupUpdate { people: vec![many], ..whole() }.parts();
    let sent = &parts[0].people[0];
    assert!(sent.bundles.len() > 5 && sent.grants.len() > 5);
    for part in parts {
        assert!(content(&part) <= UPDATE_BYTES_MAX);
        assert_eq!(GroupUpdate::from_wire(part.to_wire()), Ok(part));
    }
}

fn updates() -> impl Strategy<Value = GroupUpdate> {
    let person = prop_oneof![4 => 0..20_usize, 1 => 50..=PERSON_ADDRESSES_MAX].prop_map(person_of);
    let operation = prop_oneof![8 => 0..8_192_usize, 1 => 30_000..50_000_usize].prop_map(of_size);
    let (heads, wants) = (0..=UPDATE_HEADS_MAX, 0..=UPDATE_WANTS_MAX);
    (vec(person, 0..12), vec(operation, 0..40), heads, any::<bool>(), wants).prop_map(
        |(people, operations, heads, asks, wants)| GroupUpdate {
            group: GROUP,
            heads: vec![OperationHash::new([8; 32]); heads],
            operations: operations
                .into_iter()
                .zip(0..)
                .map(|(operation, number)| Signed { signature: [number; 64], ..operation })
                .collect(),
            people,
            asks,
            wants: vec![UserId::new([9; 32]); wants],
            forks: vec![[of_size(100), of_size(200)]; wants.min(3)],
            lacks: vec![OperationHash::new([10; 32]); wants],
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn parts_are_the_whole_in_pieces_that_fit(update in updates()) {
        let parts = update.clone().parts();
        let (last, others) = parts.split_last().unwrap();
        // Nothing is lost, and the order is kept.
        let people: Vec<_> = parts.iter().flat_map(|part| part.people.clone()).collect();
        let operations: Vec<_> = parts.iter().flat_map(|part| part.operations.clone()).collect();
        prop_assert!(people == update.people && operations == update.operations);
        let forks: Vec<_> = parts.iter().flat_map(|part| part.forks.clone()).collect();
        prop_assert!(forks == update.forks && last.lacks == update.lacks);
        // Whose operations they are is said first.
        let last_people = parts.iter().rposition(|part| !part.people.is_empty());
        let first_operations = parts.iter().position(|part| !part.operations.is_empty());
        if let (Some(people), Some(operations)) = (last_people, first_operations) {
            prop_assert!(people <= operations);
        }
        // What is asked goes with the last.
        prop_assert!(last.heads == update.heads && last.wants == update.wants && last.asks == update.asks);
        for part in others {
            prop_assert!(part.heads.is_empty() && part.wants.is_empty() && !part.asks);
            prop_assert!(part.people.len() + part.forks.len() + part.operations.len() > 0);
        }
        for part in &parts {
            prop_assert_eq!(part.group, update.group);
            let is_single = part.people.len() + part.forks.len() + part.operations.len() == 1;
            prop_assert!(content(part) <= UPDATE_BYTES_MAX || is_single);
        }
        // None could have gone with the one before.
        for pair in parts.windows(2) {
            let next = &pair[1].to_wire();
            let first = next.people.first().map(size).or_else(|| next.forks.first().map(size));
            let first = first.or_else(|| next.operations.first().map(size));
            prop_assert!(content(&pair[0]) + first.unwrap_or_default() + 8 * 128 > UPDATE_BYTES_MAX);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, edits: Vec<(usize, u8)>) {
        read(&bytes);
        let mut edited = whole().to_wire().encode_to_vec();
        for (at, byte) in edits {
            let at = at % edited.len();
            edited[at] = byte;
        }
        if let Some(read) = read(&edited) {
            let lists = read.people.iter().map(|person| &person.device_list);
            for list in lists {
                prop_assert!(list.signed.verify(Label::DeviceList, list.user.as_bytes()).is_ok());
            }
        }
    }
}

/// Whoever brings it, a list is its user's word.
#[test]
fn a_list_that_its_user_did_not_sign_is_refused() {
    let mut update = whole().to_wire();
    let list = device_list(2);
    let foreign = sign(Label::DeviceList, &ed25519_dalek::SigningKey::from_bytes(&[1; 32]), list.signed.body);
    update.people[0].device_list = Some(foreign.to_wire());
    assert!(matches!(GroupUpdate::from_wire(update), Err(KeysError::BadSignature(_))));
}
