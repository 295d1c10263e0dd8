use proptest::collection::vec;
use proptest::prelude::*;
use undertone_protocol::ids::{EntryId, Handle, MailboxId, PublishId, RelayId, Secret};
use undertone_protocol::keys::{MailboxAddress, RelayAddress};
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, PAYLOAD_BYTES_MAX, TOKEN_STEPS_MAX};
use undertone_protocol::token::{Step, TokenGrant};
use undertone_protocol::wire::frame::Body;

use super::*;

/// A device with a token of so many steps, all fields as long as they get.
fn recipient(n: usize, steps: usize) -> Recipient {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    let step = Step {
        not_after: Some(Timestamp::from_ms(u64::MAX)),
        per_minute: u32::MAX,
        ..Step::named(Handle::new([7; 8]))
    };
    let token = TokenGrant::issue(&Secret::new([1; 32]), step.clone());
    let token = (1..steps).fold(token, |token, _| token.extend(step.clone()).unwrap());
    let relay = RelayAddress { relay: RelayId::new([1; 32]), addresses: Vec::new() };
    let mailbox = MailboxAddress { relay, mailbox: MailboxId::new([9; 16]), epoch: u32::MAX, priority: 0 };
    let device = DeviceId::new(id);
    Recipient::new(device, DeliveryGrant { device, mailbox, token }, false)
}

fn draft(outbox: u64, group: u64, bytes: usize, recipients: Vec<Recipient>) -> Draft {
    let purpose = Purpose::Entry(EntryId::new([0; 32]));
    let payload = vec![0; bytes].into();
    Draft { outbox, group, purpose, created: Timestamp::ZERO, class: 1, payload, recipients }
}

fn small(group: u64, bytes: usize) -> Draft {
    draft(0, group, bytes, vec![recipient(0, 1)])
}

fn groups(publishes: &[Vec<Draft>]) -> Vec<Vec<u64>> {
    publishes.iter().map(|drafts| drafts.iter().map(|draft| draft.group).collect()).collect()
}

#[test]
fn a_group_stays_together() {
    let drafts = (0..15).map(|group| small(group, 10)).chain([small(99, 10), small(99, 10)]).collect();
    assert_eq!(groups(&publishes(drafts, PUBLISH_BYTES_MAX)), [(0..15).collect::<Vec<_>>(), vec![99, 99]]);
}

#[test]
fn bytes_are_bounded_and_order_holds() {
    let publishes = publishes((0..6).map(|group| small(group, 60 * 1024)).collect(), PUBLISH_BYTES_MAX);
    assert_eq!(groups(&publishes), [vec![0, 1], vec![2, 3], vec![4, 5]]);
}

#[test]
fn a_message_to_a_large_group_is_one_upload() {
    let to = |count| (0..count).map(|n| recipient(n, 2)).collect();
    assert_eq!(publishes(vec![draft(1, 1, 16 * 1024, to(1_024))], PUBLISH_BYTES_MAX).len(), 1);
    // One more does not fit an item; but it fits the same publish.
    assert_eq!(groups(&publishes(vec![draft(1, 1, 1_000, to(1_025))], PUBLISH_BYTES_MAX)), [vec![1, 1]]);
    // Three devices each.
    assert_eq!(publishes(vec![draft(1, 1, 16 * 1024, to(3_072))], PUBLISH_BYTES_MAX).len(), 3);
}

/// A draft's payload and how many steps each recipient's token has.
type Shape = (u64, usize, Vec<usize>);

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let bytes = prop_oneof![3 => 1..2_000_usize, 1 => 1..=PAYLOAD_BYTES_MAX];
    let few = vec(1..=TOKEN_STEPS_MAX, 1..6);
    let many = (1..=TOKEN_STEPS_MAX, 900..2_600_usize).prop_map(|(steps, count)| vec![steps; count]);
    let steps = prop_oneof![6 => few, 1 => many];
    vec((0..3_u64, bytes, steps), 1..24).prop_map(|mut shapes| {
        // Items of one group follow one another.
        let mut group = 0;
        for shape in &mut shapes {
            group += u64::from(shape.0 == 0);
            shape.0 = group;
        }
        shapes
    })
}

fn make(shapes: &[Shape]) -> Vec<Draft> {
    let mut next = 0..;
    let drafts = (1..).zip(shapes).map(|(outbox, (group, bytes, steps))| {
        let recipients = steps.iter().map(|steps| recipient(next.next().unwrap(), *steps)).collect();
        draft(outbox, *group, *bytes, recipients)
    });
    drafts.collect()
}

/// Who gets which item, in order.
fn all_of<'a>(drafts: impl Iterator<Item = &'a Draft>) -> Vec<(u64, DeviceId)> {
    drafts.flat_map(|draft| draft.recipients.iter().map(|to| (draft.outbox, to.device))).collect()
}

fn encoded_bytes(drafts: &[Draft]) -> usize {
    let publish_id = PublishId::new([1; 16]);
    let relay = RelayId::new([1; 32]);
    let expiry = Timestamp::from_ms(u64::MAX).before(ENVELOPE_TTL_MAX);
    let items = drafts.iter().map(|draft| {
        let payload_hash = PayloadHash::of(&draft.payload);
        let input = ProofInput { publish_id, payload_hash, relay, expiry };
        let prove = |to: &Recipient| {
            let (mailbox, token) = (&to.grant.mailbox, &to.grant.token);
            token.prove(&input).to_recipient(mailbox.mailbox, mailbox.epoch, token.path())
        };
        let recipients = draft.recipients.iter().map(prove).collect();
        wire::PublishItem {
            payload: draft.payload.clone(),
            class: u32::from(draft.class),
            expiry_ms: expiry.as_ms(),
            route: Some(wire::Route { kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients })) }),
        }
    });
    let publish = wire::Publish { publish_id: publish_id.to_wire(), items: items.collect() };
    wire::Frame { request: u64::MAX, body: Some(Body::Publish(publish)) }.encoded_len()
}

fn load<'a>(drafts: impl Iterator<Item = &'a Draft>) -> Load {
    drafts.fold(Load::default(), |load, draft| load.and(draft.load()))
}

/// The load of a draft with one recipient more.
fn with_one_more(draft: &Draft, more: &Recipient) -> Load {
    draft.load().and(Load { route_bytes: more.bytes, ..Load::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_publish_is_within_the_limits(shapes in shapes()) {
        for publish in publishes(make(&shapes), PUBLISH_BYTES_MAX) {
            prop_assert!(!publish.is_empty() && publish.len() <= PUBLISH_ITEMS_MAX);
            let payloads: usize = publish.iter().map(|draft| draft.payload.len()).sum();
            prop_assert!(payloads <= PUBLISH_PAYLOAD_BYTES_MAX);
            prop_assert!(publish.iter().all(|draft| (1..=PUBLISH_RECIPIENTS_MAX).contains(&draft.recipients.len())));
            let load = load(publish.iter());
            let reckoned = FRAME_BYTES + load.items * ITEM_BYTES + load.payload_bytes + load.route_bytes;
            let encoded = encoded_bytes(&publish);
            prop_assert!(encoded <= reckoned && reckoned <= FRAME_BYTES_MAX, "{encoded} {reckoned}");
            // What is reckoned is not far from what it is.
            let recipients: usize = publish.iter().map(|draft| draft.recipients.len()).sum();
            prop_assert!(reckoned - encoded <= FRAME_BYTES + publish.len() * ITEM_BYTES + 4 * recipients);
        }
    }

    #[test]
    fn nothing_is_lost_and_the_order_holds(shapes in shapes()) {
        let published = publishes(make(&shapes), PUBLISH_BYTES_MAX);
        prop_assert_eq!(all_of(published.iter().flatten()), all_of(make(&shapes).iter()));
        for draft in published.iter().flatten() {
            let (group, bytes, _) = &shapes[usize::try_from(draft.outbox - 1).unwrap()];
            prop_assert_eq!((draft.group, draft.payload.len()), (*group, *bytes));
        }
    }

    #[test]
    fn nothing_is_cut_that_fits(shapes in shapes()) {
        let published = publishes(make(&shapes), PUBLISH_BYTES_MAX);
        let parts: Vec<&Draft> = published.iter().flatten().collect();
        for pair in parts.windows(2).filter(|pair| pair[0].outbox == pair[1].outbox) {
            let is_full = pair[0].recipients.len() == PUBLISH_RECIPIENTS_MAX;
            prop_assert!(is_full || !with_one_more(pair[0], &pair[1].recipients[0]).fits(PUBLISH_BYTES_MAX));
        }
        let originals = make(&shapes);
        for group in originals.chunk_by(|a, b| a.group == b.group) {
            let is_narrow = group.iter().all(|draft| draft.recipients.len() <= PUBLISH_RECIPIENTS_MAX);
            let load = load(group.iter());
            let of_group = |drafts: &&Vec<Draft>| drafts.iter().any(|draft| draft.group == group[0].group);
            if is_narrow && load.fits(PUBLISH_BYTES_MAX) {
                prop_assert_eq!(published.iter().filter(of_group).count(), 1);
            }
        }
        for pair in published.windows(2) {
            // A publish ends where the next group does not fit; and within one that none takes, where the next part does
            // not.
            let (before, next) = (&pair[0], &pair[1][0]);
            let is_within = before.iter().any(|draft| draft.group == next.group);
            let of_next = published.iter().flatten().filter(|draft| draft.group == next.group);
            let more = if is_within { next.load() } else { load(of_next) };
            prop_assert!(!load(before.iter()).and(more).fits(PUBLISH_BYTES_MAX));
        }
    }
}
