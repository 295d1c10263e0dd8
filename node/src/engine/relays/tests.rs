use std::time::Duration;

use prost::bytes::Bytes;
use undertone_protocol::ids::{DeviceId, Generation, Handle, UserId};
use undertone_protocol::keys::{DeviceKey, Name, RelayAddress};
use undertone_protocol::wire::Frame;
use undertone_transport::RelayAddress as KeyedAddress;

use super::super::addresses::own_addresses;
use super::super::answers::Reply;
use super::super::fetches::Fetches;
use super::super::home::offered;
use super::super::links::LINKS_MAX;
use super::super::tests::{START, on_a_device};
use super::super::types::NetOutput;
use super::super::{frames, home, relay_commands};
use super::*;
use crate::LinkId;
use crate::command::{ErrorKind, relay_addresses};
use crate::store::Contact;

mod ending;
mod forgetting;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn key(n: u8) -> RelayId {
    RelayId::new(*DeviceKey::from_seed(&Secret::new([n; 32])).device().as_bytes())
}

fn address_at(n: u8, at: &str) -> Vec<String> {
    vec![KeyedAddress { relay: key(n), address: at.parse().unwrap() }.to_string()]
}

fn address(n: u8) -> Vec<String> {
    address_at(n, "/ip4/127.0.0.1/tcp/4000")
}

fn links(ctx: &mut Context<'_>) -> Links {
    let mut links = Links::new(ctx.rng);
    for home in ctx.tx.home_relays().unwrap() {
        links.want_home(&home.address, START);
    }
    links
}

/// The relay of a new device.
fn first(ctx: &Context<'_>) -> RelayId {
    ctx.tx.home_relays().unwrap()[0].address.relay
}

fn friend(ctx: &mut Context<'_>) -> UserId {
    let user = UserId::new([7; 32]);
    let contact =
        Contact::new(user, Name::new("Bob").unwrap(), ContactState::Accepted, Handle::new([7; 8]), START);
    ctx.tx.put_contact(&contact).unwrap();
    user
}

fn is_due(ctx: &Context<'_>, user: &UserId) -> bool {
    ctx.tx.contact(user).unwrap().unwrap().introduction_due
}

/// The friend was told.
fn told(ctx: &mut Context<'_>, user: &UserId) {
    let contact = ctx.tx.contact(user).unwrap().unwrap();
    ctx.tx.put_contact(&Contact { introduction_due: false, ..contact }).unwrap();
}

fn offers(ctx: &Context<'_>) -> Vec<RelayId> {
    offered(ctx).unwrap().iter().map(|home| home.address.relay).collect()
}

fn add(ctx: &mut Context<'_>, links: &mut Links, n: u8) {
    assert!(matches!(relay_commands::add(ctx, links, &address(n), None), Ok(Ok(Reply::Later(_)))));
}

/// The relay has a mailbox of this device.
fn registered(ctx: &mut Context<'_>, relay: &RelayId) {
    let home = ctx.tx.home_relay(relay).unwrap().unwrap();
    ctx.tx.put_home_relay(&HomeRelay { generation: Some(Generation::new([1; 8])), ..home }).unwrap();
}

/// The relay confirms the newest bundle.
fn stored(ctx: &mut Context<'_>, relay: &RelayId) {
    let said = bundle_of(ctx, ctx.now).unwrap();
    bundle_stored(ctx, relay, &said).unwrap();
}

/// The connection to the relay is up and greeted.
fn ready(ctx: &Context<'_>, links: &mut Links, relay: &RelayId) {
    links.up(&LinkId::home(*relay), ctx.now, &mut Outputs::default());
    assert!(links.greeted(&LinkId::home(*relay), ctx.now));
}

fn refusal(answer: Result<Result<Reply, crate::command::CommandError>, StoreError>) -> ErrorKind {
    match answer.unwrap() {
        Err(error) => error.kind,
        Ok(_) => panic!("it was carried out"),
    }
}

#[test]
fn nobody_is_told_of_a_relay_before_it_has_the_bundle() {
    on_a_device(|ctx| {
        let (mut links, user) = (links(ctx), friend(ctx));
        let first = first(ctx);
        add(ctx, &mut links, 0);
        assert!(links.get(&LinkId::home(key(0))).is_some());
        assert_eq!(offers(ctx), [first]);
        assert!(!is_due(ctx, &user));
        let added = ctx.tx.home_relay(&key(0)).unwrap().unwrap();
        let before = ctx.tx.home_relay(&first).unwrap().unwrap();
        assert!(added.mailbox != before.mailbox && added.secret != before.secret);
        assert!(added.locator != before.locator && added.priority > before.priority);
        stored(ctx, &key(0));
        assert_eq!(offers(ctx), [first, key(0)]);
        assert!(is_due(ctx, &user));
        // That the bundle is stored again is no news.
        told(ctx, &user);
        stored(ctx, &key(0));
        assert!(!is_due(ctx, &user));
    });
}

#[test]
fn those_that_are_given_up_serve_until_another_one_is_ready() {
    on_a_device(|ctx| {
        let (mut links, user) = (links(ctx), friend(ctx));
        let (first, mut out) = (first(ctx), Outputs::default());
        relay_commands::move_to(ctx, &mut links, &address(0), &mut out).unwrap().map(drop).unwrap();
        assert_eq!(offers(ctx), [first]);
        assert!(!is_due(ctx, &user));
        // However long that takes.
        ctx.now = START.after(DAY * 90);
        sweep(ctx, &mut links, &mut out).unwrap();
        assert_eq!(offers(ctx), [first]);
        stored(ctx, &key(0));
        assert_eq!(offers(ctx), [key(0)]);
        assert!(is_due(ctx, &user));
        // Another one in its place before it was ready: nobody ever heard of it.
        relay_commands::move_to(ctx, &mut links, &address(1), &mut out).unwrap().map(drop).unwrap();
        relay_commands::move_to(ctx, &mut links, &address(2), &mut out).unwrap().map(drop).unwrap();
        assert_eq!(ctx.tx.home_relay(&key(1)).unwrap(), None);
        assert!(links.get(&LinkId::home(key(1))).is_none());
        assert_eq!(offers(ctx), [first, key(0)]);
    });
}

/// The first home relay is gone for so many minutes, and the second one is there.
fn gone_for(ctx: &mut Context<'_>, links: &mut Links, minutes: u64) {
    let (first, until) = (first(ctx), START.after(Duration::from_secs(60 * minutes)));
    // It is called all the while.
    while ctx.now < until {
        ctx.now = ctx.now.after(Duration::from_secs(300)).min(until);
        links.down(&LinkId::home(first), "nobody listens there", ctx.now);
    }
    sweep(ctx, links, &mut Outputs::default()).unwrap();
}

#[test]
fn one_that_can_not_be_reached_for_long_is_left_out_until_it_is_back() {
    on_a_device(|ctx| {
        let (mut links, user, first) = (links(ctx), friend(ctx), first(ctx));
        add(ctx, &mut links, 0);
        stored(ctx, &first);
        stored(ctx, &key(0));
        told(ctx, &user);
        gone_for(ctx, &mut links, 90);
        assert_eq!(offers(ctx), [first, key(0)], "it is this device that is away");
        ready(ctx, &mut links, &key(0));
        gone_for(ctx, &mut links, 119);
        assert_eq!((offers(ctx).len(), is_due(ctx, &user)), (2, false));
        gone_for(ctx, &mut links, 120);
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![key(0)], true));
        told(ctx, &user);
        gone_for(ctx, &mut links, 130);
        assert!(!is_due(ctx, &user), "once");
        stored(ctx, &first);
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![first, key(0)], true));
    });
}

#[test]
fn one_that_waited_for_its_turn_stays_a_home_relay_when_that_comes() {
    on_a_device(|ctx| {
        let mut links = links(ctx);
        let at = |n: u8| RelayAddress { relay: RelayId::new([n; 32]), addresses: Vec::new() };
        for n in 0..u8::try_from(LINKS_MAX).unwrap() {
            links.want(&at(100 + n), START);
        }
        let waits = relay_addresses(&address(0)).unwrap().remove(0).address;
        links.want(&waits, START);
        assert!(links.get(&LinkId::home(key(0))).is_none());
        add(ctx, &mut links, 0);
        for n in 0..3 {
            links.give_up(&LinkId::hidden(RelayId::new([100 + n; 32])), START, &mut Outputs::default());
        }
        links.tick(START, &mut Outputs::default());
        assert!(links.get(&LinkId::home(key(0))).is_some());
    });
}

#[test]
fn what_can_not_be_done_is_refused() {
    on_a_device(|ctx| {
        let mut links = links(ctx);
        let (first, mut out) = (first(ctx), Outputs::default());
        let name = first.to_hex();
        assert_eq!(refusal(relay_commands::remove(ctx, &mut links, &name, &mut out)), ErrorKind::Conflict);
        assert_eq!(
            refusal(relay_commands::remove(ctx, &mut links, &name[..5], &mut out)),
            ErrorKind::Unknown
        );
        assert_eq!(
            refusal(relay_commands::remove(ctx, &mut links, "00000000", &mut out)),
            ErrorKind::Unknown
        );
        let no_key = ["/ip4/127.0.0.1/tcp/1".to_owned()];
        assert_eq!(refusal(relay_commands::add(ctx, &mut links, &no_key, None)), ErrorKind::Invalid);
        let two = [address(0), address(1)].concat();
        assert_eq!(refusal(relay_commands::add(ctx, &mut links, &two, None)), ErrorKind::Invalid);
        add(ctx, &mut links, 0);
        assert_eq!(refusal(relay_commands::add(ctx, &mut links, &address(0), None)), ErrorKind::Conflict);
        for n in 0..6 {
            let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
            let relay = RelayAddress { relay: RelayId::new([100 + n; 32]), addresses };
            let named = NamedRelay { address: relay, invitation: Bytes::new() };
            super::add(ctx, &mut links, named, None).unwrap();
        }
        assert_eq!(refusal(relay_commands::add(ctx, &mut links, &address(1), None)), ErrorKind::Limit);
        // In the place of all others there is room for it.
        relay_commands::move_to(ctx, &mut links, &address(1), &mut out).unwrap().map(drop).unwrap();
        assert_eq!(
            refusal(relay_commands::move_to(ctx, &mut links, &address(1), &mut out)),
            ErrorKind::Conflict
        );
    });
}

#[test]
fn one_that_comes_back_stays_and_one_that_moved_is_called_where_it_is() {
    on_a_device(|ctx| {
        let (mut links, user) = (links(ctx), friend(ctx));
        let mut out = Outputs::default();
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        add(ctx, &mut links, 1);
        stored(ctx, &key(1));
        let name = address(0).remove(0);
        relay_commands::remove(ctx, &mut links, &name, &mut out).unwrap().map(drop).unwrap();
        assert!(!offers(ctx).contains(&key(0)));
        told(ctx, &user);
        let mailbox = ctx.tx.home_relay(&key(0)).unwrap().unwrap().mailbox;
        let elsewhere = address_at(0, "/ip4/127.0.0.2/tcp/1");
        relay_commands::add(ctx, &mut links, &elsewhere, Some(9)).unwrap().map(drop).unwrap();
        let home = ctx.tx.home_relay(&key(0)).unwrap().unwrap();
        assert!(home.stays() && home.mailbox == mailbox && home.priority == 9 && is_due(ctx, &user));
        assert!(offers(ctx).contains(&key(0)));
        assert_eq!(links.get(&LinkId::home(key(0))).unwrap().address(), &home.address);
        assert_eq!(home.address.addresses, ["/ip4/127.0.0.2/tcp/1"]);
    });
}

#[test]
fn what_a_relay_holds_where_there_is_no_mailbox_any_more_goes_out_again() {
    use crate::store::{OutboxItem, OutboxRecipient, OutboxState};
    on_a_device(|ctx| {
        let (user, device) = (UserId::new([7; 32]), DeviceId::new([7; 32]));
        let [gone, kept] = [1, 2].map(|n| RelayId::new([n; 32]));
        let held = |relay: RelayId| OutboxState::Custody { relay, held_until: START.after(DAY) };
        let states = [held(gone), held(kept), OutboxState::Acknowledged, OutboxState::Failed];
        for state in states {
            let item = OutboxItem {
                id: 0,
                group: 0,
                purpose: Purpose::Introduction(user),
                class: 0,
                payload: b"sealed".as_slice().into(),
                recipients: vec![OutboxRecipient { device, user, state }],
                created: START,
            };
            ctx.tx.put_outbox(&item).unwrap();
        }
        super::super::outgoing::not_fetched(ctx, &device, &gone).unwrap();
        let items = ctx.tx.outbox_to(&device, 0, 9).unwrap();
        let after: Vec<_> = items.into_iter().map(|(_, state)| state).collect();
        let pending = OutboxState::Pending { attempts: 0, not_before: START };
        assert_eq!(after, [pending, held(kept), OutboxState::Acknowledged, OutboxState::Failed]);
        assert!(ctx.agenda.publish);
    });
}

#[test]
fn an_invitation_is_shown_to_the_relay_and_to_nobody_else() {
    on_a_device(|ctx| {
        let (mut links, user) = (links(ctx), friend(ctx));
        let (first, mut out) = (first(ctx), Outputs::default());
        links.up(&LinkId::home(first), ctx.now, &mut out);
        assert!(links.get_mut(&LinkId::home(first)).unwrap().greeted(ctx.now));
        let asked = |ctx: &mut Context<'_>, links: &mut Links| {
            let mut out = Outputs::default();
            home::upkeep(ctx, links, &mut out).unwrap();
            out.net.into_iter().find_map(|output| match output {
                NetOutput::Send { frame: Frame { request, body: Some(Body::Register(asked)) }, .. } => {
                    Some((request, asked.invitation))
                }
                _ => None,
            })
        };
        let (request, invitation) = asked(ctx, &mut links).unwrap();
        assert!(invitation.is_empty());
        let code = wire::RefusalCode::Invitation.into();
        let refusal = wire::Refusal { code, text: "not invited".to_owned(), retry_after_ms: 0 };
        let frame = Frame { request, body: Some(Body::Refusal(refusal)) };
        frames::frame(ctx, &mut links, &mut Fetches::default(), LinkId::home(first), frame, &mut out)
            .unwrap();
        let problem = links.get(&LinkId::home(first)).unwrap().problem.clone().unwrap();
        assert!(problem.contains("not invited") && problem.contains("ADDRESS#INVITATION"), "{problem}");
        assert_eq!(asked(ctx, &mut links), None, "it is left alone for a while");

        let home = ctx.tx.home_relay(&first).unwrap().unwrap();
        let named = NamedRelay { address: home.address.clone(), invitation: vec![1, 2, 3].into() };
        assert!(change(ctx, &mut links, &home, named, None).unwrap());
        assert!(!is_due(ctx, &user), "nobody is told");
        assert_eq!(asked(ctx, &mut links).unwrap().1, [1, 2, 3].as_slice());
        let home = ctx.tx.home_relay(&first).unwrap().unwrap();
        let plain = NamedRelay { address: home.address.clone(), invitation: Bytes::new() };
        assert!(!change(ctx, &mut links, &home, plain, None).unwrap(), "it stays");
    });
}
