//! What others bring of a group, and how long it takes up room.

use undertone_protocol::ids::OperationHash;

use super::*;
use crate::engine::groups::room;

/// A group with a contact, an admin.
fn joined(ctx: &mut Context<'_>) -> Group {
    contact(ctx, 1);
    listed(ctx, 1);
    let group = create(ctx, Name::new("Club").unwrap()).unwrap().unwrap();
    let add = Action::Add { user: identity(1).user(), role: Role::Admin };
    operate(ctx, &group, add).unwrap().unwrap();
    group
}

/// They sign something twice with one number.
fn forked(ctx: &mut Context<'_>) -> Group {
    let group = joined(ctx);
    let [one, two] = [7, 8].map(|handle| {
        let link = Action::InviteLink { handle: Handle::new([handle; 8]), not_after: None };
        made(ctx, &group, 1, link)
    });
    brings(ctx, &group, 1, one);
    brings(ctx, &group, 1, two);
    group
}

fn aside(ctx: &mut Context<'_>, group: &Group) -> usize {
    ctx.groups.document(&group.id).unwrap().aside()
}

/// Or a few could keep others out who bring what entries stand on.
#[test]
fn what_holds_by_nothing_is_dropped_at_the_second_look() {
    on_a_device(|ctx| {
        let group = forked(ctx);
        let held = aside(ctx, &group);
        assert!(held > 0);
        room::sweep(ctx).unwrap();
        assert_eq!(aside(ctx, &group), held);
        room::sweep(ctx).unwrap();
        assert_eq!(aside(ctx, &group), 0);
        assert!(ctx.agenda.lingering.is_empty());
    });
}

#[test]
fn what_waits_is_dropped_at_the_second_look() {
    on_a_device(|ctx| {
        let group = joined(ctx);
        let operation = drafted(ctx, &group, 1, Action::Leave { successor: None });
        let lacks = Operation { parents: vec![OperationHash::new([9; 32])], ..operation };
        let signed = SignedOperation::issue(&device(1), lacks).unwrap().signed();
        brings(ctx, &group, 1, signed);
        let waiting = |ctx: &mut Context<'_>| ctx.groups.document(&group.id).unwrap().waiting();
        assert_eq!(waiting(ctx), 1);
        room::sweep(ctx).unwrap();
        assert_eq!(waiting(ctx), 1);
        room::sweep(ctx).unwrap();
        assert_eq!(waiting(ctx), 0);
    });
}

/// Who never was in was given no token: taking back such would use up what a relay lets a mailbox take back.
#[test]
fn nothing_is_taken_back_of_whom_somebody_only_named() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        says(ctx, 1, person(3, &[7]));
        assert!(!known(ctx, &identity(3).user()).is_empty());
        let relay = ctx.tx.home_relays().unwrap()[0].address.relay;
        let due = |ctx: &Context<'_>| ctx.tx.revocations_due(&relay, 100).unwrap();
        let before = due(ctx);
        ctx.now = ctx.now.after(2 * REMOVED_TOKEN_LIFE);
        sweep(ctx).unwrap();
        assert_eq!(due(ctx), before);
        assert_eq!(ctx.tx.member(&GROUP, &identity(3).user()).unwrap(), None);
    });
}
