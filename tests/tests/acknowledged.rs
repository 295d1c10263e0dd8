//! What devices acknowledge, and what they do not: what goes again to them, how much of it, and which ticks show.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::Command;
use undertone::engine::Origin;
use undertone::store::{NodeStore, Purpose};
use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::limits::RESENT_MESSAGES_PER_HOUR_MAX;
use undertone_protocol::log::{FrontierItem, SeqRange};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const LATER: Duration = Duration::from_secs(300);

fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage
}

fn user(stage: &mut Stage, node: usize) -> UserId {
    UserId::from_hex(&stage.id(node).unwrap().user).unwrap()
}

fn device(stage: &mut Stage, node: usize) -> DeviceId {
    DeviceId::from_hex(&stage.id(node).unwrap().device).unwrap()
}

fn conversation(stage: &mut Stage) -> ConversationId {
    direct_conversation(&user(stage, ALICE), &user(stage, BOB))
}

fn says(stage: &mut Stage, texts: u32) {
    for n in 0..texts {
        let command = Command::Send { name: "Bob".to_owned(), text: format!("text {n:03}") };
        stage.ask(ALICE, command).unwrap().unwrap();
    }
}

/// Bob's device signs that it holds this of what Alice's wrote, whatever it holds.
fn claims(stage: &mut Stage, held: &FrontierItem) {
    let (alice, conversation) = (device(stage, ALICE), conversation(stage));
    stage.stop(BOB).unwrap();
    let claimed = stage.disk(BOB).unwrap().transaction(|tx| {
        tx.put_frontier(&conversation, &alice, held)?;
        let mut own = tx.own_receipts(&conversation)?;
        own.due = true;
        tx.put_own_receipts(&conversation, &own)
    });
    claimed.unwrap();
    stage.start(BOB).unwrap();
}

/// What Bob's device holds of what Alice's wrote.
fn held(stage: &mut Stage) -> FrontierItem {
    let (alice, conversation) = (device(stage, ALICE), conversation(stage));
    let frontier = stage.disk(BOB).unwrap().transaction(|tx| tx.frontier(&conversation)).unwrap();
    frontier.into_iter().find(|(device, _)| *device == alice).map(|(_, item)| item).unwrap_or_default()
}

/// How many items Alice's device ever put into its outbox.
fn put(stage: &mut Stage) -> u64 {
    stage.disk(ALICE).unwrap().transaction(|tx| tx.outbox_last()).unwrap()
}

fn forged(from: u64) -> FrontierItem {
    FrontierItem { seq: 0, head: None, ranges: vec![SeqRange { from, through: from }], ends: Vec::new() }
}

#[test]
fn a_frontier_that_is_lowered_asks_for_nothing_again() {
    let mut stage = friends();
    says(&mut stage, 60);
    stage.run(LATER).unwrap();
    let all = held(&mut stage);
    let before = put(&mut stage);
    for from in [i64::MAX as u64, all.seq, 40, 2] {
        claims(&mut stage, &forged(from));
        stage.run(LATER).unwrap();
        claims(&mut stage, &all);
        stage.run(LATER).unwrap();
    }
    let more = put(&mut stage) - before;
    assert!(more < 12, "{more} items for what was acknowledged");
    let history = stage.history(ALICE, "Bob").unwrap();
    assert!(history.iter().all(|message| message.state == "delivered"), "no tick goes back");
}

#[test]
fn of_what_was_never_acknowledged_so_much_goes_again_in_an_hour() {
    let mut stage = friends();
    let texts = RESENT_MESSAGES_PER_HOUR_MAX + 60;
    let before = held(&mut stage);
    stage.unplug(BOB).unwrap();
    says(&mut stage, texts);
    stage.relay_forgets().unwrap();
    let sent = put(&mut stage);
    // Bob's device says again and again that it has nothing of it, and takes nothing in.
    stage.plug(BOB).unwrap();
    for _ in 0..6 {
        claims(&mut stage, &before);
        stage.run(Duration::from_secs(2)).unwrap();
        stage.unplug(BOB).unwrap();
        stage.relay_forgets().unwrap();
        stage.run(Duration::from_secs(240)).unwrap();
        stage.relay_forgets().unwrap();
        stage.plug(BOB).unwrap();
    }
    let more = put(&mut stage) - sent;
    // With keys, and what else is said.
    let most = u64::from(RESENT_MESSAGES_PER_HOUR_MAX) * 2;
    assert!(more > 0 && more < most, "{more} items");
    // Nothing is lost: what it acknowledges makes room for the rest.
    stage.run(Duration::from_secs(2 * 3_600)).unwrap();
    let said = stage.said(BOB, "Alice").unwrap();
    assert_eq!(said.len(), texts as usize);
}

#[test]
fn many_acknowledged_at_once_are_all_taken_in_even_after_a_crash() {
    let mut stage = friends();
    stage.unplug(BOB).unwrap();
    says(&mut stage, 600);
    stage.hold(ALICE);
    stage.plug(BOB).unwrap();
    stage.run(LATER).unwrap();
    // The acknowledgement is taken in by pages: after the first one the process ends.
    for frame in stage.let_go() {
        stage.give(ALICE, frame).unwrap();
    }
    stage.stop(ALICE).unwrap();
    stage.start(ALICE).unwrap();
    stage.run(LATER).unwrap();
    let history = stage.history(ALICE, "Bob").unwrap();
    assert_eq!(history.len(), 600);
    assert!(history.iter().all(|message| message.state == "delivered"));
}

#[test]
fn what_another_copy_wrote_ticks_nothing_here() {
    let mut stage = friends();
    stage.send(BOB, "Alice", "before").unwrap();
    stage.run(LATER).unwrap();
    let copy = stage.add("copy", Origin::New).unwrap();
    stage.stop(BOB).unwrap();
    stage.stop(copy).unwrap();
    stage.copy_disk(BOB, copy).unwrap();
    stage.start(copy).unwrap();
    stage.send(copy, "Alice", "written by the copy").unwrap();
    stage.stop(copy).unwrap();
    // Bob writes another one in its place, and then hears that Alice has that number.
    stage.unplug(BOB).unwrap();
    stage.start(BOB).unwrap();
    let command = Command::Send { name: "Alice".to_owned(), text: "written by Bob".to_owned() };
    stage.ask(BOB, command).unwrap().unwrap();
    stage.plug(BOB).unwrap();
    let message = stage.history(BOB, "Alice").unwrap().into_iter().find(|one| one.text == "written by Bob");
    let state = message.unwrap().state;
    assert!(["queued", "sent"].contains(&state.as_str()), "{state}");
}

/// Bob's laptop can't be reached while Alice writes; Bob's other device gets it, and is gone.
fn left_out(is_acknowledged: bool) {
    let mut stage = friends();
    let laptop = stage.add_linked(BOB, "laptop").unwrap();
    stage.send(ALICE, "Bob", "before").unwrap();
    stage.run(LATER).unwrap();
    let (id, bob) = (device(&mut stage, laptop), user(&mut stage, BOB));
    stage.stop(laptop).unwrap();
    // Its bundle is not to be had.
    stage.stop(ALICE).unwrap();
    let mut whole = None;
    let taken = stage.disk(ALICE).unwrap().transaction(|tx| {
        let mut contact = tx.contact(&bob)?.unwrap();
        whole = Some((contact.bundles.clone(), tx.peer_device(&id)?.unwrap()));
        contact.bundles.retain(|access| access.device != id);
        tx.put_contact(&contact)?;
        tx.delete_peer_device(&id)
    });
    taken.unwrap();
    let (bundles, peer) = whole.unwrap();
    stage.start(ALICE).unwrap();
    if !is_acknowledged {
        stage.unplug(BOB).unwrap();
    }
    let sent = stage.send(ALICE, "Bob", "left out").unwrap();
    assert_eq!(sent.state == "delivered", is_acknowledged, "{sent:?}");
    stage.unplug(BOB).unwrap();
    // It can be had again.
    stage.stop(ALICE).unwrap();
    let given = stage.disk(ALICE).unwrap().transaction(|tx| {
        let mut contact = tx.contact(&bob)?.unwrap();
        contact.bundles = bundles;
        tx.put_contact(&contact)?;
        tx.put_peer_device(&peer)
    });
    given.unwrap();
    stage.start(ALICE).unwrap();
    stage.start(laptop).unwrap();
    stage.run(LATER).unwrap();
    assert!(stage.said(laptop, "Alice").unwrap().contains(&"left out".to_owned()));
    stage.run(LATER).unwrap();
    let left = stage.disk(ALICE).unwrap().transaction(|tx| tx.outbox_heads(0, 1_000)).unwrap();
    let mut waits = left.iter().filter(|item| matches!(item.purpose, Purpose::Entry(_)));
    assert!(waits.all(|item| item.counts.left_out == 0), "{left:?}");
}

#[test]
fn a_device_that_could_not_be_reached_gets_what_the_others_have_without_them() {
    left_out(true);
}

#[test]
fn a_device_that_could_not_be_reached_gets_what_nobody_has_yet() {
    left_out(false);
}
