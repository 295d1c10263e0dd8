//! Conversations of real processes, on good days and on bad ones.

use anyhow::{Context, ensure};
use undertone::command::{ContactView, CountView, MessageView, SafetyNumberView};
use undertone::event::Event;
use undertone_tests::processes::{Person, Stage, Watch, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
type Tested = anyhow::Result<()>;

/// Waits until a text comes.
fn comes(watch: &mut Watch, wanted: &str) -> anyhow::Result<MessageView> {
    watch.until(&format!("`{wanted}` comes"), |event| match event {
        Event::Message { message } if message.text == wanted => Some(message.clone()),
        _ => None,
    })
}

/// The ticks of one message, up to one.
fn ticks(watch: &mut Watch, message: &str, last: &str) -> anyhow::Result<Vec<String>> {
    let mut seen = Vec::new();
    watch.until(&format!("{message} is {last}"), |event| match event {
        Event::Tick { id, state, .. } if id == message => {
            seen.push(state.clone());
            (state == last).then_some(())
        }
        _ => None,
    })?;
    Ok(seen)
}

fn texts(history: &[MessageView]) -> Vec<&str> {
    history.iter().map(|message| message.text.as_str()).collect()
}

/// Both show the same messages in this order.
fn both_show(one: &Person, other: &Person, wanted: &[&str]) -> Tested {
    let whole = |history: &[MessageView]| history.len() >= wanted.len();
    let a = one.until_history(&other.name, "all is there", whole)?;
    let b = other.until_history(&one.name, "all is there", whole)?;
    assert_eq!(texts(&a), wanted);
    let ids = |history: &[MessageView]| history.iter().map(|m| m.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&a), ids(&b));
    Ok(())
}

/// One writes, the other gets it and reads it; the ticks climb one by one, and none before its time.
fn write_and_read(from: &Person, to: &Person, text: &str) -> Tested {
    let (mut sender, mut recipient) = (from.watch()?, to.watch()?);
    let sent = from.send(&to.name, text)?;
    ensure!(sent.mine && sent.text == text && sent.failed.is_none(), "{sent:?}");
    ensure!(sent.state == "sent" || sent.state == "delivered", "{sent:?}");
    let came = comes(&mut recipient, text)?;
    assert_eq!((came.id, came.from.as_str(), came.mine), (sent.id.clone(), from.name.as_str(), false));
    assert_eq!(came.state, "received");
    let before = ticks(&mut sender, &sent.id, "delivered")?;
    ensure!(before == ["sent", "delivered"] || before == ["delivered"], "{before:?}");
    from.until_state(&to.name, &sent.id, "delivered")?;
    let read: CountView = to.json(&["read", &from.name])?;
    assert_eq!(read.messages, 1);
    assert_eq!(ticks(&mut sender, &sent.id, "read")?, ["read"]);
    from.until_state(&to.name, &sent.id, "read")?;
    let again: CountView = to.json(&["read", &from.name])?;
    assert_eq!(again.messages, 0);
    Ok(())
}

#[test]
fn both_online_ticks_climb_both_ways() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    write_and_read(&alice, &bob, "Hello, Bob")?;
    write_and_read(&bob, &alice, "Hello, Alice. Ünïcødé ☂, and\na second line")?;
    let number = |one: &Person, other: &Person| one.json(&["contact", "verify", &other.name]);
    let (a, b): (SafetyNumberView, SafetyNumberView) = (number(&alice, &bob)?, number(&bob, &alice)?);
    assert_eq!(a.number, b.number);
    both_show(&alice, &bob, &["Hello, Bob", "Hello, Alice. Ünïcødé ☂, and\na second line"])
}

#[test]
fn what_is_sent_to_somebody_away_waits_at_the_relay() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let (alice, mut bob) = stage.friends("Alice", "Bob")?;
    bob.stop()?;
    let first = alice.send("Bob", "Are you there?")?;
    let second = alice.send("Bob", "I'll wait")?;
    assert_eq!([first.state.as_str(), &second.state], ["sent", "sent"]);
    // The relay keeps it for longer than it lives itself.
    stage.relay.stop()?;
    alice.until_connected(false)?;
    stage.relay.start()?;
    alice.until_connected(true)?;
    let history = alice.history("Bob")?;
    ensure!(history.iter().all(|message| message.state == "sent"), "{history:?}");
    bob.start()?;
    alice.until_state("Bob", &second.id, "delivered")?;
    alice.until_state("Bob", &first.id, "delivered")?;
    both_show(&alice, &bob, &["Are you there?", "I'll wait"])
}

#[test]
fn what_is_written_without_a_running_node_goes_out_when_it_runs() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let (mut alice, bob) = stage.friends("Alice", "Bob")?;
    alice.stop()?;
    // A command's own node may send before it ends, if it reaches a relay.
    stage.relay.stop()?;
    for text in ["one", "two"] {
        let queued: MessageView = alice.json(&["send", "Bob", text, "--no-wait"])?;
        ensure!(queued.state == "queued" && queued.note.is_some(), "{queued:?}");
    }
    assert_eq!(texts(&bob.history("Alice")?), [""; 0]);
    stage.relay.start()?;
    alice.start()?;
    both_show(&alice, &bob, &["one", "two"])?;
    alice.until_history("Bob", "all is delivered", |history| {
        history.iter().all(|message| message.state == "delivered")
    })?;
    Ok(())
}

#[test]
fn a_command_without_a_running_node_sends_by_itself() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let (mut alice, bob) = stage.friends("Alice", "Bob")?;
    alice.stop()?;
    let mut watch = bob.watch()?;
    let sent: MessageView = alice.json(&["send", "Bob", "in passing", "--wait", "30"])?;
    ensure!(sent.state == "sent" || sent.state == "delivered", "{sent:?}");
    comes(&mut watch, "in passing")?;
    both_show(&alice, &bob, &["in passing"])
}

#[test]
fn while_the_relay_is_down_all_waits_at_its_author() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    let mut watches = [alice.watch()?, bob.watch()?];
    stage.relay.stop()?;
    for watch in &mut watches {
        watch.until("the relay is gone", |event| matches!(event, Event::RelayDown { .. }).then_some(()))?;
    }
    let by_alice: MessageView = alice.json(&["send", "Bob", "by Alice", "--no-wait"])?;
    let by_bob: MessageView = bob.json(&["send", "Alice", "by Bob", "--no-wait"])?;
    for queued in [&by_alice, &by_bob] {
        ensure!(queued.state == "queued" && queued.note.is_some(), "{queued:?}");
    }
    ensure!(alice.status()?.outbox > 0, "{:?}", alice.status()?);
    stage.relay.start()?;
    for watch in &mut watches {
        watch.until("the relay is back", |event| matches!(event, Event::RelayUp { .. }).then_some(()))?;
    }
    alice.until_state("Bob", &by_alice.id, "delivered")?;
    bob.until_state("Alice", &by_bob.id, "delivered")?;
    let (a, b) = (alice.history("Bob")?, bob.history("Alice")?);
    assert_eq!(a.len(), 2);
    assert_eq!(texts(&a), texts(&b));
    Ok(())
}

#[test]
fn what_is_written_before_the_acceptance_comes_after_it() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let (mut alice, mut bob) = (stage.person("Alice")?, stage.person("Bob")?);
    alice.start()?;
    bob.start()?;
    let (mut at_alice, mut at_bob) = (alice.watch()?, bob.watch()?);
    let link = alice.invite(&[])?.link;
    let added: ContactView = bob.json(&["contact", "add", &link, "--message", "It is me"])?;
    ensure!(added.state == "requesting" && added.introduced, "{added:?}");
    let request = at_alice.until("the request comes", |event| match event {
        Event::Request { contact } => Some(contact.clone()),
        _ => None,
    })?;
    assert_eq!((request.name.as_str(), request.message.as_deref()), ("Bob", Some("It is me")));
    let early = bob.send("Alice", "Are you thinking about it?")?;
    assert_eq!((early.state.as_str(), early.note.as_deref()), ("queued", Some("awaiting acceptance")));
    alice.command(&["send", "Bob", "hello"])?.refused(5, &["asked you first", "contact accept Bob"])?;

    let accepted: ContactView = alice.json(&["contact", "accept", "Bob"])?;
    assert_eq!(accepted.state, "accepted");
    at_bob.until("Bob is let in", |event| matches!(event, Event::Accepted { .. }).then_some(()))?;
    comes(&mut at_alice, "Are you thinking about it?")?;
    bob.until_history("Alice", "all is delivered", |history| {
        history.iter().all(|message| message.state == "delivered")
    })?;
    both_show(&alice, &bob, &["It is me", "Are you thinking about it?"])?;
    alice.json::<CountView>(&["read", "Bob"])?;
    bob.until_history("Alice", "all is read", |history| {
        history.iter().all(|message| message.state == "read")
    })?;
    write_and_read(&alice, &bob, "Welcome")
}

#[test]
fn a_restart_of_everything_keeps_everything() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let (mut alice, mut bob) = stage.friends("Alice", "Bob")?;
    write_and_read(&alice, &bob, "one")?;
    write_and_read(&bob, &alice, "two")?;
    let before = (alice.history("Bob")?, bob.history("Alice")?, alice.contact("Bob")?, alice.status()?.id);
    alice.stop()?;
    bob.stop()?;
    stage.relay.stop()?;
    stage.relay.start()?;
    alice.start()?;
    bob.start()?;
    let after = (alice.history("Bob")?, bob.history("Alice")?, alice.contact("Bob")?, alice.status()?.id);
    assert_eq!(before, after);
    write_and_read(&alice, &bob, "three")?;
    write_and_read(&bob, &alice, "four")?;
    both_show(&alice, &bob, &["one", "two", "three", "four"])
}

#[test]
fn who_runs_can_be_stopped_at_once() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let mut alice = stage.person("Alice")?;
    for _ in 0..5 {
        stage.relay.stop()?;
        stage.relay.start()?;
        alice.start()?;
        alice.stop()?;
    }
    Ok(())
}

#[test]
fn a_node_starts_when_the_command_that_has_the_account_ends() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let mut alice = stage.person("Alice")?;
    let watch = alice.watch()?;
    let waits = |log: std::path::PathBuf| {
        until("the node waits for the account", || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            Ok(log.contains("another command has the account").then_some(()))
        })
    };
    std::thread::scope(|scope| {
        let log = alice.log();
        let starting = scope.spawn(|| alice.start());
        waits(log)?;
        drop(watch);
        starting.join().ok().context("the thread that starts it panicked")?
    })?;
    // From then on commands ask it.
    assert_eq!(alice.status()?.contacts, 0);
    Ok(())
}
