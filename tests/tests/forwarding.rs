//! What is written at one relay to somebody at another one, with real processes: it goes over both, waits while the other one
//! is away, and neither learns who writes to whom.

use std::fs;

use anyhow::ensure;
use undertone::command::{CountView, MessageView};
use undertone_tests::processes::{Apart, Relay};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const NAMES: [&str; 2] = ["Alice", "Bob"];
type Tested = anyhow::Result<()>;

/// The relay runs from now on with another limit.
fn limit(relay: &mut Relay, line: &str) -> Tested {
    relay.stop()?;
    let text = fs::read_to_string(relay.config())?;
    fs::write(relay.config(), text.replace("[limits]\n", &format!("[limits]\n{line}\n")))?;
    relay.start()
}

#[test]
fn what_is_written_goes_over_both_relays() -> Tested {
    let apart = Apart::new(PROGRAM, NAMES)?;
    apart.talk(["over the hills", "and back"])?;
    apart.shows(&["over the hills", "and back"])?;
    for relay in [&apart.stage.relay, &apart.other] {
        let (taken, decided) = (relay.count("forwards_taken")?, relay.count("parcels_decided")?);
        ensure!(taken > 2 && decided > 2, "{taken} forwards, {decided} parcels");
        ensure!(relay.count("publishes")? == 0, "somebody published straight");
    }
    Ok(())
}

#[test]
fn what_waits_at_a_home_relay_gets_there_whatever_is_killed_meanwhile() -> Tested {
    let mut apart = Apart::new(PROGRAM, NAMES)?;
    apart.talk(["before", "and back"])?;
    apart.other.kill()?;
    let waits = apart.alice.send("Bob", "wait for me")?;
    apart.alice.until_state("Bob", &waits.id, "waiting")?;
    // What the home relay signed for is durable, and so is what the node must know for the answer.
    apart.stage.relay.kill()?;
    apart.alice.kill()?;
    apart.bob.kill()?;
    apart.stage.relay.start()?;
    apart.alice.start()?;
    apart.other.start()?;
    apart.alice.until_state("Bob", &waits.id, "sent")?;
    apart.bob.start()?;
    apart.alice.until_state("Bob", &waits.id, "delivered")?;
    apart.shows(&["before", "and back", "wait for me"])
}

#[test]
fn what_a_home_relay_gives_up_shows_as_failed_and_can_be_tried_again() -> Tested {
    let mut apart = Apart::new(PROGRAM, NAMES)?;
    apart.talk(["before", "and back"])?;
    limit(&mut apart.stage.relay, "forward_age_ms_max = 60000")?;
    apart.alice.until_connected(true)?;
    apart.other.kill()?;
    let lost = apart.alice.send("Bob", "is anybody there?")?;
    let failed = |history: &[MessageView]| {
        history
            .iter()
            .any(|m| m.id == lost.id && m.failed.as_ref().is_some_and(|why| why.contains("unreachable")))
    };
    // A minute is the least that a relay can be told to try, and longer than anything is waited for at once.
    apart
        .alice
        .until_history("Bob", "it has failed", failed)
        .or_else(|_| apart.alice.until_history("Bob", "it has failed", failed))?;
    apart.other.start()?;
    // His node and her relay would call it again within a minute or two.
    apart.bob.stop()?;
    apart.bob.start()?;
    apart.stage.relay.stop()?;
    apart.stage.relay.start()?;
    let _: CountView = apart.alice.json(&["retry", "Bob"])?;
    apart.alice.until_state("Bob", &lost.id, "delivered")?;
    apart.shows(&["before", "and back", "is anybody there?"])
}

#[test]
fn where_the_home_relay_forwards_nothing_the_straight_way_serves() -> Tested {
    let mut apart = Apart::new(PROGRAM, NAMES)?;
    apart.stage.relay.stop()?;
    let text = fs::read_to_string(apart.stage.relay.config())?;
    let text = text.replace("[federation]\n", "[federation]\npolicy = \"allow\"\n");
    fs::write(apart.stage.relay.config(), text)?;
    apart.stage.relay.start()?;
    apart.alice.until_connected(true)?;
    let sent = apart.alice.send("Bob", "straight on")?;
    apart.alice.until_state("Bob", &sent.id, "delivered")?;
    ensure!(apart.other.count("publishes")? > 0, "it did not go the straight way");
    Ok(())
}
