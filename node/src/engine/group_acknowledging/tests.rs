use undertone_protocol::limits::{DEVICES_PER_USER_MAX, FRONTIER_RANGES_MAX};
use undertone_protocol::log::{FrontierItem, SeqRange};

use super::super::own;
use super::super::tests::{on_a_device, sibling_in_reach, written_by};
use super::*;

/// Of each as many gaps as are told.
fn with_gaps(devices: usize) -> Frontier {
    let first = 1 << 63;
    let range = |n: usize| SeqRange { from: first + 4 * n as u64, through: first + 4 * n as u64 + 1 };
    let mut frontier = Frontier::default();
    for (device, item) in written_by(devices).items() {
        let ranges: Vec<SeqRange> = (0..FRONTIER_RANGES_MAX).map(range).collect();
        let ends = vec![item.head.unwrap(); ranges.len()];
        frontier.set(*device, FrontierItem { ranges, ends, ..item.clone() });
    }
    frontier
}

/// Or they would hand over the same again and again.
#[test]
fn whoever_handed_over_what_has_gaps_is_told_all_of_it() {
    on_a_device(|ctx| {
        let key = sibling_in_reach(ctx);
        let (group, author) = (ConversationId::new([3; 32]), own::own_contact(ctx).unwrap().unwrap());
        let (handed, own) = (with_gaps(HANDED_AUTHORS_TOLD_MAX), with_gaps(DEVICES_PER_USER_MAX));
        let which = (group, key.device());
        ctx.agenda.handed.insert(which, handed.items().map(|(device, _)| *device).collect());
        ctx.agenda.behind.insert(which);
        let theirs = Theirs { delivered: own.clone(), read: own, handed };
        let last = tell(ctx, &author, &[key.device()], &group, 5, &theirs).unwrap().unwrap();
        let parts = ctx.tx.outbox_of(&Purpose::Acknowledgement(group)).unwrap();
        assert!(parts.len() > 1);
        assert_eq!(last, 4 + parts.len() as u64);
        assert!(!ctx.agenda.behind.contains(&which) && !ctx.agenda.handed.contains_key(&which));
    });
}
