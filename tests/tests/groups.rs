//! Groups, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::Command;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const MINUTES: Duration = Duration::from_secs(180);

/// Alice knows Bob and Carol, who don't know each other; she made a group of all three.
fn three() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage.meet(ALICE, CAROL).unwrap();
    let members = vec!["Bob".to_owned(), "Carol".to_owned()];
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    stage.run(MINUTES).unwrap();
    stage
}

fn everywhere_said(stage: &mut Stage, nodes: &[usize], expected: &[&str]) {
    for node in nodes {
        assert_eq!(stage.said(*node, "Club").unwrap(), expected, "at {node}");
    }
}

#[test]
fn all_members_see_the_group_and_read_what_each_writes() {
    let mut stage = three();
    for node in [ALICE, BOB, CAROL] {
        assert_eq!(
            stage.members(node, "Club").unwrap(),
            ["Alice owner", "Bob member", "Carol member"],
            "at {node}"
        );
    }
    stage.send(ALICE, "Club", "welcome").unwrap();
    stage.send(BOB, "Club", "hello from Bob").unwrap();
    stage.send(CAROL, "Club", "hello from Carol").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB, CAROL], &["welcome", "hello from Bob", "hello from Carol"]);
}

#[test]
fn a_message_is_delivered_when_all_have_it_and_read_when_all_read_it() {
    let mut stage = three();
    stage.unplug(CAROL).unwrap();
    stage.send(ALICE, "Club", "are you there").unwrap();
    stage.run(MINUTES).unwrap();
    let state = |stage: &mut Stage| stage.history(ALICE, "Club").unwrap().pop().unwrap().state;
    assert_eq!(state(&mut stage), "sent");
    stage.plug(CAROL).unwrap();
    assert_eq!(state(&mut stage), "delivered");
    stage.ask(BOB, Command::Read { name: "Club".to_owned() }).unwrap().unwrap();
    assert_eq!(state(&mut stage), "delivered");
    stage.ask(CAROL, Command::Read { name: "Club".to_owned() }).unwrap().unwrap();
    assert_eq!(state(&mut stage), "read");
}
