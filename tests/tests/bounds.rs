//! What others can make a device keep is bounded, and what is beyond the bounds is not lost in silence.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use bytes::Bytes;
use undertone::command::{Command, ContactView};
use undertone::store::{Contact, ContactState, NodeStore};
use undertone_protocol::crypto::{PayloadKind, classify};
use undertone_protocol::ids::{DeviceId, Handle, PayloadHash, Secret};
use undertone_protocol::keys::{IdentityKey, Name};
use undertone_protocol::limits::REQUESTS_MAX;
use undertone_protocol::wire::{Deliver, Frame, frame::Body};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

const MINUTES: Duration = Duration::from_secs(180);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage.send(ALICE, "Bob", "before").unwrap();
    stage
}

/// A relay may deliver what it likes: of what does not open nothing stays.
#[test]
fn of_garbage_nothing_is_kept() {
    let mut stage = friends();
    let before = stage.disk(BOB).unwrap().contents();
    for n in 0..50u64 {
        let payload = Bytes::copy_from_slice(&n.to_be_bytes());
        let body = Body::Deliver(Deliver { class: 0, seq: 1_000 + n, payload });
        stage.give(BOB, Frame { request: 0, body: Some(body) }).unwrap();
    }
    let seen = PayloadHash::of(&0u64.to_be_bytes());
    assert!(!stage.disk(BOB).unwrap().transaction(|tx| tx.seen(&seen)).unwrap());
    let after = stage.disk(BOB).unwrap().contents();
    assert_eq!((&before["seen"], &before["quarantine"]), (&after["seen"], &after["quarantine"]));
}

/// What is kept of the devices of a contact, in rows.
fn kept(stage: &mut Stage, node: usize) -> usize {
    let contents = stage.disk(node).unwrap().contents();
    let tables = ["olm_sessions", "outbound_channels", "inbound_channels", "channel_tags", "peer_devices"];
    tables.iter().map(|table| contents.get(table).map_or(0, |rows| rows.matches("), (").count())).sum()
}

/// All devices that a contact ever listed.
fn listed(stage: &mut Stage, node: usize) -> Vec<(DeviceId, bool)> {
    let contacts = stage.disk(node).unwrap().transaction(|tx| tx.contacts()).unwrap();
    let lists = contacts.into_iter().filter(|contact| contact.name.as_str() == "Alice");
    let devices = lists.flat_map(|contact| contact.device_list.unwrap().devices);
    devices.map(|listed| (listed.certificate.device, listed.revoked)).collect()
}

#[test]
fn of_revoked_devices_little_is_kept_and_in_time_nothing_secret() {
    let mut stage = friends();
    let mut left = Vec::new();
    for name in ["phone", "tablet", "watch"] {
        let device = stage.add_linked(ALICE, name).unwrap();
        stage.send(device, "Bob", "from a new device").unwrap();
        stage.send(BOB, "Alice", "to all").unwrap();
        stage.run(MINUTES).unwrap();
        stage.ask(ALICE, Command::DeviceRevoke { name: name.to_owned() }).unwrap().unwrap();
        stage.run(MINUTES).unwrap();
        stage.stop(device).unwrap();
        left.push(kept(&mut stage, BOB));
    }
    assert!(left[2] <= left[0], "it grows: {left:?}");
    let revoked: Vec<_> = listed(&mut stage, BOB).into_iter().filter(|(_, revoked)| *revoked).collect();
    assert_eq!(revoked.len(), 3);
    for (device, _) in &revoked {
        let disk = stage.disk(BOB).unwrap();
        let (sessions, channels, out) = disk
            .transaction(|tx| {
                Ok((tx.olm_sessions(device)?, tx.inbound_channels_of(device)?, tx.outbound_channel(device)?))
            })
            .unwrap();
        assert!(sessions.is_empty() && channels.is_empty() && out.is_none());
    }
    // Their sender keys stay as long as others do, in which what is on its way may come.
    let keys_of = |stage: &mut Stage, device: &DeviceId| {
        stage.disk(BOB).unwrap().contents()["receiver_keys"].contains(&format!("{device:?}"))
    };
    assert!(revoked.iter().all(|(device, _)| keys_of(&mut stage, device)));
    stage.sleep(31 * DAY).unwrap();
    stage.run(MINUTES * 5).unwrap();
    assert!(!revoked.iter().any(|(device, _)| keys_of(&mut stage, device)));
}

fn find(stage: &mut Stage, node: usize, name: &str) -> Option<ContactView> {
    stage.contacts(node).unwrap().into_iter().find(|contact| contact.name == name)
}

/// So many requests wait for a user already.
fn fill_requests(stage: &mut Stage, node: usize, count: usize) {
    stage.stop(node).unwrap();
    let now = stage.now();
    let filled = stage.disk(node).unwrap().transaction(|tx| {
        for n in 0..count {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&n.to_be_bytes());
            let user = IdentityKey::from_seed(&Secret::new(seed)).user();
            let name = Name::new(&format!("Asker {n}")).unwrap();
            tx.put_contact(&Contact::new(user, name, ContactState::Requested, Handle::new([1; 8]), now))?;
        }
        Ok(())
    });
    filled.unwrap();
    stage.start(node).unwrap();
}

#[test]
fn requests_beyond_the_bound_wait_for_room() {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol"], false).unwrap();
    fill_requests(&mut stage, ALICE, REQUESTS_MAX);
    let link = stage.invite(ALICE, 2).unwrap();
    for node in [BOB, CAROL] {
        let message = Some("hello".to_owned());
        let add = Command::ContactAdd { link: link.clone(), name: None, message };
        stage.contact(node, add).unwrap();
    }
    stage.run(MINUTES).unwrap();
    let status = stage.status(ALICE).unwrap();
    assert_eq!((status.requests, status.requests_kept), (REQUESTS_MAX, 2));
    assert_eq!(find(&mut stage, ALICE, "Bob"), None);
    // The invitation ends, and the process: they came in time, and wait on.
    stage.sleep(DAY).unwrap();
    stage.stop(ALICE).unwrap();
    stage.start(ALICE).unwrap();
    stage.contact(ALICE, Command::ContactDecline { name: "Asker 3".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    let status = stage.status(ALICE).unwrap();
    assert_eq!((status.requests, status.requests_kept), (REQUESTS_MAX, 1));
    stage.contact(ALICE, Command::ContactBlock { name: "Asker 4".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.status(ALICE).unwrap().requests_kept, 0);
    for (node, name) in [(BOB, "Bob"), (CAROL, "Carol")] {
        let asked = find(&mut stage, ALICE, name).unwrap();
        assert_eq!((asked.state.as_str(), asked.message.as_deref()), ("requested", Some("hello")));
        stage.contact(ALICE, Command::ContactAccept { name: name.to_owned() }).unwrap();
        stage.run(MINUTES).unwrap();
        stage.send(node, "Alice", "thank you").unwrap();
        assert_eq!(stage.said(ALICE, name).unwrap(), ["hello", "thank you"]);
    }
}

/// A relay drops the bundle of a device that was away. When the device is back, it is found again.
#[test]
fn a_bundle_that_the_relay_dropped_is_put_again() {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol"], false).unwrap();
    stage.relay_keeps_bundles(1).unwrap();
    stage.stop(BOB).unwrap();
    stage.sleep(3 * DAY).unwrap();
    stage.start(BOB).unwrap();
    stage.run(MINUTES).unwrap();
    stage.meet(BOB, CAROL).unwrap();
    stage.send(CAROL, "Bob", "found you").unwrap();
    assert_eq!(stage.said(BOB, "Carol").unwrap(), ["found you"]);
}

/// A member is introduced to somebody who does not know yet that they are in: nobody asked anything.
#[test]
fn an_introduction_of_a_member_who_is_not_known_yet_is_no_request() {
    let dave = 3;
    let mut stage = Stage::new(&["Alice", "Bob", "Carol", "Dave"], false).unwrap();
    [BOB, CAROL, dave].into_iter().for_each(|who| stage.meet(ALICE, who).unwrap());
    let members = ["Bob", "Carol"].map(ToOwned::to_owned).to_vec();
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    stage.run(MINUTES).unwrap();
    stage.hold(CAROL);
    let (group, members) = ("Club".to_owned(), vec!["Dave".to_owned()]);
    stage.group(ALICE, Command::GroupAdd { group, members, role: "member".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    let (openings, others): (Vec<Frame>, Vec<Frame>) = stage.let_go().into_iter().partition(is_opening);
    assert!(!openings.is_empty());
    openings.into_iter().for_each(|frame| stage.give(CAROL, frame).unwrap());
    assert_eq!(stage.members(CAROL, "Club").unwrap().len(), 3, "she was told of him");
    assert_eq!(stage.status(CAROL).unwrap().requests_kept, 0);
    stage.stop(CAROL).unwrap();
    stage.start(CAROL).unwrap();
    assert_eq!(stage.status(CAROL).unwrap().requests_kept, 0);
    drop(others);
    stage.run(10 * MINUTES).unwrap();
    stage.send(dave, "Club", "here I am").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(CAROL, "Club").unwrap(), ["here I am"]);
}

fn is_opening(frame: &Frame) -> bool {
    let payload = match &frame.body {
        Some(Body::Deliver(deliver)) => &deliver.payload,
        _ => return false,
    };
    matches!(classify(payload), Ok(PayloadKind::Opening { .. }))
}
