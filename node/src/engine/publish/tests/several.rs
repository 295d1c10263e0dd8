//! A device with mailboxes at two relays.

use undertone_protocol::limits::FALL_OVER_WAIT;
use undertone_protocol::receipts::Denial;

use super::*;
use crate::LinkId;
use crate::store::Failure;

/// Two relays that answer when they are told to.
struct Two {
    keys: [SigningKey; 2],
    links: Links,
    walk: Walk,
}

impl Two {
    /// Connected; the first is preferred. A message waits.
    fn new(ctx: &mut Context<'_>) -> Self {
        let keys = [5, 6].map(|seed| SigningKey::from_bytes(&[seed; 32]));
        let mut two = Self { keys, links: Links::new(ctx.rng), walk: Walk::default() };
        for n in 0..2 {
            two.connect(ctx, n);
        }
        write(ctx, &two.address(0));
        let mut contact = ctx.tx.contact(&UserId::new([3; 32])).unwrap().unwrap();
        contact.grants.truncate(1);
        let mut second = contact.grants[0].clone();
        second.mailbox = MailboxAddress { relay: two.address(1), priority: 1, ..second.mailbox };
        contact.grants.push(second);
        ctx.tx.put_contact(&contact).unwrap();
        for n in 1..DEVICES {
            outgoing::acknowledged(ctx, &ENTRY, &device(n)).unwrap();
        }
        two
    }

    fn address(&self, n: usize) -> RelayAddress {
        let relay = RelayId::new(self.keys[n].verifying_key().to_bytes());
        RelayAddress { relay, addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
    }

    fn connect(&mut self, ctx: &mut Context<'_>, n: usize) {
        let address = self.address(n);
        self.links.want(&address, ctx.now);
        let link = LinkId::hidden(address.relay);
        self.links.up(&link, ctx.now, &mut Outputs::default());
        assert!(self.links.greeted(&link, ctx.now));
    }

    /// What goes out now: the relays by number, with the numbers of the publishes.
    fn published(&mut self, ctx: &mut Context<'_>) -> Vec<(usize, u64)> {
        let mut out = Outputs::default();
        publish(ctx, &mut self.links, &mut self.walk, &mut out).unwrap();
        let to = |relay| (0..2).find(|n| self.address(*n).relay == relay).unwrap();
        let sent = out.net.into_iter().filter_map(|output| match output {
            NetOutput::Send { link, frame } if matches!(frame.body, Some(Body::Publish(_))) => {
                assert!(link.hidden, "a relay is not told who publishes");
                Some((to(link.relay), frame.request))
            }
            _ => None,
        });
        sent.collect()
    }

    /// Publishes once, at that relay.
    fn goes_to(&mut self, ctx: &mut Context<'_>, n: usize) -> u64 {
        let sent = self.published(ctx);
        assert!(matches!(&sent[..], [(to, _)] if *to == n), "{sent:?}");
        sent[0].1
    }

    fn answer(&mut self, ctx: &mut Context<'_>, n: usize, request: u64, outcome: Outcome) {
        let relay = self.address(n).relay;
        let asked = self.links.answered(&LinkId::hidden(relay), request, ctx.now);
        let Some(Asked::Publish(publish)) = asked else { panic!("not asked") };
        let items = publish.items.iter().map(|item| ItemOutcome {
            payload_hash: item.payload_hash,
            recipients: vec![outcome; item.devices.len()],
        });
        let receipt = CustodyReceipt { publish_id: publish.publish_id, items: items.collect() };
        let published = wire::Published { receipt: Some(receipt.sign(&self.keys[n]).to_wire()) };
        outcomes::published(ctx, &self.links, &relay, &publish, published).unwrap().unwrap();
    }
}

fn full(seconds: u64) -> Outcome {
    Outcome::Full { retry_after: Duration::from_secs(seconds) }
}

fn failed(ctx: &Context<'_>) -> Option<Failure> {
    ctx.tx.delivery(&ENTRY).unwrap().unwrap().failed
}

#[test]
fn what_one_denies_goes_to_the_other_and_fails_when_both_do() {
    on_a_device(|ctx| {
        let mut two = Two::new(ctx);
        let denied = Outcome::Denied(Denial::Proof);
        let request = two.goes_to(ctx, 0);
        two.answer(ctx, 0, request, denied);
        assert_eq!((failed(ctx), counts(ctx).pending), (None, 1));
        let request = two.goes_to(ctx, 1);
        two.answer(ctx, 1, request, denied);
        assert_eq!(failed(ctx), Some(Failure::Denied(Denial::Proof)));
        assert_eq!((counts(ctx).failed, two.published(ctx)), (1, vec![]));
    });
}

#[test]
fn what_is_sent_later_does_not_ask_the_one_that_denied() {
    on_a_device(|ctx| {
        let mut two = Two::new(ctx);
        let request = two.goes_to(ctx, 0);
        two.answer(ctx, 0, request, Outcome::Denied(Denial::UnknownMailbox));
        let request = two.goes_to(ctx, 1);
        two.answer(ctx, 1, request, stored());
        assert_eq!(tick(ctx), Tick::Sent);
        let another = Purpose::Entry(EntryId::new([8; 32]));
        outgoing::put(ctx, &UserId::new([3; 32]), &[device(0)], another, 2, vec![8].into()).unwrap();
        two.goes_to(ctx, 1);
    });
}

/// Its word is in doubt then, but an earlier one counts no more than before: that may be of a token that it took back.
#[test]
fn a_denied_token_is_doubted_unless_there_is_another_one() {
    on_a_device(|ctx| {
        let mut two = Two::new(ctx);
        let user = UserId::new([3; 32]);
        let mut contact = ctx.tx.contact(&user).unwrap().unwrap();
        contact.note_introduction(device(0), START);
        ctx.tx.put_contact(&contact).unwrap();
        let request = two.goes_to(ctx, 0);
        two.answer(ctx, 0, request, Outcome::Denied(Denial::Revoked));
        let mut contact = ctx.tx.contact(&user).unwrap().unwrap();
        assert!(!contact.has_introduced(&device(0)), "what others say counts");
        assert_eq!(ctx.agenda.doubted.get(&device(0)), Some(&START), "but nothing older of its own");
        assert!(std::mem::take(&mut ctx.agenda.followed).contains(&user), "others are asked");

        let request = two.goes_to(ctx, 1);
        contact.note_introduction(device(0), START);
        for grant in &mut contact.grants {
            grant.token = TokenGrant::issue(&Secret::new([9; 32]), Step::named(Handle::new([9; 8])));
        }
        ctx.tx.put_contact(&contact).unwrap();
        two.answer(ctx, 1, request, Outcome::Denied(Denial::Revoked));
        let contact = ctx.tx.contact(&user).unwrap().unwrap();
        assert!(contact.has_introduced(&device(0)), "it gave another one meanwhile");
        assert!(ctx.agenda.followed.is_empty());
    });
}

#[test]
fn what_ended_is_over_at_all() {
    on_a_device(|ctx| {
        let mut two = Two::new(ctx);
        let request = two.goes_to(ctx, 0);
        two.answer(ctx, 0, request, Outcome::Denied(Denial::Expired));
        assert_eq!(failed(ctx), Some(Failure::Denied(Denial::Expired)));
        assert_eq!(two.published(ctx), []);
    });
}

#[test]
fn a_full_mailbox_is_waited_for_for_seconds() {
    on_a_device(|ctx| {
        let mut two = Two::new(ctx);
        let request = two.goes_to(ctx, 0);
        two.answer(ctx, 0, request, full(2));
        assert_eq!(two.published(ctx), []);
        ctx.now = START.after(Duration::from_secs(2));
        let request = two.goes_to(ctx, 0);
        two.answer(ctx, 0, request, full(3));
        // It is full for five seconds by then.
        let request = two.goes_to(ctx, 1);
        two.answer(ctx, 1, request, full(60));
        assert_eq!((two.published(ctx), failed(ctx)), (vec![], None));
        ctx.now = ctx.now.after(Duration::from_secs(60));
        let request = two.goes_to(ctx, 0);
        two.answer(ctx, 0, request, stored());
        assert_eq!(tick(ctx), Tick::Sent);
    });
}

#[test]
fn what_is_not_answered_goes_to_the_other_and_counts_once() {
    on_a_device(|ctx| {
        let mut two = Two::new(ctx);
        let first = two.goes_to(ctx, 0);
        ctx.agenda.publish = true;
        assert_eq!(two.published(ctx), []);
        ctx.now = two.walk.next_deadline().unwrap();
        assert_eq!(ctx.now, START.after(FALL_OVER_WAIT));
        let second = two.goes_to(ctx, 1);
        ctx.agenda.publish = true;
        assert_eq!(two.published(ctx), [], "once at each");
        two.answer(ctx, 1, second, stored());
        assert_eq!((tick(ctx), counts(ctx).custody), (Tick::Sent, 1));
        // The first one's answer comes late, and changes nothing.
        two.answer(ctx, 0, first, Outcome::Denied(Denial::Proof));
        assert_eq!((failed(ctx), counts(ctx).custody), (None, 1));
    });
}
