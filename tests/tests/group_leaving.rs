//! Leaving groups, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::Command;
use undertone::store::{NodeStore, ReceiverKey, SenderKey};
use undertone_protocol::crypto::{Crypto, HeaderKey, PayloadKind, Vodozemac, classify, decrypt_content};
use undertone_protocol::ids::{ConversationId, Handle, PayloadHash, Tag, UserId};
use undertone_protocol::limits::{QUARANTINE_ITEMS_MAX, SENDER_KEY_MESSAGES_MAX};
use undertone_protocol::wire::{Deliver, Frame, frame::Body};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const MINUTES: Duration = Duration::from_secs(180);

fn add(stage: &mut Stage, by: usize, who: &str) {
    let members = vec![who.to_owned()];
    let role = "member".to_owned();
    stage.group(by, Command::GroupAdd { group: "Club".to_owned(), members, role }).unwrap();
}

fn remove(stage: &mut Stage, by: usize, who: &str) {
    let command = Command::GroupRemove { group: "Club".to_owned(), member: who.to_owned() };
    stage.group(by, command).unwrap();
}

/// Who is in as a device knows it.
fn names(stage: &mut Stage, node: usize) -> Vec<String> {
    let members = stage.members(node, "Club").unwrap().into_iter();
    members.map(|member| member.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// The paths of the tokens that somebody's device gave the others of the club.
fn given(stage: &mut Stage, node: usize) -> Vec<Vec<Handle>> {
    let group = ConversationId::from_hex(&stage.show_group(node, "Club").unwrap().group).unwrap();
    let user = UserId::from_hex(&stage.id(node).unwrap().user).unwrap();
    let given = stage.disk(node).unwrap().transaction(|tx| {
        let own = tx.contact(&user)?.unwrap();
        let parts: [&[u8]; 2] = [own.token.as_bytes(), group.as_bytes()];
        let of_group = Handle::derive("undertone v1 handle of a group's tokens", &parts);
        Ok(tx.members(&group)?.into_iter().map(|member| vec![of_group, member.token]).collect())
    });
    given.unwrap()
}

/// Whether a device's relay refuses the tokens of these paths, and confirmed it.
fn are_refused(stage: &mut Stage, node: usize, paths: &[Vec<Handle>]) -> Vec<bool> {
    let refused = stage.disk(node).unwrap().transaction(|tx| {
        let relay = tx.home_relays()?.remove(0).address.relay;
        let due = tx.revocations_due(&relay, 1_000)?;
        paths.iter().map(|path| Ok(tx.is_revoked(&relay, path)? && !due.contains(path))).collect()
    });
    refused.unwrap()
}

#[test]
fn whoever_is_out_takes_back_what_members_may_deliver_by_and_may_come_back() {
    let mut stage = Stage::club().unwrap();
    let leave = Command::GroupLeave { group: "Club".to_owned(), successor: None };
    let of_carol = given(&mut stage, CAROL);
    stage.group(CAROL, leave).unwrap();
    let of_bob = given(&mut stage, BOB);
    remove(&mut stage, ALICE, "Bob");
    stage.run(MINUTES).unwrap();
    assert_eq!((of_carol.len(), of_bob.len()), (2, 2));
    // What others wrote before they knew still gets there.
    stage.sleep(Duration::from_secs(23 * 3_600)).unwrap();
    assert_eq!(are_refused(&mut stage, CAROL, &of_carol), [false, false]);
    stage.sleep(Duration::from_secs(2 * 3_600)).unwrap();
    assert_eq!(are_refused(&mut stage, CAROL, &of_carol), [true, true]);
    assert_eq!(are_refused(&mut stage, BOB, &of_bob), [true, true]);
    for name in ["Bob", "Carol"] {
        add(&mut stage, ALICE, name);
    }
    stage.run(MINUTES).unwrap();
    stage.send(BOB, "Club", "here again").unwrap();
    stage.send(CAROL, "Club", "me too").unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, CAROL] {
        assert_eq!(stage.said(node, "Club").unwrap(), ["here again", "me too"], "at {node}");
    }
}

#[test]
fn who_leaves_while_away_still_says_so_much_later() {
    let mut stage = Stage::club().unwrap();
    stage.unplug(CAROL).unwrap();
    stage.group(CAROL, Command::GroupLeave { group: "Club".to_owned(), successor: None }).unwrap();
    stage.sleep(Duration::from_secs(3 * 24 * 3_600)).unwrap();
    stage.plug(CAROL).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB] {
        assert_eq!(names(&mut stage, node), ["Alice", "Bob"], "at {node}");
    }
}

/// Under which key a device seals what it writes in the club.
fn sender_key(stage: &mut Stage, node: usize) -> SenderKey {
    let group = ConversationId::from_hex(&stage.show_group(node, "Club").unwrap().group).unwrap();
    stage.disk(node).unwrap().transaction(|tx| tx.sender_key(&group)).unwrap().unwrap()
}

/// Alice and Bob say something, and everybody gets it.
fn say_both(stage: &mut Stage, text: &str) {
    [ALICE, BOB].into_iter().for_each(|node| drop(stage.send(node, "Club", text).unwrap()));
    stage.run(MINUTES).unwrap();
}

/// Nothing is sent to them; but it must not open either for whoever gets hold of it.
#[test]
fn whoever_is_removed_has_no_key_of_what_comes_after() {
    let mut stage = Stage::club().unwrap();
    say_both(&mut stage, "said");
    let before = [ALICE, BOB].map(|node| sender_key(&mut stage, node));
    remove(&mut stage, ALICE, "Carol");
    stage.run(MINUTES).unwrap();
    say_both(&mut stage, "said");
    for (node, before) in [ALICE, BOB].into_iter().zip(before) {
        let after = sender_key(&mut stage, node);
        assert_eq!((before.holders.len(), after.holders.len()), (2, 1));
        assert_ne!(before.header_key, after.header_key);
    }
}

/// What the relay sends to a device's mailbox while something is said, and does not get there.
fn kept_back(stage: &mut Stage, from: usize, node: usize, text: &str) -> Vec<Deliver> {
    stage.hold(node);
    stage.send(from, "Club", text).unwrap();
    let frames = stage.let_go().into_iter();
    let came = frames.filter_map(|frame| match frame.body {
        Some(Body::Deliver(deliver)) => Some(deliver),
        _ => None,
    });
    came.collect()
}

/// A device's relay delivers this.
fn deliver<'a>(stage: &mut Stage, node: usize, what: impl IntoIterator<Item = &'a Deliver>) {
    for one in what {
        stage.give(node, Frame { request: 0, body: Some(Body::Deliver(one.clone())) }).unwrap();
    }
    stage.run(MINUTES).unwrap();
}

/// How many of these a device took and opened. What it finds no key for, it keeps aside; what can't be for it, it drops.
fn opened(stage: &mut Stage, node: usize, what: &[Deliver]) -> usize {
    let counted = stage.disk(node).unwrap().transaction(|tx| {
        let aside: Vec<_> = tx.quarantine(QUARANTINE_ITEMS_MAX)?.into_iter().map(|item| item.hash).collect();
        let mut opened = 0;
        for hash in what.iter().map(|one| PayloadHash::of(&one.payload)) {
            opened += usize::from(tx.seen(&hash)? && !aside.contains(&hash));
        }
        Ok(opened)
    });
    counted.unwrap()
}

/// The messages to the group among these, by their tags.
fn messages(what: &[Deliver]) -> Vec<(Tag, &[u8])> {
    let messages = what.iter().filter_map(|deliver| match classify(&deliver.payload) {
        Ok(PayloadKind::Message { tag }) => Some((tag, &deliver.payload[..])),
        _ => None,
    });
    messages.collect()
}

/// The key by which a device expects a message, and at which index.
fn key_of(stage: &mut Stage, node: usize, tag: &Tag) -> Option<(ReceiverKey, u32)> {
    let found = stage.disk(node).unwrap().transaction(|tx| {
        let Some((session, index)) = tx.sessions_by_tag(tag)?.first().copied() else { return Ok(None) };
        Ok(tx.receiver_key(&session)?.map(|key| (key, index)))
    });
    found.unwrap()
}

fn opens(header_key: &HeaderKey, key: &ReceiverKey, index: u32, payload: &[u8]) -> bool {
    decrypt_content(&Vodozemac, header_key, &key.state, index, payload).is_ok()
}

/// That this payload opens under a member's key at its index, and under no key that somebody else has, at whatever index:
/// not even where the member betrays the header key, so that only the ratchet is left.
fn opens_for_the_member_alone(payload: &[u8], (member, index): &(ReceiverKey, u32), others: &[ReceiverKey]) {
    assert!(opens(&member.header_key, member, *index, payload), "the member's own key");
    let message = member.header_key.open(*index, payload).unwrap();
    let indices = || 0..u32::try_from(SENDER_KEY_MESSAGES_MAX).unwrap();
    for other in others {
        assert!(!indices().any(|index| opens(&other.header_key, other, index, payload)));
        assert!(!opens(&member.header_key, other, *index, payload));
        assert!(Vodozemac.decrypt_message(&other.state, &message).is_err());
    }
}

/// The node of somebody who was removed runs on with all its keys, and gets hold of all that goes to the others: with the
/// real cryptography.
#[test]
fn what_comes_after_a_removal_does_not_open_for_whoever_was_removed() {
    let mut stage = Stage::club_with(true).unwrap();
    say_both(&mut stage, "said");
    // The last that Carol is to have of both comes to her only when she is out.
    let before = [(ALICE, "Alice, before"), (BOB, "Bob, before")]
        .map(|(from, text)| kept_back(&mut stage, from, CAROL, text))
        .concat();
    let mut carols = Vec::new();
    for (tag, payload) in messages(&before) {
        let (key, index) = key_of(&mut stage, CAROL, &tag).unwrap();
        assert!(opens(&key.header_key, &key, index, payload));
        carols.push(key);
    }
    assert_eq!(carols.len(), 2);
    remove(&mut stage, ALICE, "Carol");
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.show_group(CAROL, "Club").unwrap().state, "out");

    for (round, (from, to, text)) in [(1, (ALICE, BOB, "Alice, after")), (2, (BOB, ALICE, "Bob, after"))] {
        let after = kept_back(&mut stage, from, to, text);
        let at_carol = after.iter().zip(1_000 * round..).map(|(one, seq)| Deliver { seq, ..one.clone() });
        let at_carol: Vec<_> = at_carol.collect();
        deliver(&mut stage, CAROL, &at_carol);
        assert_eq!(opened(&mut stage, CAROL, &at_carol), 0, "{text}");
        assert_eq!(opened(&mut stage, to, &after), 0, "nothing came yet of: {text}");
        // What brings the key comes first.
        let is_message = |one: &&Deliver| matches!(classify(&one.payload), Ok(PayloadKind::Message { .. }));
        let (sealed, keys): (Vec<_>, Vec<_>) = after.iter().partition(is_message);
        deliver(&mut stage, to, keys);
        let found = messages(&after);
        assert_eq!(found.len(), 1, "{text}");
        let member = key_of(&mut stage, to, &found[0].0).unwrap();
        opens_for_the_member_alone(found[0].1, &member, &carols);
        let session = &member.0.session;
        assert_eq!(stage.disk(CAROL).unwrap().transaction(|tx| tx.receiver_key(session)).unwrap(), None);
        deliver(&mut stage, to, sealed);
        assert_eq!(opened(&mut stage, to, &after), after.len(), "{text}");
    }

    // Her keys and her node do what they did: what was for her opens.
    deliver(&mut stage, CAROL, &before);
    assert_eq!(opened(&mut stage, CAROL, &before), before.len());
    stage.sleep(Duration::from_secs(24 * 3_600)).unwrap();
    let had = ["said", "said", "Alice, before", "Bob, before"];
    assert_eq!(stage.said(CAROL, "Club").unwrap(), had);
    let all = [&had[..], &["Alice, after", "Bob, after"]].concat();
    assert_eq!([ALICE, BOB].map(|node| stage.said(node, "Club").unwrap()), [all.clone(), all]);
}
