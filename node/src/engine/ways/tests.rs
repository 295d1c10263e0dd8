use std::time::Duration;

use undertone_protocol::ids::{Handle, MailboxId, PublishId, Secret};
use undertone_protocol::keys::{MailboxAddress, RelayAddress};
use undertone_protocol::limits::FALL_OVER_WAIT;
use undertone_protocol::token::{Step, TokenGrant};
use undertone_protocol::wire::{self, frame::Body};

use super::*;
use crate::LinkId;
use crate::engine::asked::{Asked, InFlight};
use crate::engine::tests::{START, on_a_device};
use crate::engine::types::Outputs;

mod over_two;
mod quick;

const DEVICE: DeviceId = DeviceId::new([7; 32]);
const MINUTE: Duration = Duration::from_secs(60);

fn relay(n: u8) -> RelayId {
    RelayId::new([n; 32])
}

fn link(n: u8) -> LinkId {
    LinkId::hidden(relay(n))
}

fn grant(at: u8, priority: u32, token: u8) -> DeliveryGrant {
    let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
    DeliveryGrant {
        device: DEVICE,
        mailbox: MailboxAddress {
            relay: RelayAddress { relay: relay(at), addresses },
            mailbox: MailboxId::new([at; 16]),
            epoch: 1,
            priority,
        },
        token: TokenGrant::issue(&Secret::new([token; 32]), Step::named(Handle::new([1; 8]))),
    }
}

/// At relay 11, which is preferred, and at 12.
fn grants() -> [DeliveryGrant; 2] {
    [grant(11, 0, 1), grant(12, 1, 1)]
}

fn connect(links: &mut Links, n: u8, now: Timestamp) {
    links.want(&grant(n, 0, 1).mailbox.relay, now);
    links.up(&link(n), now, &mut Outputs::default());
    assert!(links.greeted(&link(n), now));
}

fn connected(ctx: &mut Context<'_>, to: &[u8]) -> Links {
    let mut links = Links::new(ctx.rng);
    to.iter().for_each(|n| connect(&mut links, *n, START));
    links
}

/// The relay that it goes to.
fn goes(ctx: &mut Context<'_>, links: &mut Links, grants: &[DeliveryGrant]) -> Option<RelayId> {
    match way(ctx, links, grants, (None, &DEVICE), &Tried::default()) {
        Way::By { grant, .. } => Some(grant.mailbox.relay.relay),
        Way::Later(_) => None,
    }
}

/// Publishes something at a relay, which answers after so long; `None`: it does not.
fn publish(ctx: &mut Context<'_>, links: &mut Links, n: u8, answered_after: Option<Duration>) {
    let asked = InFlight { publish_id: PublishId::new([1; 16]), items: Vec::new(), has_others: true };
    let mut out = Outputs::default();
    let body = Body::Publish(wire::Publish::default());
    assert!(links.ask(&link(n), Asked::Publish(asked), body, ctx.now, &mut out));
    if let Some(after) = answered_after {
        ctx.now = ctx.now.after(after);
        let request = out.net.iter().find_map(|output| match output {
            crate::engine::types::NetOutput::Send { frame, .. } => Some(frame.request),
            _ => None,
        });
        assert!(links.answered(&link(n), request.unwrap(), ctx.now).is_some());
    }
}

#[test]
fn the_preferred_one_that_is_up_is_used_and_all_are_called_where_none_is() {
    on_a_device(|ctx| {
        let mut links = connected(ctx, &[]);
        assert_eq!(goes(ctx, &mut links, &grants()), None);
        assert!([11, 12].iter().all(|n| links.get(&link(*n)).is_some()), "both are called");
        connect(&mut links, 12, START);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(12)));
        connect(&mut links, 11, START);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)));
        links.down(&link(11), "gone", START);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(12)));
        // One that was lost a moment ago is not trusted at once.
        connect(&mut links, 11, START);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(12)));
        ctx.now = START.after(MINUTE);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)));
    });
}

#[test]
fn a_slow_one_is_avoided_for_a_while_and_of_equals_the_quickest_serves() {
    on_a_device(|ctx| {
        let mut links = connected(ctx, &[11, 12]);
        publish(ctx, &mut links, 11, Some(Duration::from_secs(3)));
        publish(ctx, &mut links, 12, Some(Duration::from_secs(1)));
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(12)));
        ctx.now = ctx.now.after(MINUTE * 10);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)));
        let equals = [grant(11, 3, 1), grant(12, 3, 1)];
        publish(ctx, &mut links, 11, Some(Duration::from_millis(400)));
        assert_eq!(goes(ctx, &mut links, &equals), Some(relay(12)));
        publish(ctx, &mut links, 12, Some(Duration::from_millis(900)));
        assert_eq!(goes(ctx, &mut links, &equals), Some(relay(11)));
        assert_eq!(goes(ctx, &mut links, &[grant(11, 3, 1), grant(12, 0, 1)]), Some(relay(12)));
    });
}

#[test]
fn one_that_does_not_answer_is_avoided_and_the_others_are_called() {
    on_a_device(|ctx| {
        let mut links = connected(ctx, &[11]);
        publish(ctx, &mut links, 11, None);
        assert_eq!(links.next_stuck(ctx.now), Some(START.after(FALL_OVER_WAIT)));
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)));
        assert!(links.get(&link(12)).is_none());
        ctx.now = START.after(FALL_OVER_WAIT);
        assert_eq!(links.next_stuck(ctx.now), None);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)), "there is no other");
        assert!(links.get(&link(12)).is_some(), "it is called");
        connect(&mut links, 12, ctx.now);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(12)));
        let tried = Tried { relays: vec![relay(11), relay(12)], ..Tried::default() };
        let left_out = way(ctx, &mut links, &grants(), (None, &DEVICE), &tried);
        assert!(matches!(left_out, Way::Later(None)));
    });
}

#[test]
fn one_that_is_full_for_longer_than_seconds_is_left_aside_until_it_may_have_room() {
    on_a_device(|ctx| {
        let mut links = connected(ctx, &[11, 12]);
        let second = Duration::from_secs(1);
        assert!(!ctx.agenda.refusals.full(DEVICE, relay(11), START.after(second), START));
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)));
        ctx.now = START.after(second * 4);
        let until = ctx.now.after(second * 2);
        assert!(ctx.agenda.refusals.full(DEVICE, relay(11), until, ctx.now));
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(12)));
        // It is waited for where there is no other.
        links.down(&link(12), "gone", ctx.now);
        let later = way(ctx, &mut links, &grants(), (None, &DEVICE), &Tried::default());
        assert!(matches!(later, Way::Later(Some(at)) if at == until));
        assert_eq!(goes(ctx, &mut links, &grants()[..1]), Some(relay(11)));
        ctx.now = until;
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)));
        ctx.agenda.refusals.took(DEVICE, relay(11));
        assert!(!ctx.agenda.refusals.full(DEVICE, relay(11), until.after(second), until));
    });
}

#[test]
fn a_token_that_was_denied_is_left_aside_and_another_one_is_not() {
    on_a_device(|ctx| {
        let mut links = connected(ctx, &[11, 12]);
        let [first, second] = grants();
        ctx.agenda.refusals.denied(DEVICE, relay(11), first.token.clone(), START);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(12)));
        assert_eq!(goes(ctx, &mut links, &[grant(11, 0, 2), second.clone()]), Some(relay(11)));
        // Where all were denied the user may try again at once.
        ctx.agenda.refusals.denied(DEVICE, relay(12), second.token, START);
        assert!(goes(ctx, &mut links, &grants()).is_some());
        ctx.now = START.after(CUSTODIAN_WAIT);
        assert_eq!(goes(ctx, &mut links, &grants()), Some(relay(11)));
    });
}

#[test]
fn what_was_refused_goes_another_way_only_where_one_may_take_it() {
    on_a_device(|ctx| {
        let mut links = connected(ctx, &[11]);
        let to = |ctx: &Context<'_>, links: &Links| another(ctx, links, &grants(), &DEVICE, &relay(11));
        assert_eq!(another(ctx, &links, &grants()[..1], &DEVICE, &relay(11)), None);
        assert_eq!(to(ctx, &links), Some(START), "it may be called");
        links.want(&grants()[1].mailbox.relay, START);
        links.down(&link(12), "nobody listens there", START);
        ctx.now = START.after(CUSTODIAN_WAIT);
        assert_eq!(to(ctx, &links), None, "it is gone");
        ctx.now = ctx.now.after(Duration::from_secs(1));
        assert_eq!(to(ctx, &links), Some(ctx.now), "it was not called of late");
        connect(&mut links, 12, ctx.now);
        assert_eq!(to(ctx, &links), Some(ctx.now));
        let until = ctx.now.after(MINUTE);
        ctx.agenda.refusals.full(DEVICE, relay(12), until, ctx.now);
        assert_eq!(to(ctx, &links), Some(until));
        ctx.agenda.refusals.denied(DEVICE, relay(12), grants()[1].token.clone(), ctx.now);
        assert_eq!(to(ctx, &links), None);
    });
}

/// Where something goes that is said in a group, of a device with mailboxes at these relays; each is preferred by its owner
/// more than the next one.
fn goes_in(ctx: &mut Context<'_>, links: &mut Links, group: u8, at: &[u8]) -> Option<RelayId> {
    let group = ConversationId::new([group; 32]);
    let grants: Vec<_> = at.iter().zip(0..).map(|(n, priority)| grant(*n, priority, 1)).collect();
    match way(ctx, links, &grants, (Some(&group), &DEVICE), &Tried::default()) {
        Way::By { grant, .. } => Some(grant.mailbox.relay.relay),
        Way::Later(_) => None,
    }
}

#[test]
fn in_a_group_members_with_relays_in_common_are_reached_at_one_of_them() {
    on_a_device(|ctx| {
        let mut links = connected(ctx, &[11, 12, 13]);
        let mut moved = 0;
        let mut used = std::collections::BTreeSet::new();
        for group in 0..32 {
            let all = goes_in(ctx, &mut links, group, &[11, 12, 13]).unwrap();
            // Whatever each of them prefers.
            assert_eq!(goes_in(ctx, &mut links, group, &[13, 12, 11]), Some(all));
            used.insert(all);
            // Without one of them only what went there goes elsewhere.
            let left = goes_in(ctx, &mut links, group, &[11, 12]).unwrap();
            assert!(left == all || all == relay(13));
            moved += u32::from(left != all);
        }
        assert!(used.len() == 3 && (1..24).contains(&moved), "{used:?}, {moved} moved");
        // A relay that is down for this sender is passed over.
        let preferred = (0..32).find(|group| goes_in(ctx, &mut links, *group, &[11, 12]) == Some(relay(11)));
        links.down(&link(11), "gone", ctx.now);
        assert_eq!(goes_in(ctx, &mut links, preferred.unwrap(), &[11, 12]), Some(relay(12)));
    });
}
