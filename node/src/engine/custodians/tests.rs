use bytes::Bytes;
use undertone_protocol::entry::BlockedFrom;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId, RelayId, Secret};
use undertone_protocol::keys::{MailboxAddress, Name, RelayAddress};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{Step, TokenGrant};

use super::super::tests::{START, on_a_device};
use super::super::types::Outputs;
use super::*;
use crate::LinkId;
use crate::store::{Block, Contact, ContactState, OutboxItem, OutboxRecipient, OutboxState, Purpose};

const DEVICE: DeviceId = DeviceId::new([7; 32]);

fn relay(n: u8) -> RelayId {
    RelayId::new([n; 32])
}

fn grant(at: u8) -> DeliveryGrant {
    let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
    DeliveryGrant {
        device: DEVICE,
        mailbox: MailboxAddress {
            relay: RelayAddress { relay: relay(at), addresses },
            mailbox: MailboxId::new([at; 16]),
            epoch: 1,
            priority: at.into(),
        },
        token: TokenGrant::issue(&Secret::new([at; 32]), Step::named(Handle::new([1; 8]))),
    }
}

/// Relay 11 holds something for the device of a contact, who has mailboxes at these relays.
fn held(ctx: &mut Context<'_>, at: &[u8]) {
    let (user, name) = (UserId::new([7; 32]), Name::new("Bob").unwrap());
    let contact = Contact::new(user, name, ContactState::Accepted, Handle::new([7; 8]), START);
    let grants = at.iter().map(|at| grant(*at)).collect();
    ctx.tx.put_contact(&Contact { grants, ..contact }).unwrap();
    let held_until = START.after(Duration::from_secs(1_000_000));
    let state = OutboxState::Custody { relay: relay(11), held_until };
    let item = OutboxItem {
        id: 0,
        group: 0,
        purpose: Purpose::Introduction(user),
        class: 0,
        payload: Bytes::from_static(b"sealed"),
        recipients: vec![OutboxRecipient { device: DEVICE, user, state }],
        created: START,
    };
    ctx.tx.put_outbox(&item).unwrap();
}

/// Minutes after the start.
fn at(minutes: u64) -> Timestamp {
    START.after(Duration::from_secs(60 * minutes))
}

fn link(n: u8) -> LinkId {
    LinkId::hidden(relay(n))
}

fn links(ctx: &mut Context<'_>) -> Links {
    let mut links = Links::new(ctx.rng);
    links.want(&grant(12).mailbox.relay, START);
    links.up(&link(12), START, &mut Outputs::default());
    assert!(links.greeted(&link(12), START));
    links
}

/// Looks then. Says whether what is held goes out again.
fn goes_again(ctx: &mut Context<'_>, links: &mut Links, now: Timestamp) -> bool {
    ctx.now = now;
    look(ctx, links).unwrap();
    let items = ctx.tx.outbox_to(&DEVICE, 0, 9).unwrap();
    items.iter().all(|(_, state)| matches!(state, OutboxState::Pending { .. }))
}

#[test]
fn what_a_relay_holds_that_is_gone_for_ten_minutes_goes_out_again() {
    on_a_device(|ctx| {
        held(ctx, &[11, 12]);
        let mut links = links(ctx);
        assert!(!goes_again(ctx, &mut links, START));
        assert!(links.get(&link(11)).is_some(), "it is called");
        links.down(&link(11), "nobody listens there", START);
        assert!(!goes_again(ctx, &mut links, at(9)));
        assert_eq!(ctx.agenda.custodians_at, Some(at(10)));
        links.down(&link(11), "nobody listens there", at(9));
        assert!(goes_again(ctx, &mut links, at(10)));
        assert_eq!(ctx.agenda.custodians_at, None);
    });
}

#[test]
fn a_relay_that_was_reached_since_is_trusted() {
    on_a_device(|ctx| {
        held(ctx, &[11, 12]);
        let mut links = links(ctx);
        assert!(!goes_again(ctx, &mut links, START));
        links.down(&link(11), "nobody listens there", START);
        links.up(&link(11), at(5), &mut Outputs::default());
        assert!(links.greeted(&link(11), at(5)));
        assert!(!goes_again(ctx, &mut links, at(20)));
        // That the connection is not needed any more says nothing against it.
        links.give_up(&link(11), at(20), &mut Outputs::default());
        assert!(!goes_again(ctx, &mut links, at(40)));
    });
}

#[test]
fn a_relay_that_was_away_once_is_called_before_it_is_judged() {
    on_a_device(|ctx| {
        held(ctx, &[11, 12]);
        let mut links = links(ctx);
        assert!(!goes_again(ctx, &mut links, START));
        links.down(&link(11), "nobody listens there", START);
        // Nobody needed it any more.
        links.give_up(&link(11), at(5), &mut Outputs::default());
        assert!(!goes_again(ctx, &mut links, at(60)));
        assert!(links.get(&link(11)).is_some(), "it is called");
        // It has ten minutes, as at first.
        links.down(&link(11), "nobody listens there", at(60));
        assert!(!goes_again(ctx, &mut links, at(69)));
        links.down(&link(11), "nobody listens there", at(69));
        assert!(goes_again(ctx, &mut links, at(70)));
        assert!(links.get(&link(11)).is_some(), "and is called further");
    });
}

#[test]
fn a_device_that_is_away_itself_blames_no_relay() {
    on_a_device(|ctx| {
        held(ctx, &[11, 12]);
        let mut links = links(ctx);
        assert!(!goes_again(ctx, &mut links, START));
        for n in [11, 12] {
            links.down(&link(n), "there is no network", START);
        }
        assert!(!goes_again(ctx, &mut links, at(30)));
        links.up(&link(12), at(60), &mut Outputs::default());
        assert!(links.greeted(&link(12), at(60)));
        assert!(!goes_again(ctx, &mut links, at(69)));
        assert!(goes_again(ctx, &mut links, at(70)));
    });
}

#[test]
fn where_a_device_has_no_other_mailbox_it_stays() {
    on_a_device(|ctx| {
        held(ctx, &[11]);
        let mut links = links(ctx);
        assert!(!goes_again(ctx, &mut links, START));
        assert!(links.get(&link(11)).is_none(), "it is not called for nothing");
        links.down(&link(11), "nobody listens there", START);
        assert!(!goes_again(ctx, &mut links, at(60)));
    });
}

#[test]
fn where_a_device_has_no_mailbox_any_more_it_does_not_stay() {
    on_a_device(|ctx| {
        held(ctx, &[12]);
        let mut links = links(ctx);
        assert!(goes_again(ctx, &mut links, START));
    });
}

#[test]
fn what_is_for_somebody_who_is_blocked_stays_until_they_are_not() {
    on_a_device(|ctx| {
        held(ctx, &[11, 12]);
        let mut links = links(ctx);
        let contact = ctx.tx.contact(&UserId::new([7; 32])).unwrap().unwrap();
        let block = Block { was: BlockedFrom::Accepted, since: START };
        let blocked = Contact { state: ContactState::Blocked(block), ..contact.clone() };
        ctx.tx.put_contact(&blocked).unwrap();
        links.want(&grant(11).mailbox.relay, START);
        links.down(&link(11), "nobody listens there", START);
        assert!(!goes_again(ctx, &mut links, at(10)));
        ctx.tx.put_contact(&contact).unwrap();
        for minutes in [10, 20] {
            links.down(&link(11), "nobody listens there", at(minutes));
        }
        assert!(goes_again(ctx, &mut links, at(20)));
    });
}
