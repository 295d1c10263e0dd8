//! How long keys live: months on the real machines, without faults.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, HistoryItem, Response};
use undertone::store::{Account, NodeStore, SenderKey};
use undertone_protocol::crypto::{PayloadKind, classify};
use undertone_protocol::ids::UserId;
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::limits::{DIRECT_ROTATION_AGE, ENVELOPE_TTL_MAX, KEY_LIFE, RETENTION};
use undertone_protocol::wire::{Frame, frame::Body};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Long enough awake for a mailbox to be known as drained, and the keys to be looked at.
const AWAKE: Duration = Duration::from_secs(1_500);

fn friends(real_crypto: bool) -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], real_crypto).unwrap();
    let invite = Command::Invite { uses: 1, life: Duration::from_secs(3_600) };
    let Response::Invitation(view) = stage.ask(ALICE, invite).unwrap().unwrap() else { panic!("no link") };
    let add = Command::ContactAdd { link: view.link, name: None, message: None };
    stage.ask(BOB, add).unwrap().unwrap();
    stage.ask(ALICE, Command::ContactAccept { name: "Bob".to_owned() }).unwrap().unwrap();
    stage
}

fn say(stage: &mut Stage, node: usize, to: &str, text: &str) {
    let send = Command::Send { name: to.to_owned(), text: text.to_owned() };
    stage.ask(node, send).unwrap().unwrap();
}

/// The texts and states at a node.
fn shown(stage: &mut Stage, node: usize, name: &str) -> Vec<(String, String)> {
    let items = stage.history_whole(node, name).unwrap();
    assert!(!items.iter().any(|item| matches!(item, HistoryItem::Lost(_))), "{items:?}");
    items.into_iter().filter_map(HistoryItem::message).map(|view| (view.text, view.state)).collect()
}

fn account(stage: &mut Stage, node: usize) -> Account {
    stage.disk(node).unwrap().transaction(|tx| tx.account()).unwrap().unwrap()
}

fn sleep(stage: &mut Stage, time: Duration) {
    stage.sleep(time).unwrap();
    stage.run(AWAKE).unwrap();
}

fn talk_for_months(real_crypto: bool) {
    let mut stage = friends(real_crypto);
    let mut accounts = vec![account(&mut stage, ALICE)];
    for week in 0..24 {
        sleep(&mut stage, 7 * DAY);
        say(&mut stage, BOB, "Alice", &format!("Bob in week {week}"));
        say(&mut stage, ALICE, "Bob", &format!("Alice in week {week}"));
        let now = account(&mut stage, ALICE);
        let last = accounts.last().unwrap().clone();
        if now != last {
            accounts.push(now.clone());
        }
    }
    // New keys and the death of the former ones, by turns: 24 weeks have room for each twice at least.
    let turns: Vec<bool> = accounts.iter().map(|account| account.superseded.is_some()).collect();
    assert!(turns.starts_with(&[false, true, false, true, false]), "{turns:?}");
    for pair in accounts.windows(2) {
        let [before, after] = pair else { panic!("two") };
        match &after.superseded {
            Some(superseded) => {
                assert_eq!(superseded.xwing_seed, before.xwing_seed);
                assert_ne!(after.fallback_prekey, before.fallback_prekey);
                assert!(after.keys_made.since(before.keys_made) >= KEY_LIFE);
            }
            None => assert_eq!(after.xwing_seed, before.xwing_seed),
        }
    }
    let (alice, bob) = (shown(&mut stage, ALICE, "Bob"), shown(&mut stage, BOB, "Alice"));
    assert_eq!(alice.len(), 48);
    assert!(alice.iter().zip(&bob).all(|(one, other)| one.0 == other.0));
    assert!(
        alice.iter().chain(&bob).all(|(_, state)| state == "delivered" || state == "received"),
        "{alice:?}"
    );
}

#[test]
fn keys_are_renewed_and_die_while_two_talk() {
    talk_for_months(false);
}

#[test]
fn keys_of_the_real_cryptography_are_renewed_too() {
    talk_for_months(true);
}

#[test]
fn who_was_away_for_a_month_reads_what_waited_and_is_read() {
    for real_crypto in [false, true] {
        let mut stage = friends(real_crypto);
        say(&mut stage, BOB, "Alice", "I go");
        // Bob's keys are superseded just before he leaves.
        sleep(&mut stage, 30 * DAY);
        let made = account(&mut stage, BOB).superseded.unwrap();
        stage.stop(BOB).unwrap();
        for day in 0..35 {
            stage.sleep(DAY).unwrap();
            if day >= 15 {
                say(&mut stage, ALICE, "Bob", &format!("day {day}"));
            }
        }
        stage.start(BOB).unwrap();
        say(&mut stage, BOB, "Alice", "I am back");
        let (alice, bob) = (shown(&mut stage, ALICE, "Bob"), shown(&mut stage, BOB, "Alice"));
        assert_eq!(alice.len(), 22, "{alice:?}");
        assert_eq!(
            alice.iter().map(|one| &one.0).collect::<Vec<_>>(),
            bob.iter().map(|one| &one.0).collect::<Vec<_>>()
        );
        assert!(
            alice.iter().chain(&bob).all(|(_, state)| state != "sent" && state != "queued"),
            "{alice:?} {bob:?}"
        );
        // Only now that the mailbox is drained the former key dies.
        assert_eq!(account(&mut stage, BOB).superseded, Some(made));
        stage.run(AWAKE).unwrap();
        assert_eq!(account(&mut stage, BOB).superseded, None);
    }
}

#[test]
fn nothing_is_sealed_for_keys_that_may_be_dead() {
    let mut stage = friends(true);
    let begun = stage.now();
    say(&mut stage, BOB, "Alice", "I go");
    // It is Bob's turn, so his next message needs a new sender key, which travels in a channel.
    say(&mut stage, ALICE, "Bob", "farewell");
    stage.stop(BOB).unwrap();
    for _ in 0..10 {
        sleep(&mut stage, 7 * DAY);
    }
    // The key that Bob knows is neither the present one nor the one before.
    assert!(account(&mut stage, ALICE).superseded.is_none_or(|key| key.made > begun));
    stage.unplug(BOB).unwrap();
    stage.start(BOB).unwrap();
    say(&mut stage, BOB, "Alice", "written before the network is there");
    stage.plug(BOB).unwrap();
    assert_eq!(shown(&mut stage, ALICE, "Bob").len(), 3);
    assert_eq!(shown(&mut stage, BOB, "Alice").last().unwrap().1, "delivered");
}

#[test]
fn what_was_sealed_for_a_superseded_key_opens() {
    let mut stage = friends(true);
    stage.stop(BOB).unwrap();
    sleep(&mut stage, 25 * DAY);
    // The channel to Bob is too old by now, so this opens another one.
    say(&mut stage, ALICE, "Bob", "for the first key");
    stage.unplug(BOB).unwrap();
    stage.sleep(6 * DAY).unwrap();
    stage.start(BOB).unwrap();
    assert!(account(&mut stage, BOB).superseded.is_some());
    stage.plug(BOB).unwrap();
    assert_eq!(shown(&mut stage, BOB, "Alice"), [("for the first key".to_owned(), "received".to_owned())]);
}

/// The key under which Alice speaks to Bob.
fn sender_key(stage: &mut Stage) -> SenderKey {
    let [alice, bob] = [ALICE, BOB].map(|node| UserId::from_hex(&stage.id(node).unwrap().user).unwrap());
    let conversation = direct_conversation(&alice, &bob);
    stage.disk(ALICE).unwrap().transaction(|tx| tx.sender_key(&conversation)).unwrap().unwrap()
}

/// Whether Bob has the key to what comes next under it.
fn bob_can_open(stage: &mut Stage, key: &SenderKey) -> bool {
    let next = key.header_key.tag(u32::try_from(key.messages).unwrap());
    !stage.disk(BOB).unwrap().transaction(|tx| tx.sessions_by_tag(&next)).unwrap().is_empty()
}

#[test]
fn an_idle_chat_gets_a_new_key_and_the_old_one_dies() {
    let mut stage = friends(true);
    say(&mut stage, ALICE, "Bob", "one");
    let first = sender_key(&mut stage);
    say(&mut stage, ALICE, "Bob", "two");
    assert_eq!(sender_key(&mut stage).header_key, first.header_key);
    sleep(&mut stage, DIRECT_ROTATION_AGE);
    say(&mut stage, ALICE, "Bob", "three");
    let second = sender_key(&mut stage);
    assert!(second.header_key != first.header_key && bob_can_open(&mut stage, &second));
    // All that could be read with the newest key that Bob has is gone in time.
    sleep(&mut stage, RETENTION);
    assert!(!bob_can_open(&mut stage, &first) && !bob_can_open(&mut stage, &second));
    say(&mut stage, ALICE, "Bob", "four");
    let texts: Vec<String> = shown(&mut stage, BOB, "Alice").into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["one", "two", "three", "four"]);
}

/// Alice says something under a key that Bob has, and no relay takes it for so long; when one did, Bob is away.
fn comes_late(waits: Duration, away: Duration) {
    let mut stage = friends(true);
    say(&mut stage, ALICE, "Bob", "one");
    sleep(&mut stage, DIRECT_ROTATION_AGE - Duration::from_secs(3_600));
    stage.unplug(ALICE).unwrap();
    say(&mut stage, ALICE, "Bob", "late");
    sleep(&mut stage, waits);
    stage.stop(BOB).unwrap();
    stage.plug(ALICE).unwrap();
    assert_eq!(shown(&mut stage, ALICE, "Bob").pop().unwrap().1, "sent");
    stage.sleep(away).unwrap();
    // Nothing that Alice does when she hears of Bob: he must be able to read what waits for him.
    stage.unplug(ALICE).unwrap();
    stage.start(BOB).unwrap();
    stage.run(AWAKE).unwrap();
    assert_eq!(shown(&mut stage, BOB, "Alice").pop().unwrap().0, "late");
}

#[test]
fn what_was_sealed_long_before_a_relay_took_it_can_be_read() {
    comes_late(Duration::from_secs(47 * 3_600), ENVELOPE_TTL_MAX - Duration::from_secs(3_600));
    // When he is back, the key that he had is gone.
    comes_late(20 * DAY, ENVELOPE_TTL_MAX - Duration::from_secs(3_600));
    comes_late(RETENTION, ENVELOPE_TTL_MAX - Duration::from_secs(3_600));
}

fn is_message(frame: &Frame) -> bool {
    let Some(Body::Deliver(deliver)) = &frame.body else { return false };
    matches!(classify(&deliver.payload), Ok(PayloadKind::Message { .. }))
}

/// Also when the process ends in between: the relay was told that it is kept, and so may have dropped it. Nobody has to send it again: that would take longer.
#[test]
fn what_comes_before_its_key_is_kept_for_it() {
    let mut stage = friends(false);
    stage.hold(BOB);
    say(&mut stage, ALICE, "Bob", "first");
    let frames = stage.let_go();
    let messages: Vec<Frame> = frames.iter().filter(|frame| is_message(frame)).cloned().collect();
    assert!(messages.len() == 1 && frames.len() > 1);
    messages.into_iter().for_each(|frame| stage.give(BOB, frame).unwrap());
    assert_eq!(stage.texts(BOB, "Alice").unwrap(), [""; 0]);
    stage.stop(BOB).unwrap();
    stage.start(BOB).unwrap();
    assert_eq!(stage.texts(BOB, "Alice").unwrap(), ["first"]);
}
