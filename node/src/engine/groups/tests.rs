use std::time::Duration;

use prost::bytes::Bytes;
use undertone_protocol::codec::Signed;
use undertone_protocol::entry::{Content, EntryBody, EntryHeader, SignedEntry, Text};
use undertone_protocol::ids::{
    ConversationId, CurveKey, DeviceId, Handle, MailboxId, RelayId, Secret, UserId,
};
use undertone_protocol::keys::{
    Certificate, DeliveryGrant, DeviceKey, DeviceList, DeviceRevoke, DeviceRevokeFields, IdentityKey,
    ListedDevice, MailboxAddress, Name, RelayAddress,
};
use undertone_protocol::limits::REMOVED_TOKEN_LIFE;
use undertone_protocol::log::{Frontier, FrontierItem};
use undertone_protocol::membership::{Action, GroupUpdate, Operation, Person, Role, SignedOperation};
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Authors, Tick};
use undertone_protocol::token::{Step, TokenGrant};

use super::farewells::tell_gone;
use super::meeting::people;
use super::seeking::seek_due;
use super::{
    create, heard_of, introduce_again, not_reached, operate, rounds, sweep, tell_again, tell_late,
    update_received, welcome, welcome_again,
};
use crate::engine::agenda::Side;
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::direct::{self, Bearer};
use crate::engine::tests::{START, has_another, on_a_device};
use crate::engine::{healing, names, outgoing, shown, writing};
use crate::store::{
    Contact, ContactState, Delivery, Group, Member, OutboxState, OwnReceipts, Purpose, Standing,
};

mod blocks;
mod elsewhere;
mod farewells;
mod forged;
mod hearsay;
mod keys;
mod refused;
mod room;
mod written;

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
    Person { name: None, device_list, bundles: Vec::new(), grants, written: Vec::new() }
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
        let header = EntryHeader { body_hash: body.hash(), ..header(1, conversation) };
        let entry = SignedEntry::issue(device(1).signing_key(), header, body);
        let circle = Circle::Direct(Box::new(friend));
        direct::take(ctx, circle.clone(), entry.clone(), Bearer::Author).unwrap();
        assert!(ctx.events.is_empty(), "{:?}", ctx.events);
        let kept = ctx.tx.entry(&entry.id).unwrap().unwrap();
        assert!(!shown::is_line(ctx, &circle, &kept).unwrap());
    });
}

/// An entry of somebody's in a conversation of which nothing is known here.
fn header(by: u8, conversation: ConversationId) -> EntryHeader {
    EntryHeader {
        conversation,
        device: device(by).device(),
        seq: 1,
        prev: None,
        heads: Vec::new(),
        claimed: START,
        membership_heads: Vec::new(),
        body_hash: [1; 32],
        expires: None,
    }
}

fn listed(ctx: &mut Context<'_>, seed: u8) {
    let mut contact = ctx.tx.contact(&identity(seed).user()).unwrap().unwrap();
    let list = person(seed, &[]).device_list;
    ctx.agenda.note_devices(contact.user, &list);
    contact.device_list = Some(list);
    ctx.tx.put_contact(&contact).unwrap();
}

/// Or whoever missed the welcome would never know the group.
#[test]
fn a_contact_who_writes_in_a_group_brings_it() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        listed(ctx, 1);
        let circle = heard_of(ctx, &header(1, GROUP)).unwrap();
        assert!(matches!(circle, Some(Circle::Group(group)) if group.standing == Standing::Out));
    });
}

#[test]
fn a_stranger_who_writes_in_a_group_does_not_bring_it() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        listed(ctx, 1);
        let mut known = ctx.tx.contact(&identity(1).user()).unwrap().unwrap();
        known.state = ContactState::Member;
        ctx.tx.put_contact(&known).unwrap();
        assert!(heard_of(ctx, &header(1, GROUP)).unwrap().is_none());
        assert!(heard_of(ctx, &header(2, GROUP)).unwrap().is_none());
        assert_eq!(ctx.tx.groups().unwrap(), []);
    });
}

/// A group of this user's, with so many others, each an admin.
fn club(ctx: &mut Context<'_>, others: std::ops::Range<u8>) -> Group {
    let group = create(ctx, Name::new("Club").unwrap()).unwrap().unwrap();
    for seed in others {
        contact(ctx, seed);
        listed(ctx, seed);
        let add = Action::Add { user: identity(seed).user(), role: Role::Admin };
        operate(ctx, &group, add).unwrap().unwrap();
    }
    ctx.tx.group(&group.id).unwrap().unwrap()
}

/// Somebody else changes a group, on the only device of theirs.
fn changes(ctx: &mut Context<'_>, group: &Group, by: u8, action: Action) {
    let made = made(ctx, group, by, action);
    brings(ctx, group, by, made);
}

/// Somebody else's change, which they did not tell yet.
fn made(ctx: &mut Context<'_>, group: &Group, by: u8, action: Action) -> Signed {
    SignedOperation::issue(&device(by), drafted(ctx, group, by, action)).unwrap().signed()
}

fn drafted(ctx: &mut Context<'_>, group: &Group, by: u8, action: Action) -> Operation {
    let certificate = person(by, &[]).device_list.device(&device(by).device()).unwrap().clone();
    let certificate = Operation::certificate_hash(&certificate);
    ctx.groups
        .document(&group.id)
        .unwrap()
        .draft(&identity(by).user(), device(by).device(), certificate, action)
        .unwrap()
}

fn brings(ctx: &mut Context<'_>, group: &Group, by: u8, made: Signed) {
    let update = GroupUpdate { operations: vec![made], ..GroupUpdate::of(group.id) };
    update_received(ctx, &identity(by).user(), &device(by).device(), update.to_wire()).unwrap();
}

/// Whom a device would tell something of a group.
fn told(ctx: &Context<'_>, group: &Group) -> Vec<DeviceId> {
    let updates = ctx.agenda.updates.keys();
    updates.filter(|(of, _)| *of == group.id).map(|(_, device)| *device).collect()
}

/// Or what they did to a few only would stay with these.
#[test]
fn what_somebody_did_who_went_is_told_to_the_next_three() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..9);
        changes(ctx, &group, 1, Action::InviteLink { handle: Handle::new([1; 8]), not_after: None });
        ctx.agenda.updates.clear();
        operate(ctx, &group, Action::Remove { user: identity(1).user(), cut: None }).unwrap().unwrap();
        let mut others: Vec<DeviceId> = (2..9).map(|seed| device(seed).device()).collect();
        others.sort_unstable();
        let first = others.partition_point(|device| *device < ctx.me.device);
        others.rotate_left(first);
        let mut expected = others[..3].to_vec();
        expected.sort_unstable();
        assert_eq!(told(ctx, &group), expected);
    });
}

#[test]
fn one_is_told_at_random_of_what_may_not_have_got_through() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..9);
        ctx.agenda.updates.clear();
        rounds::tell_somebody(ctx, &group.id).unwrap();
        assert_eq!(told(ctx, &group).len(), 1);
    });
}

/// Tells of a member's mailbox as they do themselves.
fn gives(ctx: &mut Context<'_>, group: &Group, of: u8, relay: u8) {
    let mut member = ctx.tx.member(&group.id, &identity(of).user()).unwrap().unwrap();
    member.grants = vec![mailbox(of, relay)];
    member.introduced = vec![(device(of).device(), START)];
    ctx.tx.put_member(&member).unwrap();
}

fn wants(ctx: &Context<'_>, group: &Group, of: u8) -> bool {
    let update = ctx.agenda.updates.get(&(group.id, device(of).device()));
    update.is_some_and(|update| update.wants.contains(&identity(of).user()))
}

/// Of a group of two nobody else could say how its other member is reached.
#[test]
fn another_own_device_is_asked_for_who_can_not_be_reached() {
    on_a_device(|ctx| {
        let sibling = device(50).device();
        has_another(ctx, sibling);
        let group = club(ctx, 1..2);
        ctx.agenda.updates.clear();
        ctx.now = ctx.now.after(Duration::from_secs(60));
        seek_due(ctx).unwrap();
        let wants = ctx.agenda.updates.get(&(group.id, sibling)).map(|update| update.wants.clone());
        assert_eq!(wants, Some([identity(1).user()].into()));
    });
}

/// It would wait for ever: nobody says any more how they are reached.
#[test]
fn what_can_not_get_to_somebody_who_went_is_waited_for_no_longer() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        gives(ctx, &group, 2, 7);
        for seed in 1..3 {
            let (user, to) = (identity(seed).user(), device(seed).device());
            let payload = Bytes::from_static(b"sealed");
            outgoing::put(ctx, &user, &[to], Purpose::Group(group.id), 0, payload).unwrap();
        }
        for seed in 1..3 {
            operate(ctx, &group, Action::Remove { user: identity(seed).user(), cut: None }).unwrap().unwrap();
        }
        let is_over: Vec<bool> =
            (1..3).map(|seed| ctx.tx.outbox_to(&device(seed).device(), 0, 10).unwrap().is_empty()).collect();
        assert_eq!(is_over, [true, false], "by a way that is known it still goes");
    });
}

/// Whoever blocked this user still acknowledges what they write in the group.
#[test]
fn a_retry_receipt_that_a_contact_refuses_goes_by_the_group() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        gives(ctx, &group, 1, 7);
        let (user, their) = (identity(1).user(), device(1).device());
        let purpose = Purpose::Retry(user);
        outgoing::put_for_later(ctx, &user, &their, purpose, Bytes::from_static(b"sealed"), START).unwrap();
        let id = ctx.tx.outbox_of(&purpose).unwrap().first().unwrap().id;
        ctx.tx.set_outbox_recipients(id, &[(their, OutboxState::Failed)]).unwrap();
        let item = ctx.tx.outbox_head(id).unwrap().unwrap();
        healing::refused(ctx, &item, &user).unwrap();
        assert!(ctx.tx.outbox_of(&purpose).unwrap().is_empty());
        let sent = ctx.tx.outbox_of(&Purpose::Group(group.id)).unwrap();
        let to: Vec<_> = sent.iter().map(|item| (item.recipients.clone(), item.payload.clone())).collect();
        let [(recipients, payload)] = to.try_into().unwrap();
        assert_eq!((recipients[0].device, &payload[..]), (their, &b"sealed"[..]));
    });
}

#[test]
fn a_member_who_can_not_reach_this_device_is_told_again_how_to() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let mut member = ctx.tx.member(&group.id, &identity(1).user()).unwrap().unwrap();
        member.introduction_due = false;
        ctx.tx.put_member(&member).unwrap();
        let update = GroupUpdate { wants: vec![ctx.me.user], ..GroupUpdate::of(group.id) };
        update_received(ctx, &identity(1).user(), &device(1).device(), update.to_wire()).unwrap();
        assert!(ctx.tx.member(&group.id, &identity(1).user()).unwrap().unwrap().introduction_due);
    });
}

/// Their token was taken back when they had been out for a day: with the same one they would be refused for good.
#[test]
fn whoever_is_back_after_a_day_gets_another_token() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let user = identity(1).user();
        let token = |ctx: &Context<'_>| ctx.tx.member(&group.id, &user).unwrap().map(|member| member.token);
        let before = token(ctx).unwrap();
        operate(ctx, &group, Action::Remove { user, cut: None }).unwrap().unwrap();
        ctx.now = ctx.now.after(REMOVED_TOKEN_LIFE);
        sweep(ctx).unwrap();
        assert_eq!(token(ctx), None);
        operate(ctx, &group, Action::Add { user, role: Role::Member }).unwrap().unwrap();
        assert_ne!(token(ctx).unwrap(), before);
    });
}
