//! What waits on its way out, and what comes of it, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, Response};
use undertone::store::{NodeStore, OutboxItem, OutboxRecipient, OutboxState, Purpose};
use undertone_protocol::ids::{DeviceId, EntryId, UserId};
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, EXPIRY_GRACE};
use undertone_protocol::time::Timestamp;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage
}

/// An item for a device that no relay is known of.
fn stranded(purpose: Purpose, created: Timestamp) -> OutboxItem {
    let state = OutboxState::Pending { attempts: 0, not_before: Timestamp::ZERO };
    let recipient = OutboxRecipient { device: DeviceId::new([7; 32]), user: UserId::new([7; 32]), state };
    let payload = vec![7; 100].into();
    OutboxItem { id: 0, group: 0, purpose, class: 0, payload, recipients: vec![recipient], created }
}

fn put(stage: &mut Stage, item: &OutboxItem, times: usize) {
    stage.stop(ALICE).unwrap();
    let put = |tx: &mut dyn undertone::store::NodeTx| {
        for _ in 0..times {
            tx.put_outbox(item)?;
        }
        Ok(())
    };
    stage.disk(ALICE).unwrap().transaction(put).unwrap();
    stage.start(ALICE).unwrap();
}

fn waiting(stage: &mut Stage) -> usize {
    stage.disk(ALICE).unwrap().transaction(|tx| tx.outbox_len()).unwrap()
}

#[test]
fn what_waits_for_relays_that_are_away_holds_up_nothing_else() {
    let mut stage = friends();
    let item = stranded(Purpose::Entry(EntryId::new([7; 32])), stage.now());
    put(&mut stage, &item, 10_000);
    let sent = stage.send(ALICE, "Bob", "past all of it").unwrap();
    assert_eq!(sent.state, "delivered");
    // Nothing of it was dropped for that.
    assert_eq!(waiting(&mut stage), 10_000);
}

#[test]
fn what_is_made_anew_when_it_is_needed_does_not_wait_for_ever() {
    let mut stage = friends();
    let entry = EntryId::new([7; 32]);
    let conversation = undertone_protocol::ids::ConversationId::new([7; 32]);
    let purposes = [
        Purpose::OwnEntry(entry),
        Purpose::OwnKey(entry),
        Purpose::History(conversation),
        Purpose::Retry(UserId::new([7; 32])),
        Purpose::Entry(entry),
    ];
    for purpose in purposes {
        let item = stranded(purpose, stage.now());
        put(&mut stage, &item, 1);
    }
    stage.sleep(ENVELOPE_TTL_MAX).unwrap();
    assert_eq!(waiting(&mut stage), purposes.len());
    stage.sleep(EXPIRY_GRACE + DAY).unwrap();
    // A message still waits: it is for the user to give it up.
    assert_eq!(waiting(&mut stage), 1);
}

#[test]
fn what_failed_long_ago_is_dropped_and_sealed_anew_when_it_is_wanted() {
    let mut stage = friends();
    stage.unplug(BOB).unwrap();
    let sent = stage.send(ALICE, "Bob", "nobody fetches this").unwrap();
    assert_eq!(sent.state, "sent");
    stage.sleep(ENVELOPE_TTL_MAX + EXPIRY_GRACE).unwrap();
    stage.sleep(DAY).unwrap();
    let failed = stage.history(ALICE, "Bob").unwrap().pop().unwrap();
    assert!(failed.failed.unwrap().contains("expired"));
    let entry = EntryId::from_hex(&sent.id).unwrap();
    let kept = stage.disk(ALICE).unwrap().transaction(|tx| tx.outbox_of(&Purpose::Entry(entry))).unwrap();
    assert_eq!(kept, []);
    let retried = stage.ask(ALICE, Command::Retry { name: "Bob".to_owned() }).unwrap().unwrap();
    assert!(matches!(retried, Response::Count(view) if view.messages == 1));
    stage.plug(BOB).unwrap();
    assert_eq!(stage.history(ALICE, "Bob").unwrap().pop().unwrap().state, "delivered");
    assert_eq!(stage.said(BOB, "Alice").unwrap(), ["nobody fetches this"]);
}

#[test]
fn what_expired_shows_so_on_the_users_other_devices_too() {
    let mut stage = friends();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    stage.send(BOB, "Alice", "hello").unwrap();
    stage.unplug(BOB).unwrap();
    stage.send(ALICE, "Bob", "nobody fetches this").unwrap();
    stage.run(Duration::from_secs(60)).unwrap();
    let last = |stage: &mut Stage| stage.history(phone, "Bob").unwrap().pop().unwrap();
    assert_eq!((last(&mut stage).state.as_str(), last(&mut stage).failed), ("sent", None));
    stage.sleep(ENVELOPE_TTL_MAX + EXPIRY_GRACE + DAY).unwrap();
    let expired = last(&mut stage);
    assert!(expired.failed.unwrap().contains("expired"));
    assert!(expired.note.unwrap().contains("another device"));
    stage.plug(BOB).unwrap();
    stage.run(Duration::from_secs(600)).unwrap();
    let arrived = last(&mut stage);
    assert_eq!((arrived.state.as_str(), arrived.failed), ("delivered", None));
}

/// How the last message in the group shows.
fn last_of_club(stage: &mut Stage, node: usize) -> (String, Option<String>) {
    let last = stage.history(node, "Club").unwrap().pop().unwrap();
    (last.state, last.failed)
}

#[test]
fn what_nobody_in_a_group_fetched_has_failed_and_goes_again_when_it_is_wanted() {
    let mut stage = Stage::club().unwrap();
    for away in [BOB, CAROL] {
        stage.unplug(away).unwrap();
    }
    stage.send(ALICE, "Club", "nobody fetches this").unwrap();
    assert_eq!(last_of_club(&mut stage, ALICE), ("sent".to_owned(), None));
    stage.sleep(ENVELOPE_TTL_MAX).unwrap();
    assert_eq!(last_of_club(&mut stage, ALICE).1, None);
    stage.sleep(EXPIRY_GRACE + DAY).unwrap();
    assert!(last_of_club(&mut stage, ALICE).1.unwrap().contains("expired"));
    stage.ask(ALICE, Command::Retry { name: "Club".to_owned() }).unwrap().unwrap();
    for back in [BOB, CAROL] {
        stage.plug(back).unwrap();
        assert_eq!(stage.said(back, "Club").unwrap(), ["nobody fetches this"], "at {back}");
    }
    assert_eq!(last_of_club(&mut stage, ALICE), ("delivered".to_owned(), None));
}

#[test]
fn what_one_in_a_group_read_has_not_failed_on_any_device_though_it_expired_for_another() {
    let mut stage = Stage::club().unwrap();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    for member in [BOB, CAROL] {
        let greeting = format!("hello from {member}");
        stage.send(member, "Club", &greeting).unwrap();
    }
    stage.unplug(CAROL).unwrap();
    stage.send(ALICE, "Club", "Carol is away").unwrap();
    stage.ask(BOB, Command::Read { name: "Club".to_owned() }).unwrap().unwrap();
    stage.run(Duration::from_secs(60)).unwrap();
    stage.sleep(ENVELOPE_TTL_MAX + EXPIRY_GRACE + DAY).unwrap();
    for node in [ALICE, phone] {
        assert_eq!(last_of_club(&mut stage, node), ("sent".to_owned(), None), "at {node}");
    }
}

#[test]
fn what_nobody_in_a_group_fetched_shows_so_on_the_users_other_devices_too() {
    let mut stage = Stage::club().unwrap();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    for away in [BOB, CAROL] {
        stage.unplug(away).unwrap();
    }
    stage.send(ALICE, "Club", "nobody fetches this").unwrap();
    stage.run(Duration::from_secs(60)).unwrap();
    stage.sleep(ENVELOPE_TTL_MAX + EXPIRY_GRACE + DAY).unwrap();
    for node in [ALICE, phone] {
        assert!(last_of_club(&mut stage, node).1.unwrap().contains("expired"), "at {node}");
    }
}

#[test]
fn a_request_that_nobody_fetched_expires_with_its_text() {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    let link = stage.invite(ALICE, 1).unwrap();
    stage.unplug(ALICE).unwrap();
    let message = Some("It is me".to_owned());
    let asked = stage.contact(BOB, Command::ContactAdd { link, name: None, message }).unwrap();
    assert!(asked.introduced && asked.warning.is_none(), "{asked:?}");
    stage.sleep(ENVELOPE_TTL_MAX).unwrap();
    assert_eq!(stage.contacts(BOB).unwrap()[0].warning, None);
    stage.sleep(EXPIRY_GRACE + DAY).unwrap();
    let warning = stage.contacts(BOB).unwrap()[0].warning.clone();
    assert!(warning.unwrap().contains("ask Alice for a new link"));
    assert!(stage.history(BOB, "Alice").unwrap()[0].failed.is_some());
    // A new link takes the request there, with the text.
    stage.plug(ALICE).unwrap();
    let link = stage.invite(ALICE, 1).unwrap();
    stage.ask(BOB, Command::Retry { name: "Alice".to_owned() }).unwrap().unwrap();
    stage.contact(BOB, Command::ContactAdd { link, name: None, message: None }).unwrap();
    stage.contact(ALICE, Command::ContactAccept { name: "Bob".to_owned() }).unwrap();
    stage.run(Duration::from_secs(60)).unwrap();
    assert_eq!(stage.said(ALICE, "Bob").unwrap(), ["It is me"]);
    assert_eq!(stage.history(BOB, "Alice").unwrap()[0].state, "delivered");
}

#[test]
fn a_request_that_was_answered_does_not_expire() {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    let link = stage.invite(ALICE, 1).unwrap();
    let message = Some("It is me".to_owned());
    stage.contact(BOB, Command::ContactAdd { link, name: None, message }).unwrap();
    stage.contact(ALICE, Command::ContactAccept { name: "Bob".to_owned() }).unwrap();
    stage.sleep(ENVELOPE_TTL_MAX + EXPIRY_GRACE + DAY).unwrap();
    assert_eq!(stage.contacts(BOB).unwrap()[0].warning, None);
    assert_eq!(stage.history(BOB, "Alice").unwrap()[0].failed, None);
}
