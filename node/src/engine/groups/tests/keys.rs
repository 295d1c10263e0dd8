//! Keys that come before the group is known.

use super::*;
use crate::engine::received_keys;
use crate::engine::tests::shared_key_of;
use crate::log;

fn hands_out(ctx: &mut Context<'_>, (user, by): (UserId, u8), next_seq: u64) {
    let (_, signed) = shared_key_of(ctx, (user, &device(by)), GROUP, next_seq);
    received_keys::key_package(ctx, &user, &device(by).device(), signed).unwrap();
}

/// Or it would be asked for what was written before its user came in, by everybody, for ever.
#[test]
fn what_is_for_others_is_not_missing_though_the_key_came_before_the_group() {
    on_a_device(|ctx| {
        contact(ctx, 1);
        listed(ctx, 1);
        has_another(ctx, device(50).device());
        let (theirs, own) = (identity(1).user(), ctx.me.user);
        hands_out(ctx, (theirs, 1), 7);
        hands_out(ctx, (theirs, 1), 9);
        hands_out(ctx, (own, 50), 5);
        assert_eq!(ctx.tx.frontier(&GROUP).unwrap(), [], "anybody could name any conversation");
        heard_of(ctx, &header(1, GROUP)).unwrap().unwrap();
        let before = |by: u8| log::frontier_of(ctx.tx, &GROUP, &device(by).device()).unwrap().seq;
        assert_eq!((before(1), before(50)), (6, 0));
    });
}
