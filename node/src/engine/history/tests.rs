use undertone_protocol::entry::{Act, Annotation, Content, EntryBody, Text};
use undertone_protocol::ids::{CurveKey, EntryId, Secret};
use undertone_protocol::keys::{Certificate, DeviceKey, IdentityKey, ListedDevice, Name};
use undertone_protocol::limits::DELETED_BODY_LIFE;
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Authors, Tick};

use super::super::agenda::Side;
use super::super::tests::{START, on_a_device};
use super::super::{names, vanishing, writing};
use super::*;
use crate::store::{Acknowledged, Delivery};

/// Of the contact's device.
fn key() -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([9; 32]))
}

fn contact(ctx: &mut Context<'_>) -> (Contact, DeviceId) {
    let (identity, device) = (IdentityKey::from_seed(&Secret::new([8; 32])), key().device());
    let name = Name::new("Bob").unwrap();
    let certificate = Certificate::issue(&identity, device, CurveKey::new([9; 32]), name.clone(), START);
    let list = DeviceList::issue(&identity, None, vec![ListedDevice { certificate, revoked: false }]);
    let mut contact = names::stranger(ctx, identity.user(), name, ContactState::Accepted);
    ctx.agenda.note_devices(contact.user, &list);
    ctx.agenda.directory.insert(ctx.me.direct(&contact.user), Side::User(contact.user));
    contact.device_list = Some(list);
    ctx.tx.put_contact(&contact).unwrap();
    (contact, device)
}

fn writes(ctx: &mut Context<'_>, contact: &Contact, content: Content) -> EntryId {
    let body = EntryBody::new(content, ctx.rng).unwrap();
    let id = writing::append(ctx, contact, body).unwrap();
    let stored = ctx.tx.entry(&id).unwrap().unwrap();
    vanishing::note(ctx, &Circle::Direct(Box::new(contact.clone())), &stored).unwrap();
    id
}

/// The device has all through this number.
fn holds(ctx: &mut Context<'_>, which: &(DeviceId, ConversationId), seq: u64) -> Frontier {
    let mut delivered = Frontier::default();
    delivered.set(ctx.me.device, FrontierItem { seq, ..FrontierItem::default() });
    let ever = Acknowledged { delivered: delivered.clone(), ..Acknowledged::default() };
    ctx.tx.put_acknowledged(&which.1, &which.0, &ever).unwrap();
    delivered
}

/// It is not sealed any more; without it they would wait for it for ever.
#[test]
fn what_was_deleted_before_anybody_got_it_goes_to_them_without_its_text() {
    on_a_device(|ctx| {
        let (contact, device) = contact(ctx);
        let which = (device, ctx.me.direct(&contact.user));
        writes(ctx, &contact, Content::Text(Text::plain("there")));
        let lost = writes(ctx, &contact, Content::Text(Text::plain("lost")));
        writes(ctx, &contact, Content::Annotation(Annotation { entry: lost, act: Act::Delete }));
        let held = holds(ctx, &which, 1);
        ctx.now = ctx.now.after(DELETED_BODY_LIFE);
        vanishing::due(ctx).unwrap();
        assert!(ctx.agenda.compare.contains_key(&which), "somebody lacks it");
        ctx.now = ctx.now.after(ARRIVAL);
        let circle = Circle::Direct(Box::new(contact.clone()));
        let lacking = lacking(ctx, &circle, (&contact, &device, false), &held).unwrap();
        let entries: Vec<EntryId> = lacking.entries.iter().map(|stored| stored.entry.id).collect();
        assert_eq!(entries, [lost], "what has its text is sealed, not handed on");
    });
}

#[test]
fn a_device_that_has_all_is_not_looked_at_when_a_text_is_dropped() {
    on_a_device(|ctx| {
        let (contact, device) = contact(ctx);
        let which = (device, ctx.me.direct(&contact.user));
        let there = writes(ctx, &contact, Content::Text(Text::plain("there")));
        writes(ctx, &contact, Content::Annotation(Annotation { entry: there, act: Act::Delete }));
        holds(ctx, &which, 2);
        ctx.now = ctx.now.after(DELETED_BODY_LIFE);
        vanishing::due(ctx).unwrap();
        assert!(!ctx.agenda.compare.contains_key(&which));
    });
}

/// It says that it holds nothing, and would wait for the number that it hears of with the next text.
#[test]
fn a_device_that_spoke_and_holds_nothing_is_looked_at_when_a_text_is_dropped() {
    on_a_device(|ctx| {
        let (contact, device) = contact(ctx);
        let which = (device, ctx.me.direct(&contact.user));
        let lost = writes(ctx, &contact, Content::Text(Text::plain("lost")));
        writes(ctx, &contact, Content::Annotation(Annotation { entry: lost, act: Act::Delete }));
        for spoke in [false, true] {
            if spoke {
                let fields = AcknowledgementFields {
                    conversation: which.1,
                    device,
                    counter: 1,
                    delivered: Frontier::default(),
                    read: Frontier::default(),
                    at: ctx.now,
                    authors: Authors::default(),
                };
                ctx.tx.put_acknowledgement(&Acknowledgement::issue(&key(), fields)).unwrap();
            }
            look_at_gone(ctx, &which.1).unwrap();
            assert_eq!(ctx.agenda.compare.contains_key(&which), spoke);
        }
    });
}

/// A crash forgets a look, and of what was sealed before a device was known the outbox says nothing.
#[test]
fn at_a_start_what_a_device_says_that_it_lacks_is_looked_for() {
    on_a_device(|ctx| {
        let (contact, device) = contact(ctx);
        let which = (device, ctx.me.direct(&contact.user));
        for text in ["one", "two"] {
            writes(ctx, &contact, Content::Text(Text::plain(text)));
        }
        for (seq, looks) in [(2, false), (1, true)] {
            holds(ctx, &which, seq);
            look_for_lost(ctx.me, ctx.tx, ctx.agenda, ctx.now).unwrap();
            assert_eq!(ctx.agenda.spoke.contains_key(&which), looks, "{seq}");
        }
    });
}

/// A device that is new is not given what was before it.
#[test]
fn where_nobody_has_anything_only_what_nobody_ever_got_is_lacked() {
    on_a_device(|ctx| {
        let (contact, device) = contact(ctx);
        let [lost, seen] =
            ["lost", "seen"].map(|text| writes(ctx, &contact, Content::Text(Text::plain(text))));
        for entry in [lost, seen] {
            writes(ctx, &contact, Content::Annotation(Annotation { entry, act: Act::Delete }));
        }
        let delivery = ctx.tx.delivery(&seen).unwrap().unwrap();
        ctx.tx.put_delivery(&Delivery { tick: Tick::Read, ..delivery }).unwrap();
        ctx.now = ctx.now.after(DELETED_BODY_LIFE);
        vanishing::due(ctx).unwrap();
        ctx.now = ctx.now.after(ARRIVAL);
        let circle = Circle::Direct(Box::new(contact.clone()));
        let lacking = lacking(ctx, &circle, (&contact, &device, false), &Frontier::default()).unwrap();
        let entries: Vec<EntryId> = lacking.entries.iter().map(|stored| stored.entry.id).collect();
        assert_eq!(entries, [lost]);
    });
}
