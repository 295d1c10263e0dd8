//! A member whose device signs what no honest one would.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use undertone_protocol::ids::{DeviceListHash, EntryId, OperationHash};
use undertone_protocol::membership::Taken;
use undertone_protocol::wire::Entries;

use super::super::admit_entry;
use super::super::farewells::for_gone;
use super::*;
use crate::engine::documents::Documents;

/// Two admins beside this user, of whom the first cheats and the second wrote something. Gives its id.
fn betrayed(ctx: &mut Context<'_>) -> (Group, EntryId) {
    let group = club(ctx, 1..3);
    (1..3).for_each(|seed| listed(ctx, seed));
    let id = writes(ctx, &group, 2, 1);
    (group, id)
}

/// Somebody writes an entry in a group, knowing all that is known here.
fn writes(ctx: &mut Context<'_>, group: &Group, by: u8, seq: u64) -> EntryId {
    let heads = ctx.groups.heads(&group.id);
    let entry = entry_on(ctx, group, by, seq, &heads);
    let id = entry.id;
    direct::take(ctx, Circle::Group(group.clone()), entry, Bearer::Author).unwrap();
    id
}

/// An entry of somebody's who knows these operations.
fn entry_on(ctx: &mut Context<'_>, group: &Group, by: u8, seq: u64, heads: &[OperationHash]) -> SignedEntry {
    let body = EntryBody::text("said", ctx.rng).unwrap();
    let header = EntryHeader {
        seq,
        prev: (seq > 1).then_some(EntryId::new([9; 32])),
        membership_heads: heads.iter().map(|head| DeviceListHash::new(*head.as_bytes())).collect(),
        body_hash: body.hash(),
        ..header(by, group.id)
    };
    SignedEntry::issue(device(by).signing_key(), header, body)
}

/// What the cheat would do on top of what is known here.
fn drafted(ctx: &mut Context<'_>, group: &Group, action: Action) -> Operation {
    let certificate = person(1, &[]).device_list.device(&device(1).device()).unwrap().clone();
    let certificate = Operation::certificate_hash(&certificate);
    ctx.groups
        .document(&group.id)
        .unwrap()
        .draft(&identity(1).user(), device(1).device(), certificate, action)
        .unwrap()
}

fn link(handle: u8) -> Action {
    Action::InviteLink { handle: Handle::new([handle; 8]), not_after: None }
}

fn says_operation(ctx: &mut Context<'_>, group: &Group, operation: Operation) {
    let made = SignedOperation::issue(&device(1), operation).unwrap();
    let update = GroupUpdate { operations: vec![made.signed()], ..GroupUpdate::of(group.id) };
    update_received(ctx, &identity(1).user(), &device(1).device(), update.to_wire()).unwrap();
}

/// Else one entry holds up every member for ever.
#[test]
fn the_largest_number_is_judged_and_that_is_the_end() {
    let (sender, done) = sync_channel(1);
    thread::spawn(move || {
        on_a_device(|ctx| {
            let group = club(ctx, 1..3);
            let id = writes(ctx, &group, 1, u64::MAX);
            operate(ctx, &group, Action::Remove { user: identity(1).user(), cut: None }).unwrap().unwrap();
            sender.send(ctx.tx.is_void(&id).unwrap()).unwrap();
        });
    });
    assert_eq!(done.recv_timeout(Duration::from_secs(20)), Ok(true));
}

/// A removal that is left out with its device's fork leaves no entry void.
#[test]
fn what_a_removal_took_away_that_a_fork_took_back_counts_again() {
    on_a_device(|ctx| {
        let (group, id) = betrayed(ctx);
        let other = drafted(ctx, &group, link(1));
        changes(ctx, &group, 1, Action::Remove { user: identity(2).user(), cut: None });
        assert!(ctx.tx.is_void(&id).unwrap());
        says_operation(ctx, &group, other);
        assert!(ctx.groups.view(&group.id).unwrap().is_in(&identity(2).user()));
        assert!(!ctx.tx.is_void(&id).unwrap());
    });
}

/// And is void once more when somebody else stands on that removal.
#[test]
fn what_somebody_else_builds_on_holds_again() {
    on_a_device(|ctx| {
        let (group, id) = betrayed(ctx);
        let other = drafted(ctx, &group, link(1));
        changes(ctx, &group, 1, Action::Remove { user: identity(2).user(), cut: None });
        // The creator did not know of the fork.
        let me = ctx.me.user;
        let built = {
            let document = ctx.groups.document(&group.id).unwrap();
            let own = document.since(&[]).find(|(_, made)| made.operation.device != device(1).device());
            let made = own.unwrap().1.operation.clone();
            document.draft(&me, made.device, made.certificate, link(2)).unwrap()
        };
        says_operation(ctx, &group, other);
        assert!(!ctx.tx.is_void(&id).unwrap());
        let built = SignedOperation::issue(&ctx.me.key, built).unwrap();
        let update = GroupUpdate { operations: vec![built.signed()], ..GroupUpdate::of(group.id) };
        update_received(ctx, &identity(1).user(), &device(1).device(), update.to_wire()).unwrap();
        assert!(ctx.tx.is_void(&id).unwrap());
    });
}

/// Or members that know of another number leave out other operations.
#[test]
fn a_fork_further_down_is_told_like_the_first_one() {
    on_a_device(|ctx| {
        let (group, _) = betrayed(ctx);
        let [first, second] = [link(1), link(2)].map(|action| drafted(ctx, &group, action));
        says_operation(ctx, &group, first);
        let [third, fourth] = [link(3), link(4)].map(|action| drafted(ctx, &group, action));
        says_operation(ctx, &group, third);
        says_operation(ctx, &group, fourth);
        ctx.agenda.updates.clear();
        says_operation(ctx, &group, second);
        let number = ctx.groups.document(&group.id).unwrap().proofs().map(|proof| proof.number()).next();
        assert_eq!(number, Some(0));
        assert!(told(ctx, &group).contains(&device(2).device()));
    });
}

/// After a start, too: else the entry would be void then.
#[test]
fn what_an_entry_names_is_kept_though_its_device_forked() {
    on_a_device(|ctx| {
        let (group, _) = betrayed(ctx);
        let [first, second] = [link(1), link(2)].map(|action| drafted(ctx, &group, action));
        // For somebody who does not know of the first.
        let named = {
            let certificate = person(1, &[]).device_list.device(&device(1).device()).unwrap().clone();
            let made = SignedOperation::issue(&device(1), second.clone()).unwrap();
            let mut theirs = ctx.groups.document(&group.id).unwrap().clone();
            let taken = theirs.take(device(2).device(), made.signed(), |_| Some(certificate.clone()));
            assert!(matches!(taken, Ok(Taken::Held(_))));
            *theirs.heads().first().unwrap()
        };
        says_operation(ctx, &group, first);
        says_operation(ctx, &group, second);
        assert_eq!(ctx.groups.document(&group.id).unwrap().aside(), 1);
        let entry = entry_on(ctx, &group, 2, 2, &[named]);
        assert!(admit_entry(ctx, &group, &entry).unwrap().is_ok());
        let mut stored = Documents::load(ctx.tx).unwrap();
        assert!(stored.document(&group.id).unwrap().get(&named).is_some());
    });
}

/// Its author may be gone, and what it names comes with no heads.
#[test]
fn who_brings_an_entry_is_asked_for_what_it_names() {
    on_a_device(|ctx| {
        let (group, _) = betrayed(ctx);
        let named = OperationHash::new([7; 32]);
        let entry = entry_on(ctx, &group, 1, 1, &[named]);
        ctx.agenda.updates.clear();
        let (user, bearer) = (identity(2).user(), device(2).device());
        let entries = Entries { entries: vec![entry.to_wire()] };
        direct::received_history(ctx, &user, &bearer, entries).unwrap();
        for asked in [bearer, device(1).device()] {
            let update = ctx.agenda.updates.get(&(group.id, asked)).unwrap();
            assert!(update.asks && update.lacks.contains(&named));
        }
    });
}

/// What let them in is left out, and no operation says so.
#[test]
fn whoever_was_let_in_by_a_device_that_forked_is_told_of_the_proof() {
    on_a_device(|ctx| {
        let (group, _) = betrayed(ctx);
        let (user, theirs) = (identity(5).user(), device(5).device());
        contact(ctx, 5);
        listed(ctx, 5);
        let other = drafted(ctx, &group, link(1));
        changes(ctx, &group, 1, Action::Add { user, role: Role::Member });
        let knows = ctx.groups.heads(&group.id);
        says_operation(ctx, &group, other);
        assert!(!ctx.groups.view(&group.id).unwrap().is_in(&user));
        ctx.agenda.updates.clear();
        tell_gone(ctx, &group.id, &user, &theirs, &knows);
        let due = ctx.agenda.updates.remove(&(group.id, theirs)).unwrap();
        let update = for_gone(ctx, &group.id, due).unwrap();
        assert_eq!((update.heads.len(), update.forks.len()), (0, 1));
    });
}
