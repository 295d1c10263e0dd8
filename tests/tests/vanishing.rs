//! Messages that vanish when their time is over, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, GroupChange, HistoryItem};
use undertone::event::Event;
use undertone::store::NodeStore;
use undertone_protocol::entry::Content;
use undertone_protocol::ids::ConversationId;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Alice knows Bob and Carol; in her group of all three messages vanish after an hour from the second one on.
fn club() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage.meet(ALICE, CAROL).unwrap();
    let members = ["Bob", "Carol"].map(ToOwned::to_owned).to_vec();
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    stage.run(3 * MINUTE).unwrap();
    stage.send(BOB, "Club", "before").unwrap();
    set_timer(&mut stage, 3_600);
    stage
}

fn set_timer(stage: &mut Stage, timer_s: u64) {
    let change = GroupChange { timer_s: Some(timer_s), ..GroupChange::default() };
    let view = stage.group(ALICE, Command::GroupSet { group: "Club".to_owned(), change }).unwrap();
    assert_eq!(view.settings.timer_s, timer_s);
    stage.run(3 * MINUTE).unwrap();
}

/// How many entries of the club a device holds that say nothing any more.
fn gone(stage: &mut Stage, node: usize) -> usize {
    let group = ConversationId::from_hex(&stage.show_group(node, "Club").unwrap().group).unwrap();
    let held = stage.disk(node).unwrap().transaction(|tx| {
        assert!(tx.gaps(&group)?.is_empty(), "at {node}");
        tx.history(&group, None, 1_000)
    });
    held.unwrap().into_iter().filter(|held| held.entry.body.content == Content::Gone).count()
}

fn everywhere(stage: &mut Stage, nodes: &[usize], said: &[&str], gone_everywhere: usize) {
    for node in nodes {
        assert_eq!(stage.said(*node, "Club").unwrap(), said, "at {node}");
        assert_eq!(gone(stage, *node), gone_everywhere, "at {node}");
    }
}

#[test]
fn what_is_written_with_a_timer_vanishes_everywhere_when_it_has_run() {
    let mut stage = club();
    let notices = stage.texts(CAROL, "Club").unwrap();
    assert!(notices.iter().any(|text| text.contains("vanish after 1 hour")), "{notices:?}");
    let sent = stage.send(BOB, "Club", "soon gone").unwrap();
    let message: String = sent.id.chars().take(10).collect();
    let edit = Command::Edit { name: "Club".to_owned(), message, text: "soon gone, too".to_owned() };
    stage.ask(BOB, edit).unwrap().unwrap();
    stage.run(50 * MINUTE).unwrap();
    everywhere(&mut stage, &[ALICE, BOB, CAROL], &["before", "soon gone, too"], 0);
    [ALICE, BOB, CAROL].into_iter().for_each(|node| drop(stage.events(node)));
    stage.run(11 * MINUTE).unwrap();
    // The text and what it was changed to.
    everywhere(&mut stage, &[ALICE, BOB, CAROL], &["before"], 2);
    for node in [ALICE, BOB, CAROL] {
        let told = stage.events(node).into_iter().any(|event| event == Event::Hidden { id: sent.id.clone() });
        assert!(told, "at {node}");
    }
    // Whoever takes it off again writes what stays.
    set_timer(&mut stage, 0);
    stage.send(CAROL, "Club", "stays").unwrap();
    stage.run(2 * HOUR).unwrap();
    everywhere(&mut stage, &[ALICE, BOB, CAROL], &["before", "stays"], 2);
}

#[test]
fn it_vanishes_where_a_device_was_off_or_away_meanwhile() {
    let mut stage = club();
    stage.unplug(CAROL).unwrap();
    stage.send(BOB, "Club", "for an hour").unwrap();
    stage.stop(ALICE).unwrap();
    stage.sleep(2 * HOUR).unwrap();
    stage.start(ALICE).unwrap();
    stage.plug(CAROL).unwrap();
    stage.run(10 * MINUTE).unwrap();
    everywhere(&mut stage, &[ALICE, BOB, CAROL], &["before"], 1);
    let told = stage.events(CAROL);
    let is_it = |event: &Event| matches!(event, Event::Message { message } if message.text == "for an hour");
    assert!(!told.iter().any(is_it), "{told:?}");
}

/// What vanished is no gap to whoever comes later, or lacked it.
#[test]
fn a_new_device_takes_the_place_of_what_vanished() {
    let mut stage = club();
    stage.send(BOB, "Club", "for an hour").unwrap();
    stage.send(ALICE, "Club", "another").unwrap();
    stage.run(2 * HOUR).unwrap();
    set_timer(&mut stage, 0);
    stage.send(BOB, "Club", "stays").unwrap();
    stage.send(ALICE, "Club", "stays, too").unwrap();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    stage.run(10 * MINUTE).unwrap();
    everywhere(&mut stage, &[ALICE, phone], &["before", "stays", "stays, too"], 2);
    let lost = stage.history_whole(phone, "Club").unwrap().into_iter();
    assert_eq!(lost.filter(|item| matches!(item, HistoryItem::Lost(_))).count(), 0);
}
