//! Clocks that are wrong for a while: nothing waits for what was the time by them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::Command;
use undertone::store::NodeStore;
use undertone_protocol::ids::{DeviceId, UserId};
use undertone_protocol::time::Timestamp;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const YEARS: Duration = Duration::from_secs(4 * 365 * 24 * 3_600);
/// Longer than any wait, and any retry.
const LATER: Duration = Duration::from_secs(900);

fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage
}

/// Both get to each other within minutes.
fn talk(stage: &mut Stage) {
    stage.send(ALICE, "Bob", "from Alice").unwrap();
    stage.send(BOB, "Alice", "from Bob").unwrap();
    stage.run(Duration::from_secs(300)).unwrap();
    assert!(stage.said(BOB, "Alice").unwrap().contains(&"from Alice".to_owned()));
    assert!(stage.said(ALICE, "Bob").unwrap().contains(&"from Bob".to_owned()));
    assert!(stage.history(ALICE, "Bob").unwrap().iter().all(|message| message.state != "queued"));
}

#[test]
fn a_clock_that_is_set_back_stops_no_connection() {
    let mut stage = friends();
    stage.set_clock(ALICE, YEARS).unwrap();
    stage.run(LATER).unwrap();
    // It tries to connect, and waits between two tries.
    stage.unplug(ALICE).unwrap();
    stage.run(LATER).unwrap();
    stage.set_clock(ALICE, Duration::ZERO).unwrap();
    stage.plug(ALICE).unwrap();
    talk(&mut stage);
}

#[test]
fn what_was_begun_by_a_wrong_clock_goes_on_after_a_start() {
    let mut stage = friends();
    stage.set_clock(ALICE, YEARS).unwrap();
    stage.send(ALICE, "Bob", "from the future").unwrap();
    stage.run(LATER).unwrap();
    stage.stop(ALICE).unwrap();
    stage.send(BOB, "Alice", "meanwhile").unwrap();
    stage.set_clock(ALICE, Duration::ZERO).unwrap();
    stage.start(ALICE).unwrap();
    talk(&mut stage);
    assert!(stage.said(ALICE, "Bob").unwrap().contains(&"meanwhile".to_owned()));
}

/// What found a full mailbox, by a clock that is ahead, is published again when the clock is right.
fn put_off(is_restarted: bool) {
    let mut stage = friends();
    stage.relay_holds(3).unwrap();
    stage.stop(BOB).unwrap();
    stage.set_clock(ALICE, YEARS).unwrap();
    let texts: Vec<String> = (10..20).map(|n| format!("text {n}")).collect();
    texts.iter().for_each(|text| drop(stage.send(ALICE, "Bob", text).unwrap()));
    stage.run(LATER).unwrap();
    if is_restarted {
        stage.stop(ALICE).unwrap();
    }
    stage.set_clock(ALICE, Duration::ZERO).unwrap();
    if is_restarted {
        stage.start(ALICE).unwrap();
    }
    stage.start(BOB).unwrap();
    stage.run(LATER).unwrap();
    let mut said = stage.said(BOB, "Alice").unwrap();
    said.sort();
    assert_eq!(said, texts);
}

#[test]
fn what_was_put_off_does_not_wait_for_years() {
    put_off(false);
}

#[test]
fn what_was_put_off_does_not_wait_for_years_after_a_start() {
    put_off(true);
}

#[test]
fn what_a_relay_lost_is_sent_again_though_it_was_sealed_in_the_future() {
    let mut stage = friends();
    stage.stop(BOB).unwrap();
    stage.set_clock(ALICE, YEARS).unwrap();
    stage.send(ALICE, "Bob", "lost").unwrap();
    stage.set_clock(ALICE, Duration::ZERO).unwrap();
    stage.relay_forgets().unwrap();
    stage.start(BOB).unwrap();
    stage.send(BOB, "Alice", "what was it?").unwrap();
    stage.send(ALICE, "Bob", "it was this").unwrap();
    stage.run(LATER).unwrap();
    assert!(stage.said(BOB, "Alice").unwrap().contains(&"lost".to_owned()));
}

#[test]
fn nothing_in_the_store_is_of_a_time_to_come() {
    let mut stage = friends();
    stage.set_clock(ALICE, YEARS).unwrap();
    stage.sleep(Duration::from_secs(60)).unwrap();
    talk(&mut stage);
    stage.set_clock(ALICE, Duration::ZERO).unwrap();
    stage.run(LATER).unwrap();
    talk(&mut stage);
    let now = stage.now();
    let bob = DeviceId::from_hex(&stage.id(BOB).unwrap().device).unwrap();
    let times = stage.disk(ALICE).unwrap().transaction(|tx| {
        let mut times: Vec<Timestamp> = tx.account()?.map(|account| account.keys_made).into_iter().collect();
        times.extend(tx.peer_device(&bob)?.map(|peer| peer.fetched));
        times.extend(tx.olm_sessions(&bob)?.iter().map(|session| session.used));
        Ok(times)
    });
    let times = times.unwrap();
    assert!(times.len() > 2 && times.iter().all(|at| *at <= now), "{times:?}, now {now:?}");
}

#[test]
fn whoever_spoke_in_the_future_is_heard_later() {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.set_clock(ALICE, YEARS).unwrap();
    stage.run(LATER).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    let said_by_then = heard(&mut stage);
    stage.set_clock(ALICE, Duration::ZERO).unwrap();
    // She takes his token back, and gives him another one.
    let name = || "Bob".to_owned();
    stage.ask(ALICE, Command::ContactBlock { name: name() }).unwrap().unwrap();
    stage.ask(ALICE, Command::ContactUnblock { name: name() }).unwrap().unwrap();
    stage.run(LATER).unwrap();
    assert!(heard(&mut stage) > said_by_then, "what it says later counts");
    talk(&mut stage);
}

/// Alice's newest word on how she is reached, as Bob has it.
fn heard(stage: &mut Stage) -> Timestamp {
    let id = stage.id(ALICE).unwrap();
    let (alice, user) = (DeviceId::from_hex(&id.device).unwrap(), UserId::from_hex(&id.user).unwrap());
    let contact = stage.disk(BOB).unwrap().transaction(|tx| tx.contact(&user)).unwrap().unwrap();
    contact.introduced_by(&alice)
}
