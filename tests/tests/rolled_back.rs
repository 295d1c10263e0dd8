//! Stores that were put back from a backup: the checkpoint at the home relay gives them away before they send.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use undertone::command::{Command, ErrorKind};
use undertone::engine::Origin;
use undertone::event::Event;
use undertone_protocol::wire::{Frame, PutCheckpoint, Signed, frame::Body};
use undertone_tests::processes::{Stage as RealStage, put_copy, until};
use undertone_tests::simulation::Stage;

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");

const ALICE: usize = 0;
const BOB: usize = 1;

const MINUTES: Duration = Duration::from_secs(180);

fn to_alice(text: &str) -> Command {
    Command::Send { name: "Alice".to_owned(), text: text.to_owned() }
}

/// Alice and Bob, who know each other, and where Bob's disk is copied to.
fn friends() -> (Stage, usize) {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage.send(BOB, "Alice", "before").unwrap();
    let backup = stage.add("backup", Origin::New).unwrap();
    stage.stop(backup).unwrap();
    stage.copy_disk(BOB, backup).unwrap();
    (stage, backup)
}

fn put_back(stage: &mut Stage, backup: usize) {
    stage.stop(BOB).unwrap();
    stage.copy_disk(backup, BOB).unwrap();
    stage.start(BOB).unwrap();
}

#[test]
fn a_store_that_was_put_back_sends_nothing_and_says_what_to_do() {
    let (mut stage, backup) = friends();
    stage.send(BOB, "Alice", "after the backup").unwrap();
    stage.stop(BOB).unwrap();
    stage.send(ALICE, "Bob", "waits for Bob").unwrap();
    let before = stage.relay_bytes().unwrap();
    put_back(&mut stage, backup);
    stage.run(MINUTES).unwrap();
    assert!(stage.events(BOB).contains(&Event::RolledBack {}));
    let status = stage.status(BOB).unwrap();
    assert_eq!(status.device_state, "rolled back");
    let warning = status.warning.unwrap();
    assert!(warning.contains("old copy") && warning.contains("init --recover"), "{warning}");
    let refusal = stage.refusal(BOB, to_alice("from the old copy")).unwrap();
    assert_eq!(refusal.kind, ErrorKind::Conflict);
    // It shows what it has, and what comes; and says of neither that it does.
    assert_eq!(stage.said(BOB, "Alice").unwrap(), ["before", "waits for Bob"]);
    assert_eq!(stage.history(ALICE, "Bob").unwrap().last().unwrap().state, "sent");
    // A process more, and a relay that forgot everything, change nothing.
    stage.stop(BOB).unwrap();
    stage.relay_forgets().unwrap();
    stage.start(BOB).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.status(BOB).unwrap().device_state, "rolled back");
    assert!(stage.relay_bytes().unwrap() < before, "nothing was registered anew, nor stored");
}

/// Also where nobody read what was sent since, and where only acknowledgements were.
#[test]
fn what_was_only_acknowledged_since_counts() {
    let (mut stage, backup) = friends();
    stage.send(ALICE, "Bob", "comes after the backup").unwrap();
    stage.run(MINUTES).unwrap();
    put_back(&mut stage, backup);
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.status(BOB).unwrap().device_state, "rolled back");
}

#[test]
fn who_restarts_or_meets_a_relay_that_forgot_goes_on() {
    let (mut stage, backup) = friends();
    // Nothing was sent since: the copy is as good as the store.
    put_back(&mut stage, backup);
    stage.send(BOB, "Alice", "from the same store").unwrap();
    stage.stop(BOB).unwrap();
    stage.relay_forgets().unwrap();
    stage.start(BOB).unwrap();
    stage.run(MINUTES).unwrap();
    stage.send(BOB, "Alice", "at a new relay").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(ALICE, "Bob").unwrap(), ["before", "from the same store", "at a new relay"]);
    assert_eq!(stage.status(BOB).unwrap().device_state, "active");
}

/// A relay may keep what it likes: without the device's own signature it silences nobody.
#[test]
fn a_checkpoint_that_the_device_did_not_sign_is_passed_over() {
    let (mut stage, _) = friends();
    let forged = Signed { body: vec![8, 1, 16, 1, 24, 200, 1].into(), signature: vec![7; 64].into() };
    let body = Body::PutCheckpoint(PutCheckpoint { checkpoint: Some(forged) });
    stage.inject(BOB, Frame { request: 0, body: Some(body) }).unwrap();
    stage.stop(BOB).unwrap();
    stage.start(BOB).unwrap();
    stage.send(BOB, "Alice", "not silenced").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(ALICE, "Bob").unwrap(), ["before", "not silenced"]);
}

/// On real processes and files.
#[test]
fn files_that_were_put_back_are_silenced() {
    let stage = RealStage::new(PROGRAM).unwrap();
    let (mut alice, mut bob) = stage.friends("Alice", "Bob").unwrap();
    bob.stop().unwrap();
    let backup = stage.dir().join("backup");
    put_copy(&bob.home, &backup).unwrap();
    bob.start().unwrap();
    // Checkpoints follow each other by a fifth of a second: one for some of this is at the relay.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        let sent = bob.send("Alice", "after the backup").unwrap();
        bob.until_state("Alice", &sent.id, "delivered").unwrap();
    }
    bob.kill().unwrap();
    put_copy(&backup, &bob.home).unwrap();
    bob.start().unwrap();
    let status = until("the old copy is found out", || {
        let status = bob.status()?;
        Ok((status.device_state == "rolled back").then_some(status))
    });
    assert!(status.unwrap().warning.unwrap().contains("init --recover"));
    let refused = bob.command(&["send", "Alice", "from the old copy"]).unwrap();
    assert_eq!(refused.code(), Some(5), "{refused:?}");
    alice.stop().unwrap();
    bob.stop().unwrap();
}
