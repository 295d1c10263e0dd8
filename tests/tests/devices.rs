//! Several devices of one user, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, ErrorKind, Response};
use undertone::engine::Origin;
use undertone::event::Event;
use undertone::store::NodeStore;
use undertone_protocol::ids::Handle;
use undertone_protocol::keys::DeviceCode;
use undertone_tests::simulation::Stage;

const DESKTOP: usize = 0;
const BOB: usize = 1;
const PHONE: usize = 2;

const MINUTES: Duration = Duration::from_secs(180);

/// Alice at her desktop and Bob, who wrote to each other.
fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(DESKTOP, BOB).unwrap();
    for n in 0..3 {
        stage.send(DESKTOP, "Bob", &format!("question {n}")).unwrap();
        stage.send(BOB, "Alice", &format!("answer {n}")).unwrap();
    }
    stage
}

/// The same, after Alice added her phone.
fn with_phone() -> Stage {
    let mut stage = friends();
    assert_eq!(stage.add_linked(DESKTOP, "phone").unwrap(), PHONE);
    stage
}

fn states(stage: &mut Stage, node: usize, name: &str) -> Vec<String> {
    stage.history(node, name).unwrap().into_iter().filter(|view| view.mine).map(|view| view.state).collect()
}

#[test]
fn a_new_device_becomes_the_users_and_gets_contacts_and_history() {
    let mut stage = with_phone();
    let (desktop, phone) = (stage.id(DESKTOP).unwrap(), stage.id(PHONE).unwrap());
    assert_eq!((phone.user, phone.name), (desktop.user, desktop.name));
    for node in [DESKTOP, PHONE] {
        let devices = stage.devices(node).unwrap();
        let shown: Vec<_> = devices.iter().map(|one| (one.name.as_str(), one.state.as_str())).collect();
        assert_eq!(shown, [("desktop", "active"), ("phone", "active")], "at {node}");
    }
    let contacts = stage.contacts(PHONE).unwrap();
    assert_eq!(
        contacts.iter().map(|one| (&*one.name, &*one.state)).collect::<Vec<_>>(),
        [("Bob", "accepted")]
    );
    assert_eq!(stage.texts(PHONE, "Bob").unwrap(), stage.texts(DESKTOP, "Bob").unwrap());
    assert_eq!(stage.said(PHONE, "Bob").unwrap().len(), 6);
    // Bob sees that Alice has another device.
    let notice = stage.texts(BOB, "Alice").unwrap().pop().unwrap();
    assert!(notice.contains("desktop, phone"), "{notice}");
}

#[test]
fn a_code_serves_until_its_device_has_spoken() {
    let mut stage = friends();
    let phone = stage.add("phone", Origin::Link).unwrap();
    let code = stage.code(phone).unwrap();
    let grant = DeviceCode::parse(&code).unwrap().grants.remove(0);
    let add = Command::DeviceAdd { code };
    stage.ask(DESKTOP, add.clone()).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    let revoked = stage.disk(phone).unwrap().transaction(|tx| {
        let handles: Vec<Handle> = grant.token.path().iter().map(|step| step.handle).collect();
        tx.is_revoked(&grant.mailbox.relay.relay, &handles)
    });
    assert!(revoked.unwrap(), "whoever saw the code may deliver by it");
    // Once more it changes nothing: the phone is reached as it said itself.
    let Response::Device(again) = stage.ask(DESKTOP, add).unwrap().unwrap() else { panic!("no device") };
    assert_eq!(again.state, "active");
    stage.send(DESKTOP, "Bob", "still there").unwrap();
    stage.run(Duration::from_secs(5)).unwrap();
    assert_eq!(stage.said(phone, "Bob").unwrap().last().map(String::as_str), Some("still there"));
}

#[test]
fn who_adds_a_device_of_somebody_else_is_told_that_it_was_refused() {
    let mut stage = friends();
    let phone = stage.add("phone", Origin::Link).unwrap();
    let code = stage.code(phone).unwrap();
    stage.ask(DESKTOP, Command::DeviceAdd { code: code.clone() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    let refused = stage.refusal(BOB, Command::DeviceAdd { code }).unwrap();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused:?}");
    assert!(refused.message.contains("undertone device link"), "{refused:?}");
    let (alice, at_phone) = (stage.id(DESKTOP).unwrap(), stage.id(phone).unwrap());
    assert_eq!(at_phone.user, alice.user);
}

#[test]
fn no_two_devices_have_one_name() {
    let mut stage = friends();
    let other = stage.add("Desktop", Origin::Link).unwrap();
    let code = stage.code(other).unwrap();
    let refused = stage.refusal(DESKTOP, Command::DeviceAdd { code }).unwrap();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused:?}");
}

#[test]
fn each_device_gets_what_the_other_side_and_the_other_device_write() {
    let mut stage = with_phone();
    stage.send(BOB, "Alice", "to both").unwrap();
    stage.send(PHONE, "Bob", "from the phone").unwrap();
    stage.send(DESKTOP, "Bob", "from the desktop").unwrap();
    // Each message came to each device sealed for it: what has to be asked for comes half a minute later.
    stage.run(Duration::from_secs(5)).unwrap();
    let at_bob = stage.texts(BOB, "Alice").unwrap();
    assert_eq!(at_bob[at_bob.len() - 3..], ["to both", "from the phone", "from the desktop"]);
    for node in [DESKTOP, PHONE] {
        assert_eq!(stage.texts(node, "Bob").unwrap(), at_bob, "at {node}");
    }
    for (node, from) in [(PHONE, "from the desktop"), (DESKTOP, "from the phone")] {
        let view = stage.history(node, "Bob").unwrap().into_iter().find(|view| view.text == from).unwrap();
        assert!(view.mine && view.from == "Alice", "{view:?}");
        assert_eq!(view.state, "delivered");
    }
}

#[test]
fn what_another_device_wrote_is_sent_by_its_word() {
    let mut stage = with_phone();
    stage.stop(BOB).unwrap();
    stage.unplug(PHONE).unwrap();
    let waits = stage.send(PHONE, "Bob", "without a relay").unwrap().id;
    assert_eq!(states(&mut stage, PHONE, "Bob").last().unwrap(), "queued");
    stage.events(DESKTOP);
    stage.plug(PHONE).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [PHONE, DESKTOP] {
        assert_eq!(states(&mut stage, node, "Bob").last().unwrap(), "sent", "at {node}");
    }
    assert_eq!(ticks(&mut stage, DESKTOP, &waits), ["sent"]);
    stage.start(BOB).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(ticks(&mut stage, DESKTOP, &waits), ["delivered"]);
}

#[test]
fn a_device_whose_mailbox_is_full_holds_up_no_acknowledgement_of_the_others() {
    let mut stage = with_phone();
    stage.stop(PHONE).unwrap();
    stage.relay_holds_acknowledgements(1).unwrap();
    for n in 0..4 {
        stage.send(DESKTOP, "Bob", &format!("another question {n}")).unwrap();
        stage.run(Duration::from_secs(5)).unwrap();
        assert_eq!(states(&mut stage, DESKTOP, "Bob").last().unwrap(), "delivered", "question {n}");
    }
    // It gets the last one, though an earlier one waited for it.
    stage.start(PHONE).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(states(&mut stage, PHONE, "Bob"), states(&mut stage, DESKTOP, "Bob"));
}

#[test]
fn ticks_of_what_another_device_wrote_do_not_go_back() {
    let mut stage = with_phone();
    let bobs_phone = stage.add_linked(BOB, "phone").unwrap();
    stage.unplug(bobs_phone).unwrap();
    stage.events(DESKTOP);
    let sent = stage.send(PHONE, "Bob", "from the phone").unwrap().id;
    stage.ask(BOB, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    assert_eq!(ticks(&mut stage, DESKTOP, &sent).last().map(String::as_str), Some("read"));
    // What Bob has read comes to his other device too, and that is no news.
    stage.plug(bobs_phone).unwrap();
    assert_eq!(stage.said(bobs_phone, "Alice").unwrap().last().unwrap(), "from the phone");
    assert!(ticks(&mut stage, DESKTOP, &sent).is_empty());
}

/// What a device was newly told of how far a message has come.
fn ticks(stage: &mut Stage, node: usize, message: &str) -> Vec<String> {
    let told = stage.events(node).into_iter().filter_map(|event| match event {
        Event::Tick { id, state, .. } if id == message => Some(state),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_is_read_on_one_device_is_read_on_the_other_and_ticks_are_the_same() {
    let mut stage = with_phone();
    stage.send(BOB, "Alice", "read me").unwrap();
    stage.send(PHONE, "Bob", "from the phone").unwrap();
    stage.ask(PHONE, Command::Read { name: "Bob".to_owned() }).unwrap().unwrap();
    stage.ask(BOB, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    let state = |stage: &mut Stage, node, name, text: &str| {
        let history = stage.history(node, name).unwrap();
        history.into_iter().find(|view| view.text == text).unwrap().state
    };
    assert_eq!(state(&mut stage, DESKTOP, "Bob", "read me"), "read");
    assert_eq!(state(&mut stage, BOB, "Alice", "read me"), "read");
    for node in [DESKTOP, PHONE] {
        assert!(states(&mut stage, node, "Bob").iter().all(|state| state == "read"), "at {node}");
    }
}

#[test]
fn a_device_that_was_away_gets_what_it_missed() {
    let mut stage = with_phone();
    stage.stop(PHONE).unwrap();
    stage.send(BOB, "Alice", "while the phone sleeps").unwrap();
    stage.send(DESKTOP, "Bob", "it will hear of it").unwrap();
    stage.sleep(Duration::from_secs(3 * 24 * 3_600)).unwrap();
    stage.start(PHONE).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.texts(PHONE, "Bob").unwrap(), stage.texts(DESKTOP, "Bob").unwrap());
}

#[test]
fn what_a_device_that_is_away_lacks_is_not_sent_to_it_over_and_over() {
    let mut stage = with_phone();
    stage.stop(PHONE).unwrap();
    stage.send(BOB, "Alice", "while the phone sleeps").unwrap();
    stage.send(DESKTOP, "Bob", "it will hear of it").unwrap();
    stage.run(MINUTES).unwrap();
    let before = stage.relay_bytes().unwrap();
    stage.run(Duration::from_secs(24 * 3_600)).unwrap();
    let after = stage.relay_bytes().unwrap();
    assert!(after < 2 * before, "{before} bytes lay at the relay, and a day later {after}");
    stage.start(PHONE).unwrap();
    stage.run(Duration::from_secs(10)).unwrap();
    assert_eq!(stage.texts(PHONE, "Bob").unwrap(), stage.texts(DESKTOP, "Bob").unwrap());
}

#[test]
fn a_request_shows_on_all_devices_and_any_of_them_accepts() {
    let mut stage = with_phone();
    let carol = stage.add("Carol", Origin::New).unwrap();
    let link = stage.invite(DESKTOP, 1).unwrap();
    let message = Some("It is me".to_owned());
    stage.contact(carol, Command::ContactAdd { link, name: None, message }).unwrap();
    stage.run(MINUTES).unwrap();
    let at_phone = stage.contacts(PHONE).unwrap();
    assert!(at_phone.iter().any(|one| one.name == "Carol" && one.state == "requested"), "{at_phone:?}");
    stage.contact(PHONE, Command::ContactAccept { name: "Carol".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [DESKTOP, PHONE] {
        let contacts = stage.contacts(node).unwrap();
        assert!(contacts.iter().any(|one| one.name == "Carol" && one.state == "accepted"), "{contacts:?}");
    }
    stage.send(carol, "Alice", "hello, all of you").unwrap();
    stage.send(DESKTOP, "Carol", "hello from the desktop").unwrap();
    stage.run(MINUTES).unwrap();
    let texts = ["It is me", "hello, all of you", "hello from the desktop"];
    for (node, name) in [(carol, "Alice"), (DESKTOP, "Carol"), (PHONE, "Carol")] {
        assert_eq!(stage.said(node, name).unwrap(), texts, "at {node}");
    }
}

#[test]
fn somebody_blocked_on_one_device_is_blocked_on_the_other() {
    let mut stage = with_phone();
    stage.contact(PHONE, Command::ContactBlock { name: "Bob".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.contacts(DESKTOP).unwrap()[0].state, "blocked");
    let denied = stage.send(BOB, "Alice", "anybody there?").unwrap();
    assert!(denied.failed.unwrap().starts_with("denied"), "both of Alice's mailboxes refuse it");
    stage.contact(DESKTOP, Command::ContactUnblock { name: "Bob".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    stage.ask(BOB, Command::Retry { name: "Alice".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    for node in [DESKTOP, PHONE] {
        assert_eq!(stage.contacts(node).unwrap()[0].state, "accepted");
        assert_eq!(stage.said(node, "Bob").unwrap().pop().unwrap(), "anybody there?", "at {node}");
    }
}

#[test]
fn notes_to_oneself_are_on_all_devices() {
    let mut stage = with_phone();
    let note = stage.send(PHONE, "me", "buy milk").unwrap();
    assert_eq!(note.state, "read", "its only reader wrote it");
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(DESKTOP, "me").unwrap(), ["buy milk"]);
}

#[test]
fn the_order_does_not_depend_on_what_counts_no_more() {
    let mut stage = with_phone();
    stage.put_ahead(PHONE, Duration::from_secs(7_200)).unwrap();
    stage.unplug(DESKTOP).unwrap();
    // Bob has this and answers it, and the desktop revokes the phone without having seen either.
    stage.send(PHONE, "Bob", "from a lost phone").unwrap();
    stage.send(BOB, "Alice", "where are you?").unwrap();
    stage.ask(DESKTOP, Command::DeviceRevoke { name: "phone".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    stage.send(DESKTOP, "Bob", "the phone is lost").unwrap();
    stage.plug(DESKTOP).unwrap();
    stage.run(MINUTES).unwrap();
    let said_last = |stage: &mut Stage, node, name| stage.said(node, name).unwrap().split_off(6);
    assert_eq!(said_last(&mut stage, DESKTOP, "Bob"), ["where are you?", "the phone is lost"]);
    assert_eq!(said_last(&mut stage, BOB, "Alice"), ["where are you?", "the phone is lost"]);
}

#[test]
fn three_devices_know_each_other() {
    let mut stage = with_phone();
    let tablet = stage.add_linked(DESKTOP, "tablet").unwrap();
    stage.stop(DESKTOP).unwrap();
    // Without the primary one the others go on.
    stage.send(tablet, "Bob", "from the tablet").unwrap();
    stage.send(PHONE, "Bob", "from the phone").unwrap();
    stage.send(BOB, "Alice", "from Bob").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.texts(tablet, "Bob").unwrap(), stage.texts(PHONE, "Bob").unwrap());
    stage.start(DESKTOP).unwrap();
    stage.run(MINUTES).unwrap();
    let all = stage.said(BOB, "Alice").unwrap();
    assert_eq!(all.len(), 9);
    for node in [DESKTOP, PHONE, tablet] {
        assert_eq!(stage.said(node, "Bob").unwrap(), all, "at {node}");
    }
}

#[test]
fn devices_that_are_added_before_either_spoke_get_to_know_each_other() {
    let mut stage = friends();
    let new = ["phone", "tablet"].map(|name| stage.add(name, Origin::Link).unwrap());
    let codes = new.map(|node| stage.code(node).unwrap());
    for node in new {
        stage.unplug(node).unwrap();
    }
    for code in codes {
        stage.ask(DESKTOP, Command::DeviceAdd { code }).unwrap().unwrap();
    }
    // Of both answers neither can say how the other new device is reached.
    for node in new {
        stage.plug(node).unwrap();
    }
    stage.run(MINUTES).unwrap();
    stage.stop(DESKTOP).unwrap();
    stage.send(PHONE, "Bob", "from the phone").unwrap();
    stage.run(MINUTES).unwrap();
    let [phone, tablet] = new;
    assert_eq!(stage.said(phone, "Bob").unwrap().len(), 7);
    assert_eq!(stage.said(tablet, "Bob").unwrap(), stage.said(phone, "Bob").unwrap());
    // Both show what Bob has: neither waits for the primary one to be told.
    stage.send(PHONE, "me", "a note").unwrap();
    assert_eq!(stage.said(tablet, "me").unwrap(), ["a note"]);
}

#[test]
fn only_the_primary_device_adds_and_a_code_is_no_link() {
    let mut stage = with_phone();
    let tablet = stage.add("tablet", Origin::Link).unwrap();
    let code = stage.code(tablet).unwrap();
    let error = stage.refusal(PHONE, Command::DeviceAdd { code: code.clone() }).unwrap();
    assert_eq!(error.kind, ErrorKind::Conflict);
    let error =
        stage.refusal(DESKTOP, Command::DeviceAdd { code: "undertone:invite/AAAA".to_owned() }).unwrap();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let waiting = Command::Send { name: "Bob".to_owned(), text: "too early".to_owned() };
    assert_eq!(stage.refusal(tablet, waiting).unwrap().kind, ErrorKind::Conflict);
    // A code that was answered already is answered again.
    stage.ask(DESKTOP, Command::DeviceAdd { code: code.clone() }).unwrap().unwrap();
    stage.ask(DESKTOP, Command::DeviceAdd { code }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.devices(tablet).unwrap().len(), 3);
}
