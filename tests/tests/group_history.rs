//! What new members of groups see of before, and those who come back, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, CountView, GroupChange, HistoryItem, Response};
use undertone::store::{Delivery, Failure, Member, NodeStore, Purpose, SenderKey};
use undertone_protocol::ids::{ConversationId, EntryId, UserId};
use undertone_protocol::limits::{DRAINED_AFTER, LOST_AFTER_DAYS};
use undertone_protocol::receipts::Denial;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;
const MINUTES: Duration = Duration::from_secs(180);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Alice knows everybody; she made a group with Bob and Dave, that shows its history or not.
fn club(history: bool) -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol", "Dave"], false).unwrap();
    [BOB, CAROL, DAVE].into_iter().for_each(|who| stage.meet(ALICE, who).unwrap());
    let members = ["Bob", "Dave"].map(ToOwned::to_owned).to_vec();
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    let change = GroupChange { history: Some(history), ..GroupChange::default() };
    stage.group(ALICE, Command::GroupSet { group: "Club".to_owned(), change }).unwrap();
    stage.run(MINUTES).unwrap();
    stage
}

fn add(stage: &mut Stage, who: &str) {
    let (group, members) = ("Club".to_owned(), vec![who.to_owned()]);
    stage.group(ALICE, Command::GroupAdd { group, members, role: "member".to_owned() }).unwrap();
}

fn say(stage: &mut Stage, node: usize, text: &str) {
    stage.send(node, "Club", text).unwrap();
    stage.run(Duration::from_secs(60)).unwrap();
}

/// On so many days all devices are there for a while.
fn days(stage: &mut Stage, days: u32) {
    for _ in 0..days {
        stage.sleep(DAY).unwrap();
        stage.run(2 * DRAINED_AFTER + Duration::from_secs(60)).unwrap();
    }
}

/// What somebody sees of what was said; "lost" stands for what is lost.
fn whole(stage: &mut Stage, node: usize) -> Vec<String> {
    let items = stage.history_whole(node, "Club").unwrap().into_iter();
    let shown = items.map(|item| match item {
        HistoryItem::Message(view) => view.text,
        HistoryItem::Lost(_) => "lost".to_owned(),
    });
    shown.filter(|text| !text.starts_with('(')).collect()
}

/// Two said something a month ago, and one of them again yesterday; somebody who is out by now did as well.
fn with_a_past(history: bool) -> Stage {
    let mut stage = club(history);
    say(&mut stage, ALICE, "old, of Alice");
    say(&mut stage, BOB, "old, of Bob");
    say(&mut stage, DAVE, "old, of Dave");
    let group = "Club".to_owned();
    stage.group(ALICE, Command::GroupRemove { group, member: "Dave".to_owned() }).unwrap();
    days(&mut stage, 25);
    say(&mut stage, BOB, "new, of Bob");
    stage
}

const ALL: [&str; 4] = ["old, of Alice", "old, of Bob", "old, of Dave", "new, of Bob"];

#[test]
fn who_comes_to_a_group_that_shows_its_history_gets_all_of_it() {
    let mut stage = with_a_past(true);
    add(&mut stage, "Carol");
    stage.run(MINUTES).unwrap();
    assert_eq!(whole(&mut stage, CAROL), ALL);
    say(&mut stage, BOB, "welcome");
    assert_eq!(whole(&mut stage, CAROL).last().map(String::as_str), Some("welcome"));
    // Nothing goes on and on.
    days(&mut stage, 2);
    stage.events(CAROL);
    let before = stage.relay_bytes().unwrap();
    say(&mut stage, CAROL, "thank you");
    stage.run(10 * MINUTES).unwrap();
    assert!(stage.relay_bytes().unwrap() < before + 64 * 1024, "{before}");
}

#[test]
fn what_whoever_added_somebody_does_not_hand_over_others_do() {
    let mut stage = with_a_past(true);
    stage.unplug(CAROL).unwrap();
    add(&mut stage, "Carol");
    stage.run(MINUTES).unwrap();
    // Alice is away when Carol comes, and stays so.
    stage.unplug(ALICE).unwrap();
    stage.plug(CAROL).unwrap();
    stage.run(MINUTES).unwrap();
    say(&mut stage, BOB, "welcome");
    days(&mut stage, 3);
    let seen = whole(&mut stage, CAROL);
    assert_eq!(seen[..4], ALL, "{seen:?}");
}

fn shows_history(stage: &mut Stage, history: bool) {
    let change = GroupChange { history: Some(history), ..GroupChange::default() };
    stage.group(ALICE, Command::GroupSet { group: "Club".to_owned(), change }).unwrap();
}

fn key_of(stage: &mut Stage, node: usize) -> SenderKey {
    let group = ConversationId::from_hex(&stage.show_group(node, "Club").unwrap().group).unwrap();
    stage.disk(node).unwrap().transaction(|tx| tx.sender_key(&group)).unwrap().unwrap()
}

/// Or its author would seal it for nobody each time they say something, under a new key for all.
#[test]
fn what_is_not_shown_any_more_is_not_sealed_again_for_who_came_while_it_was() {
    let mut stage = club(true);
    say(&mut stage, BOB, "old, of Bob");
    [BOB, CAROL].into_iter().for_each(|who| stage.unplug(who).unwrap());
    add(&mut stage, "Carol");
    shows_history(&mut stage, false);
    stage.run(MINUTES).unwrap();
    [BOB, CAROL].into_iter().for_each(|who| stage.plug(who).unwrap());
    stage.run(MINUTES).unwrap();
    say(&mut stage, CAROL, "hello");
    stage.run(10 * MINUTES).unwrap();
    assert_eq!(whole(&mut stage, CAROL), ["hello"]);
    let key = key_of(&mut stage, BOB);
    for text in ["anybody?", "well"] {
        say(&mut stage, CAROL, text);
        stage.run(20 * MINUTES).unwrap();
    }
    assert_eq!(key_of(&mut stage, BOB).header_key, key.header_key);
}

#[test]
fn who_comes_to_a_group_that_hides_its_history_misses_nothing() {
    let mut stage = with_a_past(false);
    add(&mut stage, "Carol");
    stage.run(MINUTES).unwrap();
    say(&mut stage, BOB, "one");
    say(&mut stage, ALICE, "two");
    days(&mut stage, LOST_AFTER_DAYS + 2);
    assert_eq!(whole(&mut stage, CAROL), ["one", "two"]);
}

/// Bob is out for a while.
fn bob_is_back(history: bool) -> Stage {
    let mut stage = club(history);
    say(&mut stage, DAVE, "before");
    say(&mut stage, ALICE, "before, of Alice");
    let group = "Club".to_owned();
    stage.group(ALICE, Command::GroupRemove { group, member: "Bob".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    say(&mut stage, DAVE, "meanwhile");
    say(&mut stage, ALICE, "meanwhile, of Alice");
    add(&mut stage, "Bob");
    stage.run(MINUTES).unwrap();
    say(&mut stage, DAVE, "after");
    say(&mut stage, ALICE, "after, of Alice");
    stage
}

#[test]
fn who_comes_back_lost_nothing_of_what_was_not_for_them() {
    let mut stage = bob_is_back(false);
    days(&mut stage, LOST_AFTER_DAYS + 2);
    let expected = ["before", "before, of Alice", "after", "after, of Alice"];
    assert_eq!(whole(&mut stage, BOB), expected);
    say(&mut stage, DAVE, "on we go");
    assert_eq!(whole(&mut stage, BOB).last().map(String::as_str), Some("on we go"));
}

#[test]
fn who_comes_back_to_a_group_that_shows_its_history_gets_what_they_missed() {
    let mut stage = bob_is_back(true);
    days(&mut stage, LOST_AFTER_DAYS + 2);
    let expected =
        ["before", "before, of Alice", "meanwhile", "meanwhile, of Alice", "after", "after, of Alice"];
    assert_eq!(whole(&mut stage, BOB), expected);
}

fn change(stage: &mut Stage, node: usize, command: Command) {
    stage.ask(node, command).unwrap().unwrap();
    stage.run(Duration::from_secs(60)).unwrap();
}

/// Nobody has any more what was deleted, nor what it was changed to: that it was is enough.
#[test]
fn who_comes_misses_nothing_that_was_deleted() {
    let mut stage = club(true);
    say(&mut stage, ALICE, "one");
    let sent = stage.send(BOB, "Club", "a secret").unwrap();
    let (name, message): (_, String) = ("Club".to_owned(), sent.id.chars().take(10).collect());
    let text = "the secret".to_owned();
    change(&mut stage, BOB, Command::Edit { name: name.clone(), message: message.clone(), text });
    change(&mut stage, BOB, Command::Delete { name, message, for_me: false });
    say(&mut stage, BOB, "two");
    days(&mut stage, 2);
    add(&mut stage, "Carol");
    stage.run(MINUTES).unwrap();
    assert_eq!(whole(&mut stage, CAROL), ["one", "", "two"]);
    days(&mut stage, LOST_AFTER_DAYS + 2);
    assert_eq!(whole(&mut stage, CAROL), ["one", "", "two"]);
}

/// Alice keeps what she says next from Bob, and tells him that for him she begins behind it.
fn alice_hides(stage: &mut Stage, text: &str) {
    let group = ConversationId::from_hex(&stage.show_group(ALICE, "Club").unwrap().group).unwrap();
    let bob = UserId::from_hex(&stage.id(BOB).unwrap().user).unwrap();
    stage.unplug(ALICE).unwrap();
    let sent = EntryId::from_hex(&stage.send(ALICE, "Club", text).unwrap().id).unwrap();
    stage.stop(ALICE).unwrap();
    let hide = stage.disk(ALICE).unwrap().transaction(|tx| {
        for purpose in [Purpose::Entry(sent), Purpose::Key(sent)] {
            for item in tx.outbox_of(&purpose)? {
                tx.delete_outbox(item.id)?;
            }
        }
        let delivery = tx.delivery(&sent)?.unwrap();
        tx.put_delivery(&Delivery { failed: Some(Failure::Denied(Denial::Revoked)), ..delivery.clone() })?;
        let member = tx.member(&group, &bob)?.unwrap();
        tx.put_member(&Member { from_seq: delivery.seq + 1, ..member })?;
        let key = tx.sender_key(&group)?.unwrap();
        tx.put_sender_key(&SenderKey { turned: true, ..key })
    });
    hide.unwrap();
    stage.start(ALICE).unwrap();
    stage.plug(ALICE).unwrap();
}

/// Who was in all the time is told of what they miss, whatever its author says.
#[test]
fn an_author_hides_nothing_by_saying_that_they_begin_later() {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    let members = vec!["Bob".to_owned()];
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    say(&mut stage, ALICE, "one");
    alice_hides(&mut stage, "not for Bob");
    say(&mut stage, ALICE, "two");
    stage.stop(ALICE).unwrap();
    days(&mut stage, LOST_AFTER_DAYS + 2);
    assert_eq!(whole(&mut stage, BOB), ["one", "lost", "two"]);
}

/// How far the first text is that an own device sees.
fn state(stage: &mut Stage, node: usize, text: &str) -> String {
    let mut shown = stage.history(node, "Club").unwrap().into_iter();
    shown.find(|view| view.text == text).unwrap().state
}

/// It was not for them, so nobody waits for them.
#[test]
fn who_comes_later_takes_no_tick_back_on_the_authors_other_devices() {
    let mut stage = club(false);
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    say(&mut stage, ALICE, "one");
    stage.run(MINUTES).unwrap();
    assert_eq!(state(&mut stage, phone, "one"), "delivered");
    add(&mut stage, "Carol");
    stage.run(MINUTES).unwrap();
    assert_eq!(state(&mut stage, ALICE, "one"), "delivered");
    assert_eq!(state(&mut stage, phone, "one"), "delivered");
}

#[test]
fn what_was_before_somebody_came_counts_not_as_read_by_them() {
    let mut stage = club(false);
    (0..20).for_each(|n| say(&mut stage, BOB, &format!("{n}")));
    add(&mut stage, "Carol");
    stage.run(MINUTES).unwrap();
    say(&mut stage, BOB, "welcome");
    let read = stage.ask(CAROL, Command::Read { name: "Club".to_owned() }).unwrap().unwrap();
    // That she was added, and this.
    assert!(matches!(read, Response::Count(CountView { messages: 2, .. })), "{read:?}");
}

fn remove(stage: &mut Stage, by: usize, who: &str) {
    let (group, member) = ("Club".to_owned(), who.to_owned());
    stage.group(by, Command::GroupRemove { group, member }).unwrap();
    stage.run(MINUTES).unwrap();
}

fn make_admin(stage: &mut Stage, who: &str) {
    let (group, member, role) = ("Club".to_owned(), who.to_owned(), "admin".to_owned());
    stage.group(ALICE, Command::GroupRole { group, member, role }).unwrap();
    stage.run(MINUTES).unwrap();
}

/// Of what was before, the new admin holds nothing: a cut that named nothing would take it from all.
#[test]
fn whom_an_admin_removes_who_came_later_did_not_write_in_vain() {
    let mut stage = club(false);
    say(&mut stage, DAVE, "said before");
    stage.unplug(DAVE).unwrap();
    add(&mut stage, "Carol");
    stage.run(MINUTES).unwrap();
    make_admin(&mut stage, "Carol");
    // He did not say yet what he is called.
    let dave = stage.id(DAVE).unwrap().user;
    remove(&mut stage, CAROL, &dave[..8]);
    stage.plug(DAVE).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, DAVE] {
        assert_eq!(stage.said(node, "Club").unwrap(), ["said before"], "at {node}");
    }
}

/// What they hold is older than what they missed.
#[test]
fn whom_an_admin_removes_who_was_out_for_a_while_did_not_write_in_vain() {
    let mut stage = club(false);
    say(&mut stage, DAVE, "with Bob");
    remove(&mut stage, ALICE, "Bob");
    say(&mut stage, DAVE, "without Bob");
    stage.unplug(DAVE).unwrap();
    add(&mut stage, "Bob");
    stage.run(MINUTES).unwrap();
    make_admin(&mut stage, "Bob");
    remove(&mut stage, BOB, "Dave");
    assert_eq!(stage.said(ALICE, "Club").unwrap(), ["with Bob", "without Bob"]);
}
