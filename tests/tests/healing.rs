//! Lost Olm sessions, and what heals them, on the real machines without faults.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, HistoryItem, LostView, Response};
use undertone::engine::Origin;
use undertone::event::Event;
use undertone::store::{Failure, NodeStore, Purpose};
use undertone_protocol::ids::{DeviceId, EntryId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::limits::{DRAINED_AFTER, ENVELOPE_TTL_MAX, EXPIRY_GRACE, KEY_LIFE, LOST_AFTER_DAYS};
use undertone_protocol::receipts::Denial;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
/// Longer than a device waits before it asks, or answers, the same again.
const LATER: Duration = Duration::from_secs(300);

fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    let invite = Command::Invite { uses: 1, life: Duration::from_secs(3_600) };
    let Response::Invitation(view) = stage.ask(ALICE, invite).unwrap().unwrap() else { panic!("no link") };
    stage.ask(BOB, Command::ContactAdd { link: view.link, name: None, message: None }).unwrap().unwrap();
    stage.ask(ALICE, Command::ContactAccept { name: "Bob".to_owned() }).unwrap().unwrap();
    stage
}

fn say(stage: &mut Stage, node: usize, to: &str, text: &str) {
    stage.ask(node, Command::Send { name: to.to_owned(), text: text.to_owned() }).unwrap().unwrap();
}

fn shown(stage: &mut Stage, node: usize, name: &str) -> Vec<String> {
    stage.texts(node, name).unwrap()
}

/// Bob speaks, so that what Alice says next needs a new key, and loses the sessions that could bring it.
fn bob_can_not_read(stage: &mut Stage, text: &str) {
    say(stage, BOB, "Alice", &format!("before {text}"));
    lose_sessions(stage, BOB);
    say(stage, ALICE, "Bob", text);
}

fn lose_sessions(stage: &mut Stage, node: usize) {
    let forget = stage.disk(node).unwrap().transaction(|tx| {
        for contact in tx.contacts()? {
            for certificate in contact.device_list.iter().flat_map(|list| list.active()) {
                for session in tx.olm_sessions(&certificate.device)? {
                    tx.delete_olm_session(&certificate.device, &session.id)?;
                }
            }
        }
        Ok(())
    });
    forget.unwrap();
}

#[test]
fn lost_sessions_heal() {
    let mut stage = friends();
    bob_can_not_read(&mut stage, "one");
    stage.run(LATER).unwrap();
    assert_eq!(shown(&mut stage, BOB, "Alice"), ["before one", "one"]);
}

/// The acknowledgement that shows the gap comes too early to say that it stays one, and there is no other.
#[test]
fn what_fell_into_a_gap_a_moment_ago_is_sent_again_without_another_word() {
    let mut stage = friends();
    say(&mut stage, BOB, "Alice", "a key, please");
    stage.hold(BOB);
    say(&mut stage, ALICE, "Bob", "one");
    stage.let_go();
    say(&mut stage, BOB, "Alice", "another one");
    say(&mut stage, ALICE, "Bob", "two");
    stage.run(Duration::from_secs(20)).unwrap();
    assert!(!shown(&mut stage, BOB, "Alice").contains(&"one".to_owned()), "it was lost");
    stage.run(Duration::from_secs(30)).unwrap();
    assert!(shown(&mut stage, BOB, "Alice").contains(&"one".to_owned()));
}

#[test]
fn what_another_device_has_read_is_sent_again_too() {
    let mut stage = friends();
    let phone = stage.add("phone", Origin::Link).unwrap();
    stage.link(BOB, phone).unwrap();
    stage.run(LATER).unwrap();
    say(&mut stage, phone, "Alice", "a new key, please");
    stage.unplug(BOB).unwrap();
    lose_sessions(&mut stage, BOB);
    say(&mut stage, ALICE, "Bob", "one");
    // The phone has read it, and is gone before it can hand it on.
    stage.ask(phone, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    stage.unplug(phone).unwrap();
    assert!(!shown(&mut stage, BOB, "Alice").contains(&"one".to_owned()));
    stage.plug(BOB).unwrap();
    stage.run(LATER).unwrap();
    assert!(shown(&mut stage, BOB, "Alice").contains(&"one".to_owned()));
}

/// Bob asks, and at once could ask again; one of the two crashes before it is time. `within`: all is well after it.
fn two_in_a_row(forgets: Option<usize>, crashes: usize, within: Duration) {
    let mut stage = friends();
    bob_can_not_read(&mut stage, "one");
    forgets.into_iter().for_each(|node| crash(&mut stage, node));
    bob_can_not_read(&mut stage, "two");
    assert_eq!(shown(&mut stage, BOB, "Alice"), ["before one", "one", "before two"]);
    crash(&mut stage, crashes);
    stage.run(within).unwrap();
    assert_eq!(shown(&mut stage, BOB, "Alice"), ["before one", "one", "before two", "two"]);
}

fn crash(stage: &mut Stage, node: usize) {
    stage.stop(node).unwrap();
    stage.start(node).unwrap();
}

#[test]
fn whoever_was_asked_too_early_answers_even_after_a_crash() {
    // Bob forgets when he asked last, and asks again at once; Alice does not answer so soon.
    two_in_a_row(Some(BOB), ALICE, Duration::from_secs(10));
}

#[test]
fn whoever_may_not_ask_yet_asks_even_after_a_crash() {
    two_in_a_row(None, BOB, LATER);
}

#[test]
fn who_can_not_read_what_may_be_a_retry_says_what_it_has() {
    let mut stage = friends();
    bob_can_not_read(&mut stage, "before");
    say(&mut stage, BOB, "Alice", "one");
    // Bob can't read that it was read, and may not ask so soon; when he does, Alice can't read that.
    lose_sessions(&mut stage, BOB);
    stage.ask(ALICE, Command::Read { name: "Bob".to_owned() }).unwrap().unwrap();
    stage.ask(BOB, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    lose_sessions(&mut stage, ALICE);
    assert_eq!(last_state(&mut stage, BOB, "Alice"), "delivered");
    stage.run(LATER).unwrap();
    assert_eq!(last_state(&mut stage, BOB, "Alice"), "read");
}

#[test]
fn the_last_message_that_was_lost_is_found_even_after_a_crash() {
    let mut stage = friends();
    say(&mut stage, ALICE, "Bob", "before");
    stage.unplug(BOB).unwrap();
    say(&mut stage, ALICE, "Bob", "lost");
    stage.relay_forgets().unwrap();
    stage.plug(BOB).unwrap();
    // What Bob says that he has does not hold what was lost. Alice looks at that later, and forgets it before.
    stage.ask(BOB, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    crash(&mut stage, ALICE);
    stage.run(LATER).unwrap();
    assert_eq!(shown(&mut stage, BOB, "Alice"), ["before", "lost"]);
}

/// Alice does not hear of Bob's new phone: what it said of itself expires at her relay while she is away.
fn alice_misses_the_phone(stage: &mut Stage) -> usize {
    stage.unplug(ALICE).unwrap();
    let phone = stage.add("phone", Origin::Link).unwrap();
    stage.link(BOB, phone).unwrap();
    stage.run(LATER).unwrap();
    phone
}

fn last_state(stage: &mut Stage, node: usize, name: &str) -> String {
    stage.history(node, name).unwrap().pop().unwrap().state
}

#[test]
fn what_expired_unread_is_made_up_for_when_keys_are_renewed() {
    let mut stage = friends();
    let phone = alice_misses_the_phone(&mut stage);
    stage.sleep(KEY_LIFE).unwrap();
    stage.plug(ALICE).unwrap();
    say(&mut stage, BOB, "Alice", "there you are");
    say(&mut stage, phone, "Alice", "hello from the phone");
    stage.run(LATER).unwrap();
    assert_eq!(last_state(&mut stage, phone, "Alice"), "delivered");
}

#[test]
fn whoever_has_a_message_expire_introduces_itself_again() {
    let mut stage = friends();
    let phone = alice_misses_the_phone(&mut stage);
    say(&mut stage, phone, "Alice", "this expires");
    stage.run(LATER).unwrap();
    stage.sleep(ENVELOPE_TTL_MAX + EXPIRY_GRACE).unwrap();
    let expired = stage.history(phone, "Alice").unwrap().pop().unwrap();
    assert!(expired.failed.is_some(), "{expired:?}");
    stage.plug(ALICE).unwrap();
    say(&mut stage, BOB, "Alice", "there you are");
    say(&mut stage, phone, "Alice", "hello from the phone");
    stage.run(LATER).unwrap();
    assert_eq!(last_state(&mut stage, phone, "Alice"), "delivered");
}

#[test]
fn a_bundle_that_could_not_be_had_is_asked_for_after_a_crash() {
    let mut stage = friends();
    let bob = DeviceId::from_hex(&stage.id(BOB).unwrap().device).unwrap();
    stage.stop(ALICE).unwrap();
    stage.disk(ALICE).unwrap().transaction(|tx| tx.delete_peer_device(&bob)).unwrap();
    stage.start(ALICE).unwrap();
    stage.run(LATER).unwrap();
    let known = stage.disk(ALICE).unwrap().transaction(|tx| tx.peer_device(&bob)).unwrap();
    assert!(known.is_some());
}

#[test]
fn what_found_a_full_mailbox_arrives_soon_after_its_device_is_back() {
    let mut stage = friends();
    stage.relay_holds(3).unwrap();
    stage.stop(BOB).unwrap();
    // They go all at once.
    stage.unplug(ALICE).unwrap();
    let texts: Vec<String> = (0..20).map(|n| format!("text {n}")).collect();
    texts.iter().for_each(|text| say(&mut stage, ALICE, "Bob", text));
    stage.plug(ALICE).unwrap();
    // By now Alice's device tries again every ten minutes only.
    stage.run(Duration::from_secs(7_200)).unwrap();
    stage.start(BOB).unwrap();
    stage.run(Duration::from_secs(900)).unwrap();
    let mut arrived = shown(&mut stage, BOB, "Alice");
    arrived.sort();
    let mut texts = texts;
    texts.sort();
    assert_eq!(arrived, texts);
}

/// Alice says something that does not get to Bob, and does not send it again by itself: a relay refused it.
fn alice_loses(stage: &mut Stage, text: &str) {
    stage.unplug(ALICE).unwrap();
    let sent = EntryId::from_hex(&stage.send(ALICE, "Bob", text).unwrap().id).unwrap();
    stage.stop(ALICE).unwrap();
    let refuse = stage.disk(ALICE).unwrap().transaction(|tx| {
        for purpose in [Purpose::Entry(sent), Purpose::Key(sent)] {
            for item in tx.outbox_of(&purpose)? {
                tx.delete_outbox(item.id)?;
            }
        }
        let mut delivery = tx.delivery(&sent)?.unwrap();
        delivery.failed = Some(Failure::Denied(Denial::Revoked));
        tx.put_delivery(&delivery)?;
        let mut key = tx.sender_key(&delivery.conversation)?.unwrap();
        key.turned = true;
        tx.put_sender_key(&key)
    });
    refuse.unwrap();
    stage.start(ALICE).unwrap();
    stage.plug(ALICE).unwrap();
}

/// On so many days all devices are there for a while.
fn days(stage: &mut Stage, days: u32) {
    for _ in 0..days {
        stage.sleep(Duration::from_secs(24 * 3_600)).unwrap();
        // Until a mailbox counts as drained, and the next look.
        stage.run(2 * DRAINED_AFTER + Duration::from_secs(60)).unwrap();
    }
}

/// What Bob sees of what Alice said; a number stands for that many messages that are lost.
fn whole(stage: &mut Stage) -> Vec<String> {
    let items = stage.history_whole(BOB, "Alice").unwrap();
    let shown = items.into_iter().map(|item| match item {
        HistoryItem::Message(view) => view.text,
        HistoryItem::Lost(LostView { contact, from, mine, messages, .. }) => {
            assert_eq!((contact.as_str(), from.as_str(), mine), ("Alice", "Alice", false));
            messages.to_string()
        }
    });
    shown.collect()
}

/// The highest number that Bob has passed of what Alice said, and whether he tells her that he has the second.
fn passed(stage: &mut Stage) -> (u64, bool) {
    let (alice, bob) = (stage.id(ALICE).unwrap(), stage.id(BOB).unwrap());
    let [device, other] = [&alice.device, &bob.device].map(|id| DeviceId::from_hex(id).unwrap());
    let [user, contact] =
        [&alice.user, &bob.user].map(|id| undertone_protocol::ids::UserId::from_hex(id).unwrap());
    let conversation = direct_conversation(&user, &contact);
    let frontier = stage.disk(BOB).unwrap().transaction(|tx| tx.frontier(&conversation)).unwrap();
    let seq = frontier.iter().find(|(of, _)| *of == device).map_or(0, |(_, item)| item.seq);
    let told =
        stage.disk(ALICE).unwrap().transaction(|tx| tx.acknowledgement(&conversation, &other)).unwrap();
    let told = told.unwrap().fields.delivered;
    assert!(told.covers(&device, 1) && told.covers(&device, seq));
    (seq, told.covers(&device, 2))
}

#[test]
fn what_nobody_supplies_for_long_is_lost_until_it_comes_after_all() {
    let mut stage = friends();
    say(&mut stage, ALICE, "Bob", "one");
    alice_loses(&mut stage, "two");
    alice_loses(&mut stage, "three");
    say(&mut stage, ALICE, "Bob", "four");
    days(&mut stage, LOST_AFTER_DAYS - 1);
    assert_eq!(whole(&mut stage), ["one", "four"]);
    assert_eq!(passed(&mut stage), (1, false));
    stage.events(BOB);
    days(&mut stage, 2);
    assert_eq!(whole(&mut stage), ["one", "2", "four"]);
    assert_eq!(stage.events(BOB).iter().filter(|event| matches!(event, Event::Lost { .. })).count(), 1);
    // Bob passes over it, and does not tell Alice that he has it.
    say(&mut stage, ALICE, "Bob", "five");
    stage.ask(BOB, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    crash(&mut stage, BOB);
    stage.run(LATER).unwrap();
    assert_eq!(passed(&mut stage), (5, false));
    assert_eq!(whole(&mut stage), ["one", "2", "four", "five"]);
    let states: Vec<String> =
        stage.history(ALICE, "Bob").unwrap().into_iter().map(|view| view.state).collect();
    assert_eq!(states, ["read", "sent", "sent", "read", "read"]);
    // What comes after all is shown, and the mark goes.
    stage.ask(ALICE, Command::Retry { name: "Bob".to_owned() }).unwrap().unwrap();
    stage.run(LATER).unwrap();
    assert_eq!(whole(&mut stage), ["one", "two", "three", "four", "five"]);
    assert_eq!(passed(&mut stage), (5, true));
    assert_eq!(last_state(&mut stage, ALICE, "Bob"), "read");
}

#[test]
fn days_on_which_a_device_was_away_do_not_count() {
    let mut stage = friends();
    say(&mut stage, ALICE, "Bob", "one");
    alice_loses(&mut stage, "two");
    say(&mut stage, ALICE, "Bob", "three");
    stage.stop(BOB).unwrap();
    stage.sleep(Duration::from_secs(24 * 3_600) * 2 * LOST_AFTER_DAYS).unwrap();
    stage.start(BOB).unwrap();
    days(&mut stage, 3);
    assert_eq!(whole(&mut stage), ["one", "three"]);
    // Nor do those on which it reached no relay.
    stage.unplug(BOB).unwrap();
    days(&mut stage, LOST_AFTER_DAYS);
    stage.plug(BOB).unwrap();
    assert_eq!(whole(&mut stage), ["one", "three"]);
}
