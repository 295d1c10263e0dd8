//! A node and a relay that refuses, or lets go, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::Command;
use undertone::engine::Origin;
use undertone::event::Event;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_registration_that_was_refused_is_asked_again() {
    let mut stage = Stage::new(&["Alice"], false).unwrap();
    stage.relay_registers(1).unwrap();
    stage.add("Bob", Origin::New).unwrap();
    let carol = stage.add("Carol", Origin::New).unwrap();
    let relay = stage.status(carol).unwrap().relays.pop().unwrap();
    assert!(relay.connected);
    assert!(relay.problem.unwrap().contains("the relay refused"));
    stage.run(2 * MINUTE).unwrap();
    // All that a mailbox is for works, without another connection.
    let relay = stage.status(carol).unwrap().relays.pop().unwrap();
    assert_eq!(relay.problem, None);
    assert!(!stage.events(carol).iter().any(|event| matches!(event, Event::RelayDown { .. })));
    stage.meet(carol, ALICE).unwrap();
    assert_eq!(stage.send(ALICE, "Carol", "there you are").unwrap().state, "delivered");
}

#[test]
fn a_link_that_no_relay_knows_says_why() {
    let mut stage = Stage::new(&["Alice"], false).unwrap();
    stage.relay_registers(1).unwrap();
    stage.add("Bob", Origin::New).unwrap();
    let carol = stage.add("Carol", Origin::New).unwrap();
    let invite = Command::Invite { uses: 1, life: MINUTE };
    let answer = format!("{:?}", stage.ask(carol, invite).unwrap().unwrap());
    assert!(answer.contains("ready: false") && answer.contains("the relay refused"), "{answer}");
}

#[test]
fn two_that_use_one_device_do_not_fight_for_its_place() {
    let mut stage = Stage::new(&["Alice"], false).unwrap();
    let copy = stage.add("copy", Origin::New).unwrap();
    stage.stop(copy).unwrap();
    stage.copy_disk(ALICE, copy).unwrap();
    stage.start(copy).unwrap();
    stage.events(ALICE);
    stage.run(10 * MINUTE).unwrap();
    let events = stage.events(ALICE);
    let superseded =
        |event: &&Event| matches!(event, Event::RelayDown { reason, .. } if reason.contains("superseded"));
    let times = events.iter().filter(superseded).count();
    assert!((1..=10).contains(&times), "{times} times in ten minutes");
}

#[test]
fn a_device_that_is_added_out_of_reach_waits() {
    let mut stage = Stage::new(&["Alice"], false).unwrap();
    let phone = stage.add("phone", Origin::Link).unwrap();
    let code = stage.code(phone).unwrap();
    stage.unplug(ALICE).unwrap();
    stage.ask(ALICE, Command::DeviceAdd { code }).unwrap().unwrap();
    let states = |stage: &mut Stage| {
        let devices = stage.devices(ALICE).unwrap().into_iter();
        devices.map(|device| device.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&mut stage), ["active", "waiting"]);
    stage.plug(ALICE).unwrap();
    assert_eq!(states(&mut stage), ["active", "active"]);
}

/// Two of one name ask two devices of one user, which can't tell each other before. Gives what the devices call them.
fn two_bobs(first: usize, second: usize) -> Vec<Vec<(String, String)>> {
    let mut stage = Stage::new(&["Alice", "Bob", "bob"], false).unwrap();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    let links = [stage.invite(ALICE, 1).unwrap(), stage.invite(phone, 1).unwrap()];
    stage.unplug(ALICE).unwrap();
    stage.unplug(phone).unwrap();
    for (bob, link) in [first, second].into_iter().zip(links) {
        stage.contact(bob, Command::ContactAdd { link, name: None, message: None }).unwrap();
    }
    stage.plug(ALICE).unwrap();
    stage.plug(phone).unwrap();
    stage.run(10 * MINUTE).unwrap();
    let mut called = |node: usize| {
        let contacts = stage.contacts(node).unwrap().into_iter();
        let mut called: Vec<_> = contacts.map(|contact| (contact.user, contact.name)).collect();
        called.sort();
        called
    };
    vec![called(ALICE), called(phone)]
}

#[test]
fn two_of_one_name_are_called_the_same_on_all_devices() {
    for (first, second) in [(1, 2), (2, 1)] {
        let called = two_bobs(first, second);
        assert_eq!(called[0], called[1]);
        let names: Vec<_> = called[0].iter().map(|(_, name)| name.to_lowercase()).collect();
        assert_eq!(names.len(), 2);
        assert_eq!(names[0], "bob");
        assert!(names[1].starts_with("bob-"), "{names:?}");
    }
}
