//! Turning people away, on the real machines without faults.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, ContactView, ErrorKind, MessageView, Response};
use undertone::engine::Origin;
use undertone::event::Event;
use undertone::store::{ContactState, NodeStore, OutboxState};
use undertone_protocol::limits::REVOKED_PREFIXES_MAX;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;

/// Alice and Bob, after Bob asked; Alice did not answer yet.
fn asked() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    let link = invite(&mut stage, ALICE);
    add(&mut stage, BOB, link, Some("It is me"));
    stage
}

/// Alice and Bob, who are contacts.
fn friends() -> Stage {
    let mut stage = asked();
    contact(&mut stage, ALICE, Command::ContactAccept { name: "Bob".to_owned() });
    stage
}

fn invite(stage: &mut Stage, node: usize) -> String {
    match stage.ask(node, Command::Invite { uses: 1, life: Duration::from_secs(3_600) }).unwrap().unwrap() {
        Response::Invitation(view) => view.link,
        other => panic!("{other:?}"),
    }
}

fn add(stage: &mut Stage, node: usize, link: String, message: Option<&str>) -> ContactView {
    contact(stage, node, Command::ContactAdd { link, name: None, message: message.map(str::to_owned) })
}

fn contact(stage: &mut Stage, node: usize, command: Command) -> ContactView {
    match stage.ask(node, command).unwrap().unwrap() {
        Response::Contact(view) => view,
        other => panic!("{other:?}"),
    }
}

fn listed(stage: &mut Stage, node: usize) -> ContactView {
    match stage.ask(node, Command::ContactList {}).unwrap().unwrap() {
        Response::Contacts(mut views) => views.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn send(stage: &mut Stage, node: usize, name: &str, text: &str) -> MessageView {
    let command = Command::Send { name: name.to_owned(), text: text.to_owned() };
    let sent = match stage.ask(node, command).unwrap().unwrap() {
        Response::Message(view) => view.id,
        other => panic!("{other:?}"),
    };
    // As it is when everything came to rest.
    history(stage, node, name).into_iter().find(|view| view.id == sent).unwrap()
}

fn history(stage: &mut Stage, node: usize, name: &str) -> Vec<MessageView> {
    stage.history(node, name).unwrap()
}

fn texts(stage: &mut Stage, node: usize, name: &str) -> Vec<String> {
    history(stage, node, name).into_iter().map(|view| view.text).collect()
}

fn block(stage: &mut Stage, node: usize, name: &str) -> ContactView {
    contact(stage, node, Command::ContactBlock { name: name.to_owned() })
}

fn unblock(stage: &mut Stage, node: usize, name: &str) -> ContactView {
    contact(stage, node, Command::ContactUnblock { name: name.to_owned() })
}

#[test]
fn declining_is_silent_and_lasts() {
    let mut stage = asked();
    stage.events(ALICE);
    stage.events(BOB);
    let view = contact(&mut stage, ALICE, Command::ContactDecline { name: "Bob".to_owned() });
    assert_eq!((view.state.as_str(), view.message), ("declined", None));
    stage.run(Duration::from_secs(60)).unwrap();
    assert_eq!(stage.events(BOB), [], "whoever asked is not told");
    let link = invite(&mut stage, ALICE);
    assert_eq!(add(&mut stage, BOB, link, None).state, "requesting");
    assert_eq!(listed(&mut stage, ALICE).state, "declined");
    let requests = stage.events(ALICE).into_iter().filter(|event| matches!(event, Event::Request { .. }));
    assert_eq!(requests.count(), 0);
    let view = contact(&mut stage, ALICE, Command::ContactAccept { name: "Bob".to_owned() });
    assert_eq!(view.state, "accepted");
    assert_eq!(listed(&mut stage, BOB).state, "accepted");
}

#[test]
fn who_is_blocked_is_denied_until_unblocked() {
    let mut stage = friends();
    send(&mut stage, BOB, "Alice", "one");
    stage.events(ALICE);
    assert_eq!(block(&mut stage, ALICE, "Bob").state, "blocked");
    let two = send(&mut stage, BOB, "Alice", "two");
    assert_eq!(two.failed.as_deref(), Some("denied: the token was revoked"));
    assert_eq!(texts(&mut stage, ALICE, "Bob"), ["It is me", "one"]);
    let refused = stage.ask(ALICE, Command::Send { name: "Bob".to_owned(), text: "no".to_owned() }).unwrap();
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Conflict);
    assert!(stage.events(ALICE).iter().all(|event| matches!(event, Event::Contact { .. })));

    unblock(&mut stage, ALICE, "Bob");
    assert_eq!(history(&mut stage, BOB, "Alice").last().unwrap().failed, two.failed, "the user decides");
    assert_eq!(send(&mut stage, BOB, "Alice", "three").state, "delivered");
    stage.ask(BOB, Command::Retry { name: "Alice".to_owned() }).unwrap().unwrap();
    assert_eq!(texts(&mut stage, ALICE, "Bob"), ["It is me", "one", "two", "three"]);
    assert!(history(&mut stage, BOB, "Alice").iter().all(|view| view.state == "delivered"));
    assert_eq!(send(&mut stage, ALICE, "Bob", "four").state, "delivered");
}

#[test]
fn what_waited_at_the_relay_while_blocked_shows_only_afterwards() {
    let mut stage = friends();
    stage.unplug(ALICE).unwrap();
    stage.events(ALICE);
    assert_eq!(send(&mut stage, BOB, "Alice", "on its way").state, "sent");
    block(&mut stage, ALICE, "Bob");
    stage.plug(ALICE).unwrap();
    assert_eq!(texts(&mut stage, ALICE, "Bob"), ["It is me"]);
    assert!(!stage.events(ALICE).iter().any(|event| matches!(event, Event::Message { .. })));
    assert_eq!(history(&mut stage, BOB, "Alice").last().unwrap().state, "sent", "nothing is acknowledged");
    unblock(&mut stage, ALICE, "Bob");
    assert_eq!(texts(&mut stage, ALICE, "Bob"), ["It is me", "on its way"]);
    assert_eq!(history(&mut stage, BOB, "Alice").last().unwrap().state, "delivered");
}

#[test]
fn whoever_invites_counts_uses_whatever_the_relay_lets_pass() {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol"], false).unwrap();
    let invite = Command::Invite { uses: 2, life: Duration::from_secs(3_600) };
    let Response::Invitation(view) = stage.ask(ALICE, invite).unwrap().unwrap() else { panic!("no link") };
    // The relay goes on taking two.
    let one_use = stage.disk(ALICE).unwrap().transaction(|tx| {
        for mut invitation in tx.invitations()? {
            invitation.uses_max = 1;
            tx.put_invitation(&invitation)?;
        }
        Ok(())
    });
    one_use.unwrap();
    for node in [BOB, 2] {
        add(&mut stage, node, view.link.clone(), None);
    }
    let Response::Contacts(asked) = stage.ask(ALICE, Command::ContactList {}).unwrap().unwrap() else {
        panic!("no contacts")
    };
    assert_eq!(asked.iter().map(|contact| contact.name.as_str()).collect::<Vec<_>>(), ["Bob"]);
}

#[test]
fn a_block_reaches_the_relay_after_a_restart() {
    let mut stage = friends();
    stage.unplug(ALICE).unwrap();
    block(&mut stage, ALICE, "Bob");
    stage.stop(ALICE).unwrap();
    assert_eq!(send(&mut stage, BOB, "Alice", "still let in").failed, None);
    stage.start(ALICE).unwrap();
    stage.plug(ALICE).unwrap();
    assert!(send(&mut stage, BOB, "Alice", "shut out").failed.is_some());
}

#[test]
fn a_relay_that_forgot_everything_is_told_again() {
    let mut stage = friends();
    block(&mut stage, ALICE, "Bob");
    stage.relay_forgets().unwrap();
    assert!(send(&mut stage, BOB, "Alice", "again").failed.is_some());
}

#[test]
fn two_who_blocked_each_other_meet_again_by_a_link() {
    let mut stage = friends();
    block(&mut stage, ALICE, "Bob");
    block(&mut stage, BOB, "Alice");
    for (node, name) in [(ALICE, "Bob"), (BOB, "Alice")] {
        stage.ask(node, Command::ContactUnblock { name: name.to_owned() }).unwrap().unwrap_err();
    }
    assert!(listed(&mut stage, BOB).warning.unwrap().contains("ask Alice for a new link"));
    let link = invite(&mut stage, ALICE);
    add(&mut stage, BOB, link, None);
    assert_eq!(listed(&mut stage, BOB).warning, None);
    assert_eq!(listed(&mut stage, ALICE).warning, None);
    assert_eq!(send(&mut stage, BOB, "Alice", "hello").state, "delivered");
    assert_eq!(send(&mut stage, ALICE, "Bob", "hello").state, "delivered");
}

#[test]
fn a_full_table_of_revocations_starts_a_new_epoch() {
    let mut stage = friends();
    let home = stage.disk(ALICE).unwrap().transaction(|tx| Ok(tx.home_relays()?.pop())).unwrap().unwrap();
    for n in 0..u64::try_from(REVOKED_PREFIXES_MAX).unwrap() {
        let body = Body::RevokeToken(wire::RevokeToken {
            mailbox: home.mailbox.to_wire(),
            epoch: home.epoch,
            handles: vec![n.to_be_bytes().to_vec().into()],
        });
        stage.inject(ALICE, wire::Frame { request: 1_000_000 + n, body: Some(body) }).unwrap();
        stage.run(Duration::from_millis(100)).unwrap();
    }
    block(&mut stage, ALICE, "Bob");
    stage.run(Duration::from_secs(60)).unwrap();
    let renewed = stage.disk(ALICE).unwrap().transaction(|tx| Ok(tx.home_relays()?.pop())).unwrap().unwrap();
    assert_eq!(renewed.epoch, home.epoch + 1);
    assert!(send(&mut stage, BOB, "Alice", "void").failed.is_some());
    unblock(&mut stage, ALICE, "Bob");
    assert_eq!(send(&mut stage, BOB, "Alice", "renewed").state, "delivered");
    // The token of the former epoch was void, so nobody refused the message: it went again by itself.
    assert_eq!(texts(&mut stage, ALICE, "Bob"), ["It is me", "void", "renewed"]);
}

#[test]
fn what_one_device_has_read_goes_to_no_other_after_a_block() {
    let mut stage = friends();
    let phone = stage.add("phone", Origin::Link).unwrap();
    stage.link(BOB, phone).unwrap();
    stage.run(Duration::from_secs(180)).unwrap();
    stage.stop(phone).unwrap();
    send(&mut stage, ALICE, "Bob", "read on one device");
    stage.ask(BOB, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    stage.run(Duration::from_secs(5)).unwrap();
    // The relay lost the phone's: it has to be published again.
    let alice = stage.disk(ALICE).unwrap();
    let waits = alice.transaction(|tx| {
        for head in tx.outbox_heads(0, 100)? {
            let mut item = tx.outbox(head.id)?.unwrap();
            for recipient in &mut item.recipients {
                if matches!(recipient.state, OutboxState::Custody { .. }) {
                    recipient.state =
                        OutboxState::Pending { attempts: 1, not_before: Timestamp::from_ms(u64::MAX) };
                }
            }
            tx.put_outbox(&item)?;
        }
        Ok(tx.outbox_pending(0, 100)?.len())
    });
    assert!(waits.unwrap() > 0);
    contact(&mut stage, ALICE, Command::ContactBlock { name: "Bob".to_owned() });
    let pending = stage.disk(ALICE).unwrap().transaction(|tx| tx.outbox_pending(0, 100)).unwrap();
    assert_eq!(pending, []);
    // It is not lost for the phone.
    contact(&mut stage, ALICE, Command::ContactUnblock { name: "Bob".to_owned() });
    stage.start(phone).unwrap();
    stage.run(Duration::from_secs(300)).unwrap();
    let texts = stage.texts(phone, "Alice").unwrap();
    assert!(texts.contains(&"read on one device".to_owned()), "{texts:?}");
}

/// A device that is revoked meanwhile may have been the only one that knew that they are accepted.
#[test]
fn a_group_of_somebody_who_waits_comes_when_they_are_accepted() {
    let mut stage = friends();
    stage.unplug(BOB).unwrap();
    let known = stage.disk(BOB).unwrap().transaction(|tx| {
        for mut contact in tx.contacts()? {
            contact.state = ContactState::Requested;
            tx.put_contact(&contact)?;
        }
        Ok(())
    });
    known.unwrap();
    let members = vec!["Bob".to_owned()];
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    send(&mut stage, ALICE, "Club", "are you in");
    stage.plug_for(BOB, Duration::from_secs(600)).unwrap();
    assert!(stage.said(BOB, "Club").is_err(), "nobody whom Bob knows told of it");
    contact(&mut stage, BOB, Command::ContactAccept { name: "Alice".to_owned() });
    stage.run(Duration::from_secs(180)).unwrap();
    assert_eq!(stage.said(BOB, "Club").unwrap(), ["are you in"]);
}
