use std::time::Duration;

use prost::Message;

use super::{array, list, owned, recorded, signed};
use crate::entry::{Content, SignedEntry, Text};
use crate::ids::{DeviceId, EntryId, MailboxId, PayloadHash, PublishId, RelayId, Secret};
use crate::log::SeqRange;
use crate::receipts::{Acknowledgement, CustodyReceipt, Denial, Outcome};
use crate::time::Timestamp;
use crate::token::{CLASS_0, CLASS_1, DELIVER, Proof, ProofInput, Step, TokenGrant, check};
use crate::wire;

const TIME: Timestamp = Timestamp::from_ms(1_700_000_000_000);

#[test]
fn entries() {
    let recorded = recorded("log.json");
    let entries: Vec<_> = list(&recorded["entries"])
        .iter()
        .map(|entry| {
            let sealed = wire::SealedEntry {
                header: owned(&entry["header"]),
                signature: owned(&entry["signature"]),
                body: owned(&entry["body"]),
            };
            let read = SignedEntry::verify(sealed).unwrap();
            assert_eq!(read.id, EntryId::new(array(&entry["id"])));
            read
        })
        .collect();
    let texts: Vec<_> = entries.iter().map(|entry| entry.body.content.clone()).collect();
    let expected = [
        "first",
        "from a clock that is a year fast",
        "written at the same time",
        "from a clock that is set back",
        "last",
    ];
    assert_eq!(texts, expected.map(|text| Content::Text(Text::plain(text))));
    let (first, slow) = (&entries[0].header, &entries[3].header);
    assert_eq!((first.seq, first.prev, first.claimed, first.expires), (1, None, TIME, None));
    assert_eq!(first.conversation.as_bytes(), &[3; 32]);
    assert_eq!(first.membership_heads.iter().map(|head| head.as_bytes()[0]).collect::<Vec<_>>(), [6, 7]);
    assert_eq!((slow.seq, slow.prev, slow.claimed.as_ms()), (3, Some(entries[2].id), 1_000));
    assert_eq!(slow.heads, [entries[1].id, entries[2].id]);
}

#[test]
fn acknowledgements() {
    let recorded = &recorded("receipts.json")["acknowledgement"];
    let read = Acknowledgement::verify(signed(recorded)).unwrap().fields;
    assert_eq!(read.device, DeviceId::new(array(&recorded["public_key"])));
    assert_eq!((read.conversation.as_bytes(), read.counter, read.at), (&[3; 32], 5, TIME));
    let item = read.delivered.get(&DeviceId::new([1; 32])).unwrap();
    assert_eq!((item.seq, item.head), (4, Some(EntryId::new([2; 32]))));
    assert_eq!(item.ranges, [SeqRange { from: 6, through: 8 }, SeqRange { from: 10, through: 10 }]);
    let item = read.delivered.get(&DeviceId::new([2; 32])).unwrap();
    assert_eq!((item.seq, item.head, item.covers(1), item.covers(2)), (0, None, false, true));
    assert_eq!((read.read.items().count(), read.read.count()), (1, 3));
}

#[test]
fn custody_receipts() {
    let recorded = &recorded("receipts.json")["custody_receipt"];
    let relay = RelayId::new(array(&recorded["public_key"]));
    let read = CustodyReceipt::verify(&signed(recorded), &relay).unwrap();
    assert_eq!(read.publish_id, PublishId::new([1; 16]));
    let [first, second] = &read.items[..] else { panic!("{read:?}") };
    assert_eq!(first.payload_hash, PayloadHash::of(b"one"));
    assert_eq!(second.payload_hash, PayloadHash::of(b"two"));
    let mut expected = vec![
        Outcome::Stored { held_until: TIME },
        Outcome::Duplicate { held_until: TIME },
        Outcome::Acknowledged,
        Outcome::Full { retry_after: Duration::from_secs(30) },
        Outcome::RetryAfter(Duration::from_millis(1)),
        Outcome::TooLarge { bytes_max: 65_536 },
    ];
    use Denial::{Epoch, Expired, Proof, Revoked, Rights, UnknownMailbox, UsedUp};
    expected.extend([UnknownMailbox, Epoch, Proof, Revoked, Expired, UsedUp, Rights].map(Outcome::Denied));
    assert_eq!(first.recipients, expected);
    assert_eq!(second.recipients, [Outcome::Stored { held_until: Timestamp::ZERO }]);
}

#[test]
fn tokens() {
    let recorded = recorded("tokens.json");
    let recipient = wire::Recipient::decode(owned(&recorded["recipient"])).unwrap();
    assert_eq!(MailboxId::from_slice(&recipient.mailbox), Ok(MailboxId::new([9; 16])));
    let (proof, path) = Proof::from_recipient(&recipient).unwrap();
    let [first, narrow, last] = &path[..] else { panic!("{path:?}") };
    assert_eq!((first.handle.as_bytes(), last.handle.as_bytes()), (&[1; 8], &[4; 8]));
    let expected = Step {
        rights: DELIVER,
        classes: CLASS_0 | CLASS_1,
        not_after: Some(TIME),
        per_minute: 60,
        ..narrow.clone()
    };
    assert_eq!(narrow, &expected);

    let secret = Secret::new(array(&recorded["mailbox_secret"]));
    let mut grant = TokenGrant::issue(&secret, first.clone());
    for (step, link) in path.iter().zip(list(&recorded["chain"])) {
        assert_eq!(step.to_hashed(), array(&link["step"]));
    }
    for step in &path[1..] {
        grant = grant.extend(step.clone()).unwrap();
    }
    assert_eq!(grant.to_wire().key, owned(&recorded["chain"][2]["key"]));
    let input = ProofInput {
        publish_id: PublishId::new(array(&recorded["publish_id"])),
        payload_hash: PayloadHash::new(array(&recorded["payload_hash"])),
        relay: RelayId::new(array(&recorded["relay"])),
        expiry: Timestamp::from_ms(recorded["expiry_ms"].as_u64().unwrap()),
    };
    assert_eq!(check(&secret, &path, &proof, &input, 0, TIME), Ok(()));
}
