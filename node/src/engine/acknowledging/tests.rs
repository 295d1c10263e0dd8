use undertone_protocol::limits::PAYLOAD_BYTES_MAX;

use super::super::tests::{on_a_device, sibling_in_reach, written_by};
use super::*;

/// Or they would learn of nothing any more that was read in a conversation in which so many wrote.
#[test]
fn siblings_are_told_all_however_many_devices_wrote() {
    on_a_device(|ctx| {
        sibling_in_reach(ctx);
        let conversation = ctx.me.direct(&ctx.me.user);
        ctx.agenda.directory.insert(conversation, Side::User(ctx.me.user));
        let read = written_by(1_000);
        for (device, item) in read.items() {
            ctx.tx.put_frontier(&conversation, device, item).unwrap();
        }
        let mut own = ctx.tx.own_receipts(&conversation).unwrap();
        own.read = read;
        ctx.tx.put_own_receipts(&conversation, &own).unwrap();
        make_own_due(ctx, &conversation).unwrap();
        seal_due(ctx).unwrap();
        let parts = ctx.tx.outbox_of(&Purpose::OwnAcknowledgement(conversation)).unwrap();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.payload.len() <= PAYLOAD_BYTES_MAX));
        let own = ctx.tx.own_receipts(&conversation).unwrap();
        assert_eq!((own.counter, own.own_due), (parts.len() as u64, false), "each has a number of its own");
        // While one of them is on its way no other ones follow.
        ctx.tx.delete_outbox(parts[0].id).unwrap();
        make_own_due(ctx, &conversation).unwrap();
        seal_due(ctx).unwrap();
        let left = ctx.tx.outbox_of(&Purpose::OwnAcknowledgement(conversation)).unwrap();
        assert_eq!(left, parts[1..]);
    });
}
