//! Up to where others wrote, by the word of somebody, and what a cut names of it.

use undertone_protocol::ids::EntryId;
use undertone_protocol::membership::Written;

use super::super::cut_of;
use super::hearsay::{tells, theirs};
use super::*;

fn end(of: u8, seq: u64) -> Written {
    Written { device: device(of).device(), seq, entry: EntryId::new([seq as u8; 32]) }
}

/// Somebody says up to where person 3 wrote.
fn says_end(ctx: &mut Context<'_>, by: UserId, group: ConversationId, seq: u64) {
    let people = vec![Person { written: vec![end(3, seq)], ..person(3, &[]) }];
    let update = GroupUpdate { people, ..GroupUpdate::of(group) };
    update_received(ctx, &by, &device(9).device(), update.to_wire()).unwrap();
}

/// What a cut of person 3 names.
fn cut(ctx: &mut Context<'_>, group: &ConversationId) -> Option<EntryId> {
    let cut = cut_of(ctx, group, &identity(3).user()).unwrap().unwrap();
    cut.devices.get(&device(3).device()).and_then(|heads| heads.entry)
}

/// Person 1 brings a group, and may let this user in with what follows.
fn brought(ctx: &mut Context<'_>) -> (ConversationId, [Signed; 2]) {
    [1, 2].into_iter().for_each(|seed| contact(ctx, seed));
    let theirs = theirs(ctx, 1);
    let update = GroupUpdate { people: vec![person(1, &[])], ..GroupUpdate::of(theirs.0) };
    update_received(ctx, &identity(1).user(), &device(1).device(), update.to_wire()).unwrap();
    theirs
}

/// What is let in by the rules may have been on its way when somebody else said something.
#[test]
fn before_somebody_let_this_user_in_the_last_word_of_a_contact_holds() {
    on_a_device(|ctx| {
        let (group, operations) = brought(ctx);
        says_end(ctx, identity(2).user(), group, 200);
        says_end(ctx, identity(1).user(), group, 7);
        assert_eq!(cut(ctx, &group), Some(end(3, 7).entry));
        tells(ctx, 1, group, operations.into());
        assert!(ctx.groups.view(&group).unwrap().is_in(&ctx.me.user));
        assert_eq!(cut(ctx, &group), Some(end(3, 7).entry));
    });
}

/// Or any member could have this user's removals cut off what others hold.
#[test]
fn once_in_only_who_let_this_user_in_and_own_devices_say_where_others_end() {
    on_a_device(|ctx| {
        let (group, operations) = brought(ctx);
        tells(ctx, 1, group, operations.into());
        says_end(ctx, identity(2).user(), group, 200);
        assert_eq!(cut(ctx, &group), None);
        for (by, said, known) in [(identity(1).user(), 7, 7), (ctx.me.user, 9, 9), (identity(1).user(), 8, 9)]
        {
            says_end(ctx, by, group, said);
            assert_eq!(cut(ctx, &group), Some(end(3, known).entry));
        }
    });
}
