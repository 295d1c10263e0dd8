//! Devices that are revoked, and contacts who begin anew with users of several, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::Command;
use undertone::store::{Contact, NodeStore};
use undertone_protocol::limits::{BUNDLE_FRESH, ENVELOPE_TTL_MAX};
use undertone_protocol::receipts::Denial;
use undertone_tests::simulation::Stage;

const DESKTOP: usize = 0;
const BOB: usize = 1;
const PHONE: usize = 2;

const MINUTES: Duration = Duration::from_secs(180);

/// Alice at her desktop and her phone, and Bob.
fn with_phone() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(DESKTOP, BOB).unwrap();
    assert_eq!(stage.add_linked(DESKTOP, "phone").unwrap(), PHONE);
    stage
}

/// Whether Bob knows a mailbox of a device of Alice's.
fn bob_reaches(stage: &mut Stage, node: usize) -> bool {
    let (alice, device) = (stage.id(node).unwrap().user, stage.id(node).unwrap().device);
    let contacts = stage.disk(BOB).unwrap().transaction(|tx| tx.contacts()).unwrap();
    let contact = contacts.iter().find(|contact| contact.user.to_hex() == alice).unwrap();
    contact.grants.iter().any(|grant| grant.device.to_hex() == device)
}

fn change_contacts(stage: &mut Stage, node: usize, change: impl Fn(&mut Contact)) {
    let changed = stage.disk(node).unwrap().transaction(|tx| {
        for mut contact in tx.contacts()? {
            change(&mut contact);
            tx.put_contact(&contact)?;
        }
        Ok(())
    });
    changed.unwrap();
}

#[test]
fn by_a_new_link_all_devices_are_reached_again() {
    let mut stage = with_phone();
    stage.unplug(DESKTOP).unwrap();
    let bob = || "Bob".to_owned();
    stage.contact(PHONE, Command::ContactBlock { name: bob() }).unwrap();
    stage.send(BOB, "Alice", "refused").unwrap();
    stage.unplug(BOB).unwrap();
    stage.contact(PHONE, Command::ContactUnblock { name: bob() }).unwrap();
    let link = stage.invite(PHONE, 1).unwrap();
    stage.contact(BOB, Command::ContactAdd { link, name: None, message: None }).unwrap();
    stage.plug(BOB).unwrap();
    // The phone tells how the desktop is reached, which is away.
    assert!(bob_reaches(&mut stage, DESKTOP));
    stage.plug(DESKTOP).unwrap();
    stage.send(BOB, "Alice", "there again").unwrap();
    stage.run(MINUTES).unwrap();
    assert!(stage.said(DESKTOP, "Bob").unwrap().contains(&"there again".to_owned()));
}

#[test]
fn a_revoked_device_gets_nothing_more_and_contacts_see_it() {
    let mut stage = with_phone();
    stage.send(PHONE, "Bob", "before").unwrap();
    stage.ask(DESKTOP, Command::DeviceRevoke { name: "phone".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    let notice = stage.texts(BOB, "Alice").unwrap().pop().unwrap();
    assert!(notice.contains("desktop)") && !notice.contains("phone"), "{notice}");
    let before = stage.said(PHONE, "Bob").unwrap();
    assert!(before.contains(&"before".to_owned()));
    stage.send(BOB, "Alice", "for the desktop only").unwrap();
    stage.send(DESKTOP, "Bob", "the phone is lost").unwrap();
    stage.send(DESKTOP, "me", "a note").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(PHONE, "Bob").unwrap(), before);
    assert!(!stage.said(PHONE, "me").unwrap().contains(&"a note".to_owned()));
    assert_eq!(stage.said(BOB, "Alice").unwrap(), stage.said(DESKTOP, "Bob").unwrap());
    // Nothing of it counts any more, either.
    let sent =
        stage.ask(PHONE, Command::Send { name: "Bob".to_owned(), text: "it is me".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    assert!(!stage.said(BOB, "Alice").unwrap().contains(&"it is me".to_owned()), "{sent:?}");
    assert_eq!(stage.devices(DESKTOP).unwrap()[1].state, "revoked");
    // It learns of it when it looks for its siblings' keys anew, and from then on says so.
    stage.sleep(BUNDLE_FRESH).unwrap();
    assert_eq!(stage.devices(PHONE).unwrap()[1].state, "revoked");
    let refused =
        stage.refusal(PHONE, Command::Send { name: "Bob".to_owned(), text: "it is me".to_owned() }).unwrap();
    assert!(refused.message.contains("was revoked"), "{refused:?}");
    // Nor does it wake again and again for what it may not do any more.
    stage.stop(PHONE).unwrap();
    stage.start(PHONE).unwrap();
    stage.run(MINUTES).unwrap();
}

#[test]
fn by_a_new_link_devices_are_reached_whose_siblings_do_not_know_them() {
    let mut stage = with_phone();
    stage.stop(DESKTOP).unwrap();
    // As before the phone introduced itself to the desktop; and Bob was refused.
    change_contacts(&mut stage, DESKTOP, |contact| contact.introduced.clear());
    change_contacts(&mut stage, BOB, |contact| contact.refused = Some(Denial::Revoked));
    stage.start(DESKTOP).unwrap();
    let link = stage.invite(DESKTOP, 1).unwrap();
    stage.contact(BOB, Command::ContactAdd { link, name: None, message: None }).unwrap();
    stage.run(MINUTES).unwrap();
    assert!(bob_reaches(&mut stage, PHONE));
}

#[test]
fn what_only_a_revoked_device_got_is_sent_again() {
    let mut stage = with_phone();
    stage.send(BOB, "Alice", "at both").unwrap();
    stage.stop(DESKTOP).unwrap();
    stage.send(BOB, "Alice", "only at the phone").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(PHONE, "Bob").unwrap(), ["at both", "only at the phone"]);
    stage.stop(PHONE).unwrap();
    // It expires at the relay.
    stage.sleep(ENVELOPE_TTL_MAX * 2).unwrap();
    stage.start(DESKTOP).unwrap();
    stage.ask(DESKTOP, Command::DeviceRevoke { name: "phone".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    stage.send(BOB, "Alice", "and then").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(DESKTOP, "Bob").unwrap(), ["at both", "only at the phone", "and then"]);
}

#[test]
fn a_device_that_was_refused_asks_again_by_the_link_that_its_sibling_used() {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    assert_eq!(stage.add_linked(DESKTOP, "phone").unwrap(), PHONE);
    let ask = |stage: &mut Stage| {
        let link = stage.invite(BOB, 1).unwrap();
        stage.contact(DESKTOP, Command::ContactAdd { link, name: None, message: None }).unwrap();
        stage.run(MINUTES).unwrap();
    };
    ask(&mut stage);
    change_contacts(&mut stage, PHONE, |contact| contact.refused = Some(Denial::Revoked));
    ask(&mut stage);
    let phone = stage.id(PHONE).unwrap().device;
    let contacts = stage.disk(BOB).unwrap().transaction(|tx| tx.contacts()).unwrap();
    let asked = |contact: &Contact| contact.introduced.iter().any(|(device, _)| device.to_hex() == phone);
    assert!(contacts.iter().any(asked), "the phone did not ask");
}

#[test]
fn a_link_of_a_revoked_device_is_not_used() {
    let mut stage = with_phone();
    let link = stage.invite(PHONE, 1).unwrap();
    stage.ask(DESKTOP, Command::DeviceRevoke { name: "phone".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    change_contacts(&mut stage, BOB, |contact| contact.refused = Some(Denial::Revoked));
    let add = |link: String| Command::ContactAdd { link, name: None, message: None };
    let refused = stage.refusal(BOB, add(link)).unwrap();
    assert!(refused.message.contains("revoked"), "{refused:?}");
    assert!(bob_reaches(&mut stage, DESKTOP), "the ways that there are stay");
    let link = stage.invite(DESKTOP, 1).unwrap();
    stage.contact(BOB, add(link)).unwrap();
    stage.send(BOB, "Alice", "by a new link").unwrap();
    stage.run(MINUTES).unwrap();
    assert!(stage.said(DESKTOP, "Bob").unwrap().contains(&"by a new link".to_owned()));
}
