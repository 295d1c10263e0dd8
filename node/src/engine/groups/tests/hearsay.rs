//! Groups and people of which others only tell, and how much room they take up.

use undertone_protocol::ids::DeviceListHash;
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, GROUPS_MAX};
use undertone_protocol::membership::{Create, Document, SettingsChange};

use super::super::hearsay::{
    STRANGERS_LEFT, STRANGERS_MAX, TOLD_GROUPS_MAX, TOLD_GROUPS_PER_CONTACT_MAX, note_person,
};
use super::super::{admit_entry, make_room};
use super::*;
use crate::engine::admission::Admission;

const A_WHILE: Duration = Duration::from_secs(1);

fn numbered(n: usize) -> [u8; 32] {
    let mut id = [0xee; 32];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    id
}

/// A contact tells of a group of which nothing more is said, a while after what was before.
fn tells_of(ctx: &mut Context<'_>, by: u8, n: usize) {
    ctx.now = ctx.now.after(A_WHILE);
    let update = GroupUpdate::of(ConversationId::new(numbered(n)));
    update_received(ctx, &identity(by).user(), &device(by).device(), update.to_wire()).unwrap();
}

fn is_kept(ctx: &Context<'_>, n: usize) -> bool {
    let id = ConversationId::new(numbered(n));
    let is_kept = ctx.tx.group(&id).unwrap().is_some();
    assert_eq!(is_kept, ctx.agenda.directory.contains_key(&id));
    assert_eq!(is_kept, ctx.groups.view(&id).is_some());
    is_kept
}

fn groups(ctx: &Context<'_>) -> usize {
    ctx.tx.groups().unwrap().len()
}

/// What a contact did in a group of theirs: they made it, and let this user in.
pub(super) fn theirs(ctx: &Context<'_>, by: u8) -> (ConversationId, [Signed; 2]) {
    let certificate = person(by, &[]).device_list.device(&device(by).device()).unwrap().clone();
    let settings = SettingsChange { name: Some(Name::new("Club").unwrap()), ..SettingsChange::default() };
    let create = Operation {
        group: None,
        device: device(by).device(),
        certificate: Operation::certificate_hash(&certificate),
        parents: Vec::new(),
        number: 0,
        action: Action::Create(Create { salt: [by; 16], cap: 10, settings }),
    };
    let made = SignedOperation::issue(&device(by), create).unwrap();
    let mut document = Document::new(Document::group_of(&made));
    document.take(device(by).device(), made.signed(), |_| Some(certificate.clone())).unwrap();
    let add = Action::Add { user: ctx.me.user, role: Role::Member };
    let (user, hash) = (identity(by).user(), Operation::certificate_hash(&certificate));
    let add = document.draft(&user, device(by).device(), hash, add).unwrap();
    let add = SignedOperation::issue(&device(by), add).unwrap();
    (document.group(), [made.signed(), add.signed()])
}

pub(super) fn tells(ctx: &mut Context<'_>, by: u8, group: ConversationId, operations: Vec<Signed>) {
    let update = GroupUpdate { operations, ..GroupUpdate::of(group) };
    update_received(ctx, &identity(by).user(), &device(by).device(), update.to_wire()).unwrap();
}

/// Or they could take up the room of all.
#[test]
fn of_the_groups_that_a_contact_only_tells_of_the_newest_are_kept() {
    on_a_device(|ctx| {
        [1, 2].into_iter().for_each(|seed| contact(ctx, seed));
        tells_of(ctx, 2, 0);
        let all = TOLD_GROUPS_PER_CONTACT_MAX + 3;
        (1..=all).for_each(|n| tells_of(ctx, 1, n));
        let kept: Vec<usize> = (0..=all).filter(|n| is_kept(ctx, *n)).collect();
        let expected: Vec<usize> = std::iter::once(0).chain(4..=all).collect();
        assert_eq!(kept, expected, "what another contact brought stays");
    });
}

#[test]
fn nothing_of_a_group_that_made_room_is_kept() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        says(ctx, 1, person(3, &[7]));
        assert!(!ctx.tx.members(&GROUP).unwrap().is_empty());
        let (user, theirs) = (identity(3).user(), device(3).device());
        let purposes = [Purpose::Group(GROUP), Purpose::Retry(user)];
        for (purpose, payload) in purposes.into_iter().zip([&b"told"[..], b"asked"]) {
            outgoing::put(ctx, &user, &[theirs], purpose, outgoing::NO_GROUP, Bytes::from_static(payload))
                .unwrap();
        }
        (0..TOLD_GROUPS_PER_CONTACT_MAX).for_each(|n| tells_of(ctx, 1, n));
        assert!(ctx.tx.members(&GROUP).unwrap().is_empty());
        assert!(ctx.agenda.updates.keys().chain(ctx.agenda.updated.keys()).all(|(of, _)| *of != GROUP));
        assert!(ctx.agenda.meet.iter().all(|(of, _)| *of != GROUP));
        assert!(purposes.iter().all(|purpose| ctx.tx.outbox_of(purpose).unwrap().is_empty()));
    });
}

#[test]
fn groups_that_many_contacts_only_tell_of_are_bounded() {
    on_a_device(|ctx| {
        let contacts = TOLD_GROUPS_MAX / TOLD_GROUPS_PER_CONTACT_MAX + 2;
        for by in 0..contacts {
            let seed = u8::try_from(by + 1).unwrap();
            contact(ctx, seed);
            (0..TOLD_GROUPS_PER_CONTACT_MAX).for_each(|n| tells_of(ctx, seed, by * 1_000 + n));
        }
        assert_eq!(groups(ctx), TOLD_GROUPS_MAX);
        assert!(!is_kept(ctx, 0) && is_kept(ctx, (contacts - 1) * 1_000));
    });
}

/// Or nobody could let this user in any more, nor they make a group.
#[test]
fn a_group_that_is_only_told_of_makes_room_for_another_one() {
    on_a_device(|ctx| {
        [1, 2].into_iter().for_each(|seed| contact(ctx, seed));
        for n in 1..GROUPS_MAX {
            let id = ConversationId::new(numbered(n));
            let group = Group { id, name: n.to_string(), standing: Standing::In, added: START };
            ctx.tx.put_group(&group).unwrap();
        }
        tells_of(ctx, 1, 0);
        assert!(is_kept(ctx, 0));
        let (group, operations) = theirs(ctx, 2);
        let people = vec![person(2, &[])];
        let update = GroupUpdate { people, operations: operations.to_vec(), ..GroupUpdate::of(group) };
        update_received(ctx, &identity(2).user(), &device(2).device(), update.to_wire()).unwrap();
        assert!(!is_kept(ctx, 0));
        assert_eq!(ctx.tx.group(&group).unwrap().map(|group| group.standing), Some(Standing::In));
        assert_eq!(groups(ctx), GROUPS_MAX);
        // Of what is left nothing goes.
        let me = ctx.me.user;
        assert!(!make_room(ctx, &me).unwrap());
        assert_eq!(groups(ctx), GROUPS_MAX);
    });
}

/// What says that this user is in may come last.
#[test]
fn a_group_in_which_this_user_is_after_all_stays() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        let (group, [create, add]) = theirs(ctx, 1);
        let update = GroupUpdate { people: vec![person(1, &[])], ..GroupUpdate::of(group) };
        update_received(ctx, &identity(1).user(), &device(1).device(), update.to_wire()).unwrap();
        tells(ctx, 1, group, vec![create]);
        (0..TOLD_GROUPS_PER_CONTACT_MAX - 1).for_each(|n| tells_of(ctx, 1, n));
        tells(ctx, 1, group, vec![add]);
        (0..2 * TOLD_GROUPS_PER_CONTACT_MAX).for_each(|n| tells_of(ctx, 1, 1_000 + n));
        ctx.now = ctx.now.after(2 * ENVELOPE_TTL_MAX);
        sweep(ctx).unwrap();
        assert_eq!(groups(ctx), 1);
        let kept = ctx.tx.group(&group).unwrap().unwrap();
        assert_eq!((kept.standing, kept.name.as_str()), (Standing::In, "Club"));
    });
}

/// One that this user left has what was said in it.
#[test]
fn a_group_in_which_this_user_was_stays() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..2);
        operate(ctx, &group, Action::Leave { successor: Some(identity(1).user()) }).unwrap().unwrap();
        // After a start that is all that is known of it.
        ctx.agenda.told.clear();
        super::super::look_at_all(ctx.tx, ctx.agenda, ctx.now).unwrap();
        ctx.now = ctx.now.after(2 * ENVELOPE_TTL_MAX);
        sweep(ctx).unwrap();
        assert_eq!(ctx.tx.group(&group.id).unwrap().unwrap().standing, Standing::Out);
    });
}

#[test]
fn what_is_only_told_of_goes_when_nothing_came_of_it() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        says(ctx, 1, person(3, &[7]));
        // After a start, too.
        ctx.agenda.told.clear();
        super::super::look_at_all(ctx.tx, ctx.agenda, ctx.now).unwrap();
        let (user, stranger) = (identity(3).user(), device(3).device());
        ctx.now = ctx.now.after(ENVELOPE_TTL_MAX - A_WHILE);
        sweep(ctx).unwrap();
        assert!(ctx.tx.group(&GROUP).unwrap().is_some() && ctx.tx.contact(&user).unwrap().is_some());
        ctx.now = ctx.now.after(A_WHILE);
        sweep(ctx).unwrap();
        assert!(ctx.tx.group(&GROUP).unwrap().is_none() && ctx.tx.contact(&user).unwrap().is_none());
        assert!(!ctx.agenda.devices.contains_key(&stranger));
        assert!(ctx.tx.contact(&identity(1).user()).unwrap().is_some());
    });
}

/// Person 1 said something in their group.
fn said(ctx: &mut Context<'_>, group: ConversationId) -> SignedEntry {
    let body = EntryBody::text("said", ctx.rng).unwrap();
    let heads = ctx.groups.heads(&group);
    let header = EntryHeader {
        membership_heads: heads.iter().map(|head| DeviceListHash::new(*head.as_bytes())).collect(),
        body_hash: body.hash(),
        ..header(1, group)
    };
    SignedEntry::issue(device(1).signing_key(), header, body)
}

/// They were in by what does not count any more, or the other device would hold nothing.
#[test]
fn what_an_own_other_device_holds_is_kept_where_this_user_seems_never_to_have_been() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        listed(ctx, 1);
        let (id, [create, _]) = theirs(ctx, 1);
        tells(ctx, 1, id, vec![create]);
        let entry = said(ctx, id);
        let handed = |ctx: &mut Context<'_>, by: UserId| {
            let entries = vec![entry.to_wire()];
            direct::received_history(
                ctx,
                &by,
                &device(9).device(),
                undertone_protocol::wire::Entries { entries },
            )
            .unwrap();
            ctx.tx.entry(&entry.id).unwrap().is_some()
        };
        assert!(!handed(ctx, identity(1).user()));
        let me = ctx.me.user;
        assert!(handed(ctx, me));
    });
}

/// It would stay when the group goes.
#[test]
fn nothing_is_kept_of_what_is_said_where_this_user_never_was() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        listed(ctx, 1);
        let (id, [create, add]) = theirs(ctx, 1);
        tells(ctx, 1, id, vec![create]);
        let admitted = |ctx: &mut Context<'_>| {
            let (entry, group) = (said(ctx, id), ctx.tx.group(&id).unwrap().unwrap());
            admit_entry(ctx, &group, &entry).unwrap()
        };
        assert!(matches!(admitted(ctx), Err(Admission::Later)));
        tells(ctx, 1, id, vec![add]);
        assert!(matches!(admitted(ctx), Ok(())));
    });
}

/// People whom a contact made up, one a while after the other.
fn makes_up(ctx: &mut Context<'_>, count: usize) {
    for n in 0..count {
        let user = UserId::new(numbered(n));
        note_person(ctx, &user).unwrap();
        ctx.now = ctx.now.after(A_WHILE);
        let made_up = names::stranger(ctx, user, Name::new("nobody").unwrap(), ContactState::Member);
        ctx.tx.put_contact(&made_up).unwrap();
    }
}

#[test]
fn people_who_are_in_no_group_make_room_for_others() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        makes_up(ctx, STRANGERS_MAX);
        let known = |ctx: &Context<'_>, n| ctx.tx.contact(&UserId::new(numbered(n))).unwrap().is_some();
        assert!(known(ctx, 0));
        says(ctx, 1, person(3, &[7]));
        let went = STRANGERS_MAX - STRANGERS_LEFT;
        assert!(!known(ctx, went - 1) && known(ctx, went) && known(ctx, STRANGERS_MAX - 1));
        // They, the user, the contact, and the one who was named last.
        assert_eq!(ctx.tx.contacts().unwrap().len(), STRANGERS_LEFT + 3);
        assert!(ctx.tx.contact(&identity(3).user()).unwrap().is_some());
    });
}

/// Members, former ones, and who changed something are needed for good.
#[test]
fn who_is_or_was_in_a_group_makes_no_room() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..4);
        let link = Action::InviteLink { handle: Handle::new([1; 8]), not_after: None };
        changes(ctx, &group, 3, link);
        operate(ctx, &group, Action::Remove { user: identity(2).user(), cut: None }).unwrap().unwrap();
        for seed in 1..4 {
            let known = ctx.tx.contact(&identity(seed).user()).unwrap().unwrap();
            ctx.tx.put_contact(&Contact { state: ContactState::Member, ..known }).unwrap();
            note_person(ctx, &identity(seed).user()).unwrap();
        }
        makes_up(ctx, STRANGERS_MAX);
        ctx.now = ctx.now.after(2 * ENVELOPE_TTL_MAX);
        sweep(ctx).unwrap();
        let left: Vec<UserId> = ctx.tx.contacts().unwrap().iter().map(|contact| contact.user).collect();
        let mut members: Vec<UserId> = (1..4).map(|seed| identity(seed).user()).collect();
        members.retain(|user| !left.contains(user));
        // They, and the user.
        assert_eq!((members, left.len()), (Vec::new(), 4));
    });
}
