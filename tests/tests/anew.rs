//! Users who start anew by their phrase, and stores that were copied, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, ContactView};
use undertone::engine::Origin;
use undertone::store::NodeStore;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;

const MINUTES: Duration = Duration::from_secs(180);

fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage.send(ALICE, "Bob", "before").unwrap();
    stage.send(BOB, "Alice", "before, too").unwrap();
    stage
}

/// A user's device is lost; by the phrase they start anew on another one.
fn starts_anew(stage: &mut Stage, lost: usize, name: &'static str) -> usize {
    let phrase = stage.phrase(lost).unwrap();
    stage.stop(lost).unwrap();
    stage.add(name, Origin::Phrase(phrase)).unwrap()
}

fn first_contact(stage: &mut Stage, node: usize) -> ContactView {
    stage.contacts(node).unwrap().into_iter().next().unwrap()
}

/// Of the other user's list, as a device knows it: its number, and how many devices are active.
fn known_list(stage: &mut Stage, node: usize) -> (u64, usize) {
    let found = stage.disk(node).unwrap().transaction(|tx| {
        let own = tx.account()?.unwrap().certificate.user;
        let contact = tx.contacts()?.into_iter().find(|contact| contact.user != own).unwrap();
        let list = contact.device_list.unwrap();
        Ok((list.number, list.active().count()))
    });
    found.unwrap()
}

#[test]
fn who_starts_anew_is_known_again_and_the_lost_device_is_revoked() {
    let mut stage = friends();
    let anew = starts_anew(&mut stage, ALICE, "Alice");
    assert_eq!(stage.id(anew).unwrap().user, first_contact(&mut stage, BOB).user);
    let link = stage.invite(BOB, 1).unwrap();
    let message = Some("it is me again".to_owned());
    stage.contact(anew, Command::ContactAdd { link, name: None, message }).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(known_list(&mut stage, BOB), (2, 1), "signed above the one that Bob had");
    let warning = first_contact(&mut stage, BOB).warning.unwrap();
    assert!(warning.contains("re-installed"), "{warning}");
    stage.send(BOB, "Alice", "good to have you back").unwrap();
    stage.send(anew, "Bob", "all is lost, but you").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(
        stage.said(BOB, "Alice").unwrap(),
        ["before", "before, too", "it is me again", "good to have you back", "all is lost, but you"]
    );
    assert_eq!(
        stage.said(anew, "Bob").unwrap(),
        ["it is me again", "good to have you back", "all is lost, but you"]
    );
    // The lost device comes back: it is out.
    stage.start(ALICE).unwrap();
    stage.run(MINUTES).unwrap();
    let sent = Command::Send { name: "Bob".to_owned(), text: "from the thief".to_owned() };
    drop(stage.ask(ALICE, sent).unwrap());
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(BOB, "Alice").unwrap().len(), 5);
    stage.ask(BOB, Command::ContactVerify { name: "Alice".to_owned(), confirm: true }).unwrap().unwrap();
    assert_eq!(first_contact(&mut stage, BOB).warning, None);
}

#[test]
fn two_who_both_start_anew_find_each_other() {
    let mut stage = friends();
    let alice = starts_anew(&mut stage, ALICE, "Alice");
    let bob = starts_anew(&mut stage, BOB, "Bob");
    stage.meet(bob, alice).unwrap();
    stage.send(alice, "Bob", "here again").unwrap();
    stage.send(bob, "Alice", "me, too").unwrap();
    stage.run(MINUTES).unwrap();
    for (node, name) in [(alice, "Bob"), (bob, "Alice")] {
        assert_eq!(stage.said(node, name).unwrap(), ["here again", "me, too"]);
        assert_eq!(first_contact(&mut stage, node).warning, None);
    }
}

#[test]
fn who_starts_anew_is_signed_above_all_that_contacts_know() {
    let mut stage = friends();
    let carol = stage.add("Carol", Origin::New).unwrap();
    stage.meet(ALICE, carol).unwrap();
    // Alice had a phone, so that her list has another number.
    let phone = stage.add("phone", Origin::Link).unwrap();
    stage.link(ALICE, phone).unwrap();
    stage.run(MINUTES).unwrap();
    stage.stop(phone).unwrap();
    let anew = starts_anew(&mut stage, ALICE, "Alice");
    for friend in [BOB, carol] {
        let link = stage.invite(friend, 1).unwrap();
        stage.contact(anew, Command::ContactAdd { link, name: None, message: None }).unwrap();
        stage.run(MINUTES).unwrap();
    }
    assert_eq!(known_list(&mut stage, BOB), (3, 1));
    assert_eq!(known_list(&mut stage, carol), (3, 1));
    let devices = stage.devices(anew).unwrap();
    let shown: Vec<_> = devices.iter().map(|one| (one.name.as_str(), one.state.as_str())).collect();
    assert_eq!(shown, [("desktop", "revoked"), ("phone", "revoked"), ("desktop", "active")]);
}

#[test]
fn a_copied_store_forks_and_everybody_sees_it() {
    let mut stage = friends();
    let phone = stage.add("phone", Origin::Link).unwrap();
    stage.link(ALICE, phone).unwrap();
    stage.run(MINUTES).unwrap();
    // A copy of Bob's store runs elsewhere.
    let copy = stage.add("copy", Origin::New).unwrap();
    stage.stop(BOB).unwrap();
    stage.stop(copy).unwrap();
    stage.copy_disk(BOB, copy).unwrap();
    stage.stop(phone).unwrap();
    stage.start(copy).unwrap();
    stage.send(copy, "Alice", "written by the copy").unwrap();
    stage.stop(copy).unwrap();
    // The relay would tell Bob's device of it.
    stage.relay_forgets().unwrap();
    stage.start(BOB).unwrap();
    stage.send(BOB, "Alice", "written by Bob").unwrap();
    stage.start(phone).unwrap();
    stage.run(MINUTES).unwrap();
    // What the copy used up of Bob's keys is healed as they go on talking; then the proof comes.
    stage.send(ALICE, "Bob", "are you there?").unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, phone] {
        let counts = ["before", "before, too", "are you there?"];
        assert_eq!(stage.said(node, "Bob").unwrap(), counts, "at {node}");
        let warning = first_contact(&mut stage, node).warning.unwrap_or_default();
        assert!(warning.contains("copied store"), "at {node}: {warning}");
    }
    let warning = stage.status(BOB).unwrap().warning.unwrap();
    assert!(warning.contains("copy of this device"), "{warning}");
}
