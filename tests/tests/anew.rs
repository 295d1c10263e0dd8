//! Users who start anew by their phrase, and stores that were copied, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, ContactView, ErrorKind};
use undertone::engine::Origin;
use undertone::event::Event;
use undertone::store::NodeStore;
use undertone_protocol::keys::direct_conversation;
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
    // The relay would tell Bob's device of it, and so would Alice.
    stage.stop(ALICE).unwrap();
    stage.relay_forgets().unwrap();
    stage.start(BOB).unwrap();
    stage.send(BOB, "Alice", "written by Bob").unwrap();
    stage.send(BOB, "Alice", "more by Bob").unwrap();
    stage.start(ALICE).unwrap();
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
    // What does not count was told to nobody who knew, and is read by nobody.
    let told = messages_told(&mut stage, ALICE);
    assert!(told.contains(&"written by the copy".to_owned()), "{told:?}");
    assert!(!told.iter().any(|text| text.contains("by Bob")), "{told:?}");
    stage.ask(ALICE, Command::Read { name: "Bob".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    assert!(reads_up_to_the_cut(&mut stage, ALICE));
    is_silenced_as_copied(&mut stage);
    stage.stop(BOB).unwrap();
    stage.start(BOB).unwrap();
    is_silenced_as_copied(&mut stage);
}

/// Bob's device says what happened, and what of its own counts nowhere.
fn is_silenced_as_copied(stage: &mut Stage) {
    let status = stage.status(BOB).unwrap();
    assert_eq!(status.device_state, "copied");
    let warning = status.warning.unwrap();
    assert!(warning.contains("copy of this device") && warning.contains("init --recover"), "{warning}");
    let send = Command::Send { name: "Alice".to_owned(), text: "more".to_owned() };
    assert_eq!(stage.refusal(BOB, send).unwrap().kind, ErrorKind::Conflict);
    let mine: Vec<_> = stage.history(BOB, "Alice").unwrap().into_iter().filter(|one| one.mine).collect();
    let failed: Vec<_> = mine.iter().map(|one| (one.text.as_str(), one.failed.is_some())).collect();
    assert_eq!(failed, [("before, too", false), ("written by Bob", true), ("more by Bob", true)]);
    assert!(mine.iter().all(|one| one.failed.is_none() || one.state != "read"), "{mine:?}");
}

/// The texts that a watcher was told of.
fn messages_told(stage: &mut Stage, node: usize) -> Vec<String> {
    let events = stage.events(node).into_iter();
    let texts = events.filter_map(|event| match event {
        Event::Message { message } => Some(message.text),
        _ => None,
    });
    texts.collect()
}

/// Whether there are forks, and nothing beyond them is acknowledged as read.
fn reads_up_to_the_cut(stage: &mut Stage, node: usize) -> bool {
    let found = stage.disk(node).unwrap().transaction(|tx| {
        let own = tx.account()?.unwrap().certificate.user;
        let contact = tx.contacts()?.into_iter().find(|contact| contact.user != own).unwrap();
        let conversation = direct_conversation(&own, &contact.user);
        let read = tx.own_receipts(&conversation)?.read;
        let cuts = tx.cuts(&conversation)?;
        Ok(!cuts.is_empty() && cuts.iter().all(|(device, cut)| !read.covers(device, cut.through + 1)))
    });
    found.unwrap()
}

/// Alice's phone, of which a copy wrote something else to Bob in its place; all know of it.
fn with_copied_phone(stage: &mut Stage) -> usize {
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    let copy = stage.add("copy", Origin::New).unwrap();
    stage.stop(phone).unwrap();
    stage.stop(copy).unwrap();
    stage.copy_disk(phone, copy).unwrap();
    stage.start(copy).unwrap();
    stage.send(copy, "Bob", "written by the copy").unwrap();
    stage.stop(copy).unwrap();
    stage.relay_forgets().unwrap();
    stage.start(phone).unwrap();
    stage.send(phone, "Bob", "written by the phone").unwrap();
    stage.run(MINUTES).unwrap();
    // What the copy used up of the phone's keys is healed as they go on talking.
    stage.send(BOB, "Alice", "are you there?").unwrap();
    stage.send(ALICE, "Bob", "where?").unwrap();
    stage.run(MINUTES).unwrap();
    phone
}

/// How many envelopes a device ever made.
fn envelopes(stage: &mut Stage, node: usize) -> u64 {
    stage.disk(node).unwrap().transaction(|tx| tx.outbox_last()).unwrap()
}

/// Else it would be shown every minute, as long as Bob acknowledges what he got of it.
#[test]
fn a_fork_that_all_know_of_is_shown_to_nobody_any_more() {
    let mut stage = friends();
    with_copied_phone(&mut stage);
    stage.run(MINUTES).unwrap();
    let before = envelopes(&mut stage, BOB);
    stage.run(Duration::from_secs(3_600)).unwrap();
    assert_eq!(envelopes(&mut stage, BOB), before);
}

/// The phone of a user is copied: their other devices, and their contacts, see which one it is.
#[test]
fn a_copied_phone_shows_at_ones_own_devices() {
    let mut stage = friends();
    let phone = with_copied_phone(&mut stage);
    let warning = stage.status(ALICE).unwrap().warning.unwrap_or_default();
    assert!(warning.contains("your device phone") && warning.contains("device revoke"), "{warning}");
    assert_eq!(warned(&mut stage, ALICE), [("desktop".to_owned(), false), ("phone".to_owned(), true)]);
    assert_eq!(first_contact(&mut stage, ALICE).warning, None, "nothing is wrong with Bob");
    let warning = first_contact(&mut stage, BOB).warning.unwrap_or_default();
    assert!(warning.contains("Alice's device phone"), "{warning}");
    assert_eq!(stage.status(phone).unwrap().device_state, "copied");
    // It is revoked, and all is well.
    stage.ask(ALICE, Command::DeviceRevoke { name: "phone".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.status(ALICE).unwrap().warning, None);
    assert_eq!(warned(&mut stage, ALICE), [("desktop".to_owned(), false), ("phone".to_owned(), false)]);
    assert_eq!(first_contact(&mut stage, BOB).warning, None);
}

/// The devices of a user, and whether something is wrong with each.
fn warned(stage: &mut Stage, node: usize) -> Vec<(String, bool)> {
    stage.devices(node).unwrap().into_iter().map(|device| (device.name, device.warning.is_some())).collect()
}

/// A device that writes in the account conversation from two places shows, too.
#[test]
fn a_fork_among_ones_own_devices_shows() {
    let mut stage = friends();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    let copy = stage.add("copy", Origin::New).unwrap();
    stage.stop(phone).unwrap();
    stage.stop(copy).unwrap();
    stage.copy_disk(phone, copy).unwrap();
    stage.start(copy).unwrap();
    stage.ask(copy, Command::ContactVerify { name: "Bob".to_owned(), confirm: true }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    stage.stop(copy).unwrap();
    // Nobody tells the phone of it before it has written.
    stage.stop(ALICE).unwrap();
    stage.relay_forgets().unwrap();
    stage.start(phone).unwrap();
    stage.ask(phone, Command::ContactBlock { name: "Bob".to_owned() }).unwrap().unwrap();
    stage.start(ALICE).unwrap();
    stage.run(MINUTES).unwrap();
    // Keys that the copy used up are healed as the devices go on talking.
    stage.ask(ALICE, Command::Invite { uses: 1, life: MINUTES }).unwrap().unwrap();
    let carol = stage.add("Carol", Origin::New).unwrap();
    stage.meet(ALICE, carol).unwrap();
    stage.run(MINUTES).unwrap();
    let warning = stage.status(ALICE).unwrap().warning.unwrap_or_default();
    assert!(warning.contains("your device phone"), "{warning}");
}

/// The primary device revokes one before it has the last that this wrote. Another device has it, and brings it: it
/// shows nowhere, and nobody is told.
#[test]
fn what_a_sibling_brings_from_beyond_a_cut_is_told_nobody() {
    let mut stage = friends();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    let tablet = stage.add_linked(ALICE, "tablet").unwrap();
    stage.send(tablet, "Bob", "from the tablet").unwrap();
    stage.run(MINUTES).unwrap();
    stage.unplug(ALICE).unwrap();
    stage.send(tablet, "Bob", "beyond the cut").unwrap();
    stage.run(MINUTES).unwrap();
    drop(stage.ask(ALICE, Command::DeviceRevoke { name: "tablet".to_owned() }).unwrap());
    drop((stage.events(ALICE), stage.events(phone)));
    stage.plug(ALICE).unwrap();
    stage.run(MINUTES * 5).unwrap();
    assert_eq!(held_of_all(&mut stage, ALICE), held_of_all(&mut stage, phone), "it was brought");
    for node in [ALICE, phone, BOB] {
        let name = if node == BOB { "Alice" } else { "Bob" };
        let texts = stage.said(node, name).unwrap();
        assert_eq!(texts, ["before", "before, too", "from the tablet"], "at {node}");
    }
    let told: Vec<Event> = stage.events(ALICE);
    let of_it =
        |event: &&Event| matches!(event, Event::Message { message } if message.text == "beyond the cut");
    assert_eq!(told.iter().find(of_it), None);
}

/// How many entries of each device a device holds of the conversation with its contact.
fn held_of_all(stage: &mut Stage, node: usize) -> Vec<u64> {
    let found = stage.disk(node).unwrap().transaction(|tx| {
        let own = tx.account()?.unwrap().certificate.user;
        let contact = tx.contacts()?.into_iter().find(|contact| contact.user != own).unwrap();
        let frontier = tx.frontier(&direct_conversation(&own, &contact.user))?;
        Ok(frontier.into_iter().map(|(_, item)| item.seq).collect())
    });
    found.unwrap()
}
