use undertone_protocol::ids::Secret;
use undertone_protocol::keys::DeviceKey;
use undertone_protocol::receipts::Authors;

use super::super::agenda::Side;
use super::super::own::ARRIVAL;
use super::super::tests::{has_another, on_a_device, written_by};
use super::*;
use crate::store::{Group, Standing};

fn sibling() -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([50; 32]))
}

/// What the sibling says of a thousand devices.
fn parts(ctx: &mut Context<'_>) -> (AcknowledgementFields, Vec<Acknowledgement>) {
    has_another(ctx, sibling().device());
    let conversation = ConversationId::new([3; 32]);
    let (name, standing) = ("Club".to_owned(), Standing::In);
    ctx.tx.put_group(&Group { id: conversation, name, standing, added: ctx.now }).unwrap();
    ctx.agenda.directory.insert(conversation, Side::Group);
    let fields = AcknowledgementFields {
        conversation,
        device: sibling().device(),
        counter: 1,
        delivered: written_by(1_000),
        read: written_by(1_000),
        at: ctx.now,
        authors: Authors::default(),
    };
    for (device, _) in fields.read.items() {
        ctx.agenda.note_device(*device, UserId::new([9; 32]));
    }
    let parts = Acknowledgement::issue_all(&sibling(), fields.clone());
    assert!(parts.len() > 2);
    (fields, parts)
}

fn says(ctx: &mut Context<'_>, part: &Acknowledgement) {
    let me = ctx.me.user;
    received(ctx, &me, &sibling().device(), part.signed.to_wire()).unwrap();
}

/// Relays may bring them in any order.
#[test]
fn what_a_sibling_says_in_parts_is_taken_whole() {
    for is_turned in [false, true] {
        on_a_device(|ctx| {
            let (said, mut parts) = parts(ctx);
            if is_turned {
                parts.reverse();
            }
            for part in &parts {
                says(ctx, part);
            }
            let kept = ctx.tx.acknowledgement(&said.conversation, &said.device).unwrap().unwrap().fields;
            assert_eq!((&kept.delivered, &kept.read), (&said.delivered, &said.read));
            assert_eq!(kept.counter, parts.len() as u64);
            let ever = ctx.tx.acknowledged(&said.conversation, &said.device).unwrap().unwrap();
            assert_eq!((&ever.delivered, &ever.read), (&said.delivered, &said.read));
            assert_eq!(ctx.tx.own_receipts(&said.conversation).unwrap().read, said.read);
        });
    }
}

/// Or whoever names ever other devices would fill the disk.
#[test]
fn of_devices_that_no_list_names_only_what_is_said_last_is_kept() {
    on_a_device(|ctx| {
        let (said, parts) = parts(ctx);
        ctx.agenda.devices.clear();
        for part in &parts {
            says(ctx, part);
        }
        let kept = ctx.tx.acknowledgement(&said.conversation, &said.device).unwrap().unwrap().fields;
        let last = &parts.last().unwrap().fields;
        assert_eq!((&kept.delivered, &kept.read), (&last.delivered, &last.read));
        let ever = ctx.tx.acknowledged(&said.conversation, &said.device).unwrap().unwrap();
        assert_eq!((&ever.delivered, &ever.read), (&last.delivered, &last.read));
    });
}

/// Or it would be sent what it says next that it has.
#[test]
fn a_sibling_that_said_a_part_is_not_yet_offered_what_it_did_not_name() {
    on_a_device(|ctx| {
        let (said, parts) = parts(ctx);
        let which = (said.device, said.conversation);
        says(ctx, &parts[0]);
        assert_eq!(ctx.agenda.compare.get(&which), Some(&ctx.now.after(ARRIVAL)));
        for part in &parts[1..] {
            says(ctx, part);
        }
        assert_eq!(ctx.agenda.compare.get(&which), Some(&ctx.now));
    });
}
