use undertone_protocol::codec::Signed;
use undertone_protocol::entry::{Content, EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, CurveKey, Handle, MailboxId, RelayId, Secret, UserId};
use undertone_protocol::keys::{
    Certificate, DeliveryGrant, DeviceKey, DeviceList, IdentityKey, ListedDevice, MailboxAddress, Name,
    RelayAddress,
};
use undertone_protocol::membership::{GroupUpdate, Person};
use undertone_protocol::token::{Step, TokenGrant};

use super::{create, update_received};
use crate::engine::agenda::Side;
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::direct::{self, Bearer};
use crate::engine::tests::{START, on_a_device};
use crate::engine::{names, shown};
use crate::store::ContactState;

const GROUP: ConversationId = ConversationId::new([3; 32]);

fn identity(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([seed; 32]))
}

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([seed + 100; 32]))
}

/// The mailbox of somebody's device at a relay.
fn mailbox(of: u8, relay: u8) -> DeliveryGrant {
    let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
    DeliveryGrant {
        device: device(of).device(),
        mailbox: MailboxAddress {
            relay: RelayAddress { relay: RelayId::new([relay; 32]), addresses },
            mailbox: MailboxId::new([relay; 16]),
            epoch: 1,
            priority: 0,
        },
        token: TokenGrant::issue(&Secret::new([relay; 32]), Step::named(Handle::new([relay; 8]))),
    }
}

/// Somebody with one device, and mailboxes at relays.
fn person(seed: u8, relays: &[u8]) -> Person {
    let name = Name::new("phone").unwrap();
    let certificate =
        Certificate::issue(&identity(seed), device(seed).device(), CurveKey::new([seed; 32]), name, START);
    let device_list =
        DeviceList::issue(&identity(seed), None, vec![ListedDevice { certificate, revoked: false }]);
    let grants = relays.iter().map(|relay| mailbox(seed, *relay)).collect();
    Person { name: None, device_list, bundles: Vec::new(), grants }
}

/// Somebody says how a member is reached.
fn says(ctx: &mut Context<'_>, by: u8, person: Person) {
    let update = GroupUpdate { people: vec![person], ..GroupUpdate::of(GROUP) };
    update_received(ctx, &identity(by).user(), &device(by).device(), update.to_wire()).unwrap();
}

fn contact(ctx: &mut Context<'_>, seed: u8) {
    let (user, name) = (identity(seed).user(), Name::new(&format!("contact {seed}")).unwrap());
    let contact = names::stranger(ctx, user, name, ContactState::Accepted);
    ctx.tx.put_contact(&contact).unwrap();
}

/// The mailboxes that are known of somebody in the group.
fn known(ctx: &Context<'_>, user: &UserId) -> Vec<DeliveryGrant> {
    ctx.tx.member(&GROUP, user).unwrap().map(|member| member.grants).unwrap_or_default()
}

/// Or whoever was added reaches none of the others when one relay is away.
#[test]
fn all_mailboxes_of_a_member_are_learned() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        says(ctx, 1, person(3, &[7, 8]));
        assert_eq!(known(ctx, &identity(3).user()), [mailbox(3, 7), mailbox(3, 8)]);
    });
}

/// What is known of a device stays until it speaks itself, or another own device does.
#[test]
fn another_word_on_a_members_mailboxes_changes_nothing() {
    on_a_device(|ctx| {
        [1, 2].into_iter().for_each(|seed| contact(ctx, seed));
        says(ctx, 1, person(3, &[7]));
        says(ctx, 2, person(3, &[9]));
        assert_eq!(known(ctx, &identity(3).user()), [mailbox(3, 7)]);
        // A stranger has no word at all.
        says(ctx, 4, person(5, &[9]));
        assert_eq!(known(ctx, &identity(5).user()), []);
    });
}

/// A contact who has no part in a group could keep this device from its members.
#[test]
fn who_is_not_in_a_group_says_nothing_of_how_its_members_are_reached() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        let group = create(ctx, Name::new("Club").unwrap()).unwrap().unwrap().id;
        let update = GroupUpdate { people: vec![person(3, &[7])], ..GroupUpdate::of(group) };
        update_received(ctx, &identity(1).user(), &device(1).device(), update.to_wire()).unwrap();
        let member = ctx.tx.member(&group, &identity(3).user()).unwrap();
        assert_eq!(member.map(|member| member.grants).unwrap_or_default(), []);
        // Whose list it is, its user says.
        let known = ctx.tx.contact(&identity(3).user()).unwrap().unwrap();
        assert_eq!(known.device_list, Some(person(3, &[]).device_list));
    });
}

/// What is said of no group is kept, and shows nowhere.
#[test]
fn a_change_of_a_group_says_nothing_in_a_chat_with_a_contact() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        let mut friend = ctx.tx.contact(&identity(1).user()).unwrap().unwrap();
        friend.device_list = Some(person(1, &[]).device_list);
        ctx.tx.put_contact(&friend).unwrap();
        let conversation = ctx.me.direct(&friend.user);
        ctx.agenda.directory.insert(conversation, Side::User(friend.user));
        let said = Content::Operation(Signed { body: vec![1].into(), signature: [0; 64] });
        let body = EntryBody::new(said, ctx.rng).unwrap();
        let header = EntryHeader {
            conversation,
            device: device(1).device(),
            seq: 1,
            prev: None,
            heads: Vec::new(),
            claimed: START,
            membership_heads: Vec::new(),
            body_hash: body.hash(),
            expires: None,
        };
        let entry = SignedEntry::issue(device(1).signing_key(), header, body);
        let circle = Circle::Direct(Box::new(friend));
        direct::take(ctx, circle.clone(), entry.clone(), Bearer::Author).unwrap();
        assert!(ctx.events.is_empty(), "{:?}", ctx.events);
        let kept = ctx.tx.entry(&entry.id).unwrap().unwrap();
        assert!(!shown::is_line(ctx, &circle, &kept).unwrap());
    });
}
