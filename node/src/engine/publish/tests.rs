use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use prost::Message;
use undertone_protocol::ids::{EntryId, Handle, MailboxId, Secret};
use undertone_protocol::keys::{MailboxAddress, Name, RelayAddress};
use undertone_protocol::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PUBLISH_RECIPIENTS_MAX};
use undertone_protocol::receipts::{CustodyReceipt, ItemOutcome, Outcome, Tick};
use undertone_protocol::token::{Step, TokenGrant};

use super::*;
use crate::LinkId;
use crate::engine::tests::{START, on_a_device};
use crate::engine::types::NetOutput;
use crate::engine::{outcomes, outgoing};
use crate::store::{Contact, ContactState, Delivery, OutboxCounts};

mod several;

/// More than one item takes; and two of the largest payloads do not fit a publish with their routes.
const DEVICES: usize = 2_000;
const ENTRY: EntryId = EntryId::new([7; 32]);

fn device(n: usize) -> DeviceId {
    let mut id = [1; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    DeviceId::new(id)
}

/// A relay that answers when it is told to.
struct Relay {
    key: SigningKey,
    links: Links,
    walk: Walk,
}

impl Relay {
    /// Connected.
    fn new(ctx: &mut Context<'_>) -> Self {
        let mut relay =
            Self { key: SigningKey::from_bytes(&[5; 32]), links: Links::new(ctx.rng), walk: Walk::default() };
        relay.links.want(&relay.address(), ctx.now);
        relay.connect(ctx);
        relay
    }

    fn address(&self) -> RelayAddress {
        let relay = RelayId::new(self.key.verifying_key().to_bytes());
        RelayAddress { relay, addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
    }

    fn connect(&mut self, ctx: &mut Context<'_>) {
        let id = LinkId::hidden(self.address().relay);
        self.links.up(&id, ctx.now, &mut Outputs::default());
        assert!(self.links.get_mut(&id).unwrap().greeted(ctx.now));
        ctx.agenda.publish = true;
    }

    /// What goes out now: the request numbers and publishes.
    fn published(&mut self, ctx: &mut Context<'_>) -> Vec<(u64, wire::Publish)> {
        let mut out = Outputs::default();
        publish(ctx, &mut self.links, &mut self.walk, &mut out).unwrap();
        let sent = out.net.into_iter().filter_map(|output| match output {
            NetOutput::Send { frame, .. } => Some(frame),
            _ => None,
        });
        sent.map(|frame| {
            assert!(frame.encoded_len() <= FRAME_BYTES_MAX);
            match frame.body {
                Some(Body::Publish(publish)) => (frame.request, publish),
                other => panic!("{other:?}"),
            }
        })
        .collect()
    }

    /// Answers one.
    fn answer(&mut self, ctx: &mut Context<'_>, request: u64, outcome: Outcome) {
        let id = LinkId::hidden(self.address().relay);
        let Some(Asked::Publish(publish)) = self.links.answered(&id, request, ctx.now) else {
            panic!("not asked")
        };
        let items = publish.items.iter().map(|item| ItemOutcome {
            payload_hash: item.payload_hash,
            recipients: vec![outcome; item.devices.len()],
        });
        let receipt = CustodyReceipt { publish_id: publish.publish_id, items: items.collect() };
        let published = wire::Published { receipt: Some(receipt.sign(&self.key).to_wire()) };
        outcomes::published(ctx, &self.links, &id.relay, &publish, published).unwrap().unwrap();
    }
}

/// A contact with so many devices, all with mailboxes at the relay, and a message for them.
fn write(ctx: &mut Context<'_>, relay: &RelayAddress) {
    let user = UserId::new([3; 32]);
    let name = Name::new("Bob").unwrap();
    let mut contact = Contact::new(user, name, ContactState::Accepted, Handle::new([1; 8]), START);
    let token = TokenGrant::issue(&Secret::new([2; 32]), Step::named(Handle::new([3; 8])));
    contact.grants = (0..DEVICES)
        .map(|n| {
            let mailbox = MailboxId::new([0; 16]);
            let mailbox = MailboxAddress { relay: relay.clone(), mailbox, epoch: 1, priority: 0 };
            DeliveryGrant { device: device(n), mailbox, token: token.clone() }
        })
        .collect();
    ctx.tx.put_contact(&contact).unwrap();
    let conversation = ctx.me.direct(&user);
    let delivery =
        Delivery { entry: ENTRY, conversation, seq: 1, sealed: true, tick: Tick::Queued, failed: None };
    ctx.tx.put_delivery(&delivery).unwrap();
    let devices: Vec<_> = (0..DEVICES).map(device).collect();
    let payload = vec![7; PAYLOAD_BYTES_MAX].into();
    outgoing::put(ctx, &user, &devices, Purpose::Entry(ENTRY), 1, payload).unwrap();
}

fn counts(ctx: &Context<'_>) -> OutboxCounts {
    ctx.tx.outbox_head(1).unwrap().unwrap().counts
}

fn tick(ctx: &Context<'_>) -> Tick {
    ctx.tx.delivery(&ENTRY).unwrap().unwrap().tick
}

fn recipients(publish: &wire::Publish) -> usize {
    let routes = publish.items.iter().filter_map(|item| item.route.as_ref()?.kind.as_ref());
    routes.map(|wire::route::Kind::Open(open)| open.recipients.len()).sum()
}

fn held_until() -> Timestamp {
    START.after(Duration::from_secs(3_600))
}

fn stored() -> Outcome {
    Outcome::Stored { held_until: held_until() }
}

#[test]
fn an_item_may_be_in_several_publishes_at_once() {
    on_a_device(|ctx| {
        let mut relay = Relay::new(ctx);
        write(ctx, &relay.address());
        let sent = relay.published(ctx);
        let each: Vec<usize> = sent.iter().map(|(_, publish)| recipients(publish)).collect();
        assert_eq!(each, [PUBLISH_RECIPIENTS_MAX, DEVICES - PUBLISH_RECIPIENTS_MAX]);
        let is_on_its_way = |relay: &Relay, n: usize| !relay.links.carrying(1, device(n)).is_empty();
        assert!((0..DEVICES).all(|n| is_on_its_way(&relay, n)));
        ctx.agenda.publish = true;
        assert_eq!(relay.published(ctx), []);

        // The second is answered: the first goes on.
        relay.answer(ctx, sent[1].0, stored());
        let expected = OutboxCounts { pending: each[0], custody: each[1], ..OutboxCounts::default() };
        assert_eq!((counts(ctx), tick(ctx)), (expected, Tick::Queued));
        assert!(is_on_its_way(&relay, 0) && !is_on_its_way(&relay, DEVICES - 1));
        assert_eq!(relay.published(ctx), []);

        // The first is lost on its way: only that goes again.
        let id = relay.address().relay;
        relay.links.down(&LinkId::hidden(id), "gone", ctx.now);
        relay.connect(ctx);
        let again = relay.published(ctx);
        assert_eq!(again.iter().map(|(_, publish)| recipients(publish)).collect::<Vec<_>>(), [each[0]]);
        relay.answer(ctx, again[0].0, stored());
        let expected = OutboxCounts { custody: DEVICES, ..OutboxCounts::default() };
        assert_eq!((counts(ctx), tick(ctx)), (expected, Tick::Sent));
        assert_eq!(ctx.tx.outbox_head(1).unwrap().unwrap().custody_ends, Some(held_until()));

        for n in 0..DEVICES {
            assert!(ctx.tx.outbox_head(1).unwrap().is_some());
            outgoing::acknowledged(ctx, &ENTRY, &device(n)).unwrap();
        }
        assert_eq!(ctx.tx.outbox_len().unwrap(), 0);
    });
}

#[test]
fn a_part_that_is_put_off_holds_up_no_other() {
    on_a_device(|ctx| {
        let mut relay = Relay::new(ctx);
        write(ctx, &relay.address());
        let sent = relay.published(ctx);
        relay.answer(ctx, sent[0].0, Outcome::RetryAfter(Duration::from_secs(10)));
        relay.answer(ctx, sent[1].0, stored());
        assert_eq!(
            (counts(ctx).pending, counts(ctx).custody),
            (recipients(&sent[0].1), recipients(&sent[1].1))
        );
        assert_eq!(relay.published(ctx), []);
        ctx.now = relay.walk.next_deadline().unwrap();
        assert!(ctx.now > START);
        let again: Vec<_> = relay.published(ctx).iter().map(|(_, publish)| recipients(publish)).collect();
        assert_eq!(again, [recipients(&sent[0].1)]);
    });
}

#[test]
fn an_acknowledgement_that_comes_first_is_kept() {
    on_a_device(|ctx| {
        let mut relay = Relay::new(ctx);
        write(ctx, &relay.address());
        let sent = relay.published(ctx);
        outgoing::acknowledged(ctx, &ENTRY, &device(3)).unwrap();
        for (request, _) in sent {
            relay.answer(ctx, request, stored());
        }
        let expected = OutboxCounts { custody: DEVICES - 1, acknowledged: 1, ..OutboxCounts::default() };
        assert_eq!(counts(ctx), expected);
        let open: BTreeSet<_> =
            (0..DEVICES).filter(|n| !relay.links.carrying(1, device(*n)).is_empty()).collect();
        assert_eq!(open, BTreeSet::new());
    });
}

/// It would wait for those who have not, and where one of them never does, for ever.
#[test]
fn a_key_for_who_acknowledged_its_entry_is_done_with_when_a_relay_has_it() {
    on_a_device(|ctx| {
        let mut relay = Relay::new(ctx);
        write(ctx, &relay.address());
        let user = ctx.tx.outbox_recipient(1, &device(3)).unwrap().unwrap().user;
        outgoing::put(ctx, &user, &[device(3), device(4)], Purpose::Key(ENTRY), 1, vec![8].into()).unwrap();
        let sent = relay.published(ctx);
        outgoing::acknowledged(ctx, &ENTRY, &device(3)).unwrap();
        for (request, _) in sent {
            relay.answer(ctx, request, stored());
        }
        let counts = ctx.tx.outbox_head(2).unwrap().unwrap().counts;
        assert_eq!(counts, OutboxCounts { custody: 1, acknowledged: 1, ..OutboxCounts::default() });
    });
}
