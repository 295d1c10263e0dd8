use bytes::Bytes;
use proptest::prelude::*;

use crate::codec::{Label, sign};
use crate::ids::{ConversationId, DeviceId, EntryId, Secret};
use crate::keys::DeviceKey;
use crate::log::{Frontier, FrontierItem, SeqRange};
use crate::receipts::{Acknowledgement, AcknowledgementError, AcknowledgementFields, Authors};
use crate::testing::hostile::{altered, assert_only_original, mutated};
use crate::time::Timestamp;
use crate::wire;

pub(super) fn key() -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([11; 32]))
}

pub(super) fn acknowledgement() -> Acknowledgement {
    let mut delivered = Frontier::default();
    let ranges = vec![SeqRange { from: 6, through: 8 }, SeqRange { from: 10, through: 10 }];
    let ends = vec![EntryId::new([4; 32]), EntryId::new([5; 32])];
    delivered.set(
        DeviceId::new([1; 32]),
        FrontierItem { seq: 4, head: Some(EntryId::new([2; 32])), ranges, ends },
    );
    delivered.set(
        DeviceId::new([2; 32]),
        FrontierItem { ranges: vec![SeqRange { from: 2, through: 2 }], ..FrontierItem::default() },
    );
    let mut read = Frontier::default();
    let item = FrontierItem { seq: 3, head: Some(EntryId::new([3; 32])), ..FrontierItem::default() };
    read.set(DeviceId::new([1; 32]), item);
    let fields = AcknowledgementFields {
        conversation: ConversationId::new([3; 32]),
        device: key().device(),
        counter: 5,
        delivered,
        read,
        at: Timestamp::from_ms(1_700_000_000_000),
        authors: Authors::default(),
    };
    Acknowledgement::issue(&key(), fields)
}

/// Of the first device alone.
pub(super) fn part() -> Acknowledgement {
    let AcknowledgementFields { mut delivered, read, .. } = acknowledgement().fields;
    let first = DeviceId::new([1; 32]);
    delivered.retain(|device| *device == first);
    let authors = Authors { after: None, through: Some(first) };
    let fields = AcknowledgementFields { delivered, read, authors, ..acknowledgement().fields };
    Acknowledgement::issue(&key(), fields)
}

#[test]
fn it_round_trips_and_holds_as_signed_only() {
    let acknowledgement = acknowledgement();
    let signed = acknowledgement.signed.clone();
    assert_eq!(Acknowledgement::verify(signed.clone()), Ok(acknowledgement));
    assert_eq!(Acknowledgement::verify(part().signed), Ok(part()));
    assert_only_original(&signed, |signed| Acknowledgement::verify(signed).is_ok());
    let other = sign(Label::Entry, key().signing_key(), signed.body.clone());
    assert!(matches!(Acknowledgement::verify(other), Err(AcknowledgementError::BadSignature(_))));
    let stranger = DeviceKey::from_seed(&Secret::new([12; 32]));
    let other = sign(Label::Acknowledgement, stranger.signing_key(), signed.body);
    assert!(matches!(Acknowledgement::verify(other), Err(AcknowledgementError::BadSignature(_))));
}

#[test]
fn an_ill_formed_one_is_refused_though_signed() {
    type Change = fn(&mut wire::Acknowledgement);
    let changes: [(&str, Change); 12] = [
        ("version", |body| body.version = 2),
        ("suite", |body| body.suite = 2),
        ("conversation", |body| body.conversation = Bytes::new()),
        ("device", |body| body.device = vec![1; 31].into()),
        ("no delivered frontier", |body| body.delivered = None),
        ("no read frontier", |body| body.read = None),
        ("overlapping ranges", |body| body.delivered.as_mut().unwrap().items[0].ranges[1].from = 7),
        ("a device twice", |body| {
            let items = &mut body.read.as_mut().unwrap().items;
            items.push(items[0].clone());
        }),
        ("an end that is no id", |body| body.through = vec![1; 31].into()),
        ("a device outside", |body| body.after = DeviceId::new([1; 32]).to_wire()),
        ("no device", |body| {
            body.delivered = Some(wire::Frontier::default());
            body.read = Some(wire::Frontier::default());
            body.after = DeviceId::new([1; 32]).to_wire();
            body.through = DeviceId::new([1; 32]).to_wire();
        }),
        ("size", |body| {
            body.read.as_mut().unwrap().items = vec![body.read.clone().unwrap().items[0].clone(); 900]
        }),
    ];
    let signed = acknowledgement().signed;
    for (what, change) in changes {
        let other = altered(Label::Acknowledgement, key().signing_key(), &signed, change);
        assert!(matches!(Acknowledgement::verify(other), Err(AcknowledgementError::Malformed(_))), "{what}");
    }
}

proptest! {
    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>, edits: Vec<(usize, u8)>) {
        let bytes = sign(Label::Acknowledgement, key().signing_key(), body);
        prop_assert!(Acknowledgement::verify(bytes).is_err());
        let edited = mutated(Label::Acknowledgement, key().signing_key(), &acknowledgement().signed, &edits);
        if let Ok(read) = Acknowledgement::verify(edited) {
            prop_assert_eq!(read.fields.device, key().device());
            // What a hostile frontier claims can be counted without overflow.
            for frontier in [&read.fields.delivered, &read.fields.read] {
                prop_assert!(frontier.items().all(|(_, item)| frontier.count() >= item.count()));
            }
        }
    }
}
