//! What new members of groups see of before, and those who come back, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, CountView, GroupChange, HistoryItem, Response};
use undertone_protocol::limits::{DRAINED_AFTER, LOST_AFTER_DAYS};
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
