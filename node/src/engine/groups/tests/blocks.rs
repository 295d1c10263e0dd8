//! Groups while one of two blocks the other, and after.

use undertone_protocol::entry::BlockedFrom;
use undertone_protocol::ids::OperationHash;

use super::*;
use crate::engine::blocking::{shut_out, unblock};
use crate::store::Block;

/// What they told just before may have been lost, and then nobody would know the group.
#[test]
fn a_contact_who_was_blocked_is_still_heard_of_a_group_that_they_brought_before() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        listed(ctx, 1);
        heard_of(ctx, &header(1, GROUP)).unwrap();
        let user = identity(1).user();
        let known = ctx.tx.contact(&user).unwrap().unwrap();
        shut_out(ctx, known, Block { was: BlockedFrom::Accepted, since: START }).unwrap();
        ctx.agenda.updates.clear();
        let heads = vec![OperationHash::new([9; 32])];
        for group in [GROUP, ConversationId::new([4; 32])] {
            let update = GroupUpdate { heads: heads.clone(), ..GroupUpdate::of(group) };
            update_received(ctx, &user, &device(1).device(), update.to_wire()).unwrap();
        }
        let asks: Vec<_> =
            ctx.agenda.updates.iter().filter(|(_, update)| update.asks).map(|(key, _)| key.0).collect();
        assert_eq!(asks, [GROUP]);
    });
}

/// While this user was blocked they heard nothing of it.
#[test]
fn who_says_anew_how_to_reach_them_is_told_of_common_groups() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        gives(ctx, &group, 1, 7);
        ctx.agenda.updates.clear();
        introduce_again(ctx, &identity(1).user(), &[device(1).device()].into()).unwrap();
        assert_eq!(told(ctx, &group), [device(1).device()]);
    });
}

/// They may have said so while they were blocked, and what welcomed them was refused before.
#[test]
fn who_is_unblocked_is_welcomed_again() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let user = identity(1).user();
        let known = ctx.tx.contact(&user).unwrap().unwrap();
        shut_out(ctx, known, Block { was: BlockedFrom::Accepted, since: START }).unwrap();
        let member = ctx.tx.member(&group.id, &user).unwrap().unwrap();
        ctx.tx.put_member(&Member { welcome_due: false, ..member }).unwrap();
        ctx.agenda.updates.clear();
        let blocked = ctx.tx.contact(&user).unwrap().unwrap();
        unblock(ctx, blocked).unwrap().unwrap();
        assert!(ctx.tx.member(&group.id, &user).unwrap().unwrap().welcome_due);
        assert_eq!(told(ctx, &group), [device(1).device()]);
    });
}
