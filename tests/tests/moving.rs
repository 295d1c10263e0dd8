//! A relay that moves to another address, with real processes: nobody does anything about it.

use std::net::TcpListener;

use anyhow::{Context, ensure};
use undertone::command::HomeRelayView;
use undertone_tests::processes::{Person, Relay, Stage, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
type Tested = anyhow::Result<()>;

fn write(from: &Person, to: &Person, text: &str) -> Tested {
    let sent = from.send(&to.name, text)?;
    from.until_state(&to.name, &sent.id, "delivered")
}

/// Where it listens, without its key.
fn place(relay: &Relay) -> anyhow::Result<String> {
    let (place, _) = relay.address().split_once("/p2p/").context("an address without a key")?;
    Ok(place.to_owned())
}

#[test]
fn a_relay_that_moved_while_the_other_was_away_is_found() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let mut other = Relay::create(stage.program(), stage.dir().join("other"))?;
    for relay in [&mut stage.relay, &mut other] {
        relay.restart_with("heartbeat_ms", "1000")?;
    }
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    let _: Vec<HomeRelayView> = bob.json(&["relay", "add", other.address()])?;
    bob.until_home_relays(&["ready", "ready"])?;
    write(&alice, &bob, "before")?;
    write(&bob, &alice, "and back")?;

    let before = place(&other)?;
    stage.relay.stop()?;
    other.stop()?;
    // Nothing else gets its place.
    let held = TcpListener::bind(before.replace("/ip4/", "").replace("/tcp/", ":"))?;
    other.start_elsewhere()?;
    let after = place(&other)?;
    ensure!(before != after, "it did not move");
    stage.relay.start()?;

    until("Bob finds the relay that moved", || {
        let relays = bob.home_relays()?;
        let is_found = |relay: &HomeRelayView| relay.connected && relay.addresses.contains(&after);
        Ok(relays.iter().any(is_found).then_some(()))
    })?;
    bob.until_home_relays(&["ready", "ready"])?;
    // From now on he is there alone, and what Alice writes goes from her relay to it.
    let first = bob.home_relays()?.into_iter().find(|relay| !relay.addresses.contains(&after));
    let first = first.map(|relay| relay.relay).unwrap_or_default();
    let _: Vec<HomeRelayView> = bob.json(&["relay", "remove", &first])?;
    bob.until_home_relays(&["retiring", "ready"])?;
    write(&alice, &bob, "where it is now")?;
    write(&bob, &alice, "and back from there")?;
    drop(held);
    Ok(())
}
