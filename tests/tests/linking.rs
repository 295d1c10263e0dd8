//! Several devices of one user, as real processes.

use anyhow::{Context, ensure};
use undertone::command::{DeviceView, MessageView};
use undertone_tests::processes::{Stage, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
type Tested = anyhow::Result<()>;

fn texts(history: &[MessageView]) -> Vec<&str> {
    history.iter().filter(|message| message.kind == "text").map(|message| message.text.as_str()).collect()
}

#[test]
fn a_phone_is_linked_killed_used_and_revoked() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    for number in 1..=40 {
        let (from, to) = if number % 2 == 0 { (&alice, "Bob") } else { (&bob, "Alice") };
        from.send(to, &format!("before {number}"))?;
    }
    let mut phone = stage.device("phone", &alice)?;
    phone.start()?;
    // Somewhere amid the history.
    phone.kill()?;
    phone.start()?;
    until("the phone knows Bob", || Ok(phone.contact("Bob")?.map(drop)))?;
    let whole = |count: usize| move |history: &[MessageView]| texts(history).len() >= count;
    let at_phone = phone.until_history("Bob", "it is all there", whole(40)).context("the phone's history")?;
    assert_eq!(texts(&at_phone), texts(&alice.until_history("Bob", "all is there", whole(40))?));

    phone.send("Bob", "from the phone")?;
    bob.send("Alice", "to all of you")?;
    phone.send("me", "buy milk")?;
    for device in [&alice, &phone] {
        let last = device.until_history("Bob", "the latest came", whole(42))?;
        let last = texts(&last);
        ensure!(last.contains(&"from the phone") && last.contains(&"to all of you"), "{last:?}");
        device.until_history("me", "the note", |notes| texts(notes) == ["buy milk"])?;
    }
    bob.until_history("Alice", "all came", whole(42))?;

    alice.command(&["device", "revoke", "phone"])?.succeeded()?;
    bob.until_history("Alice", "the phone is gone", |history| {
        history.last().is_some_and(|last| last.text.ends_with("here on: desktop)"))
    })?;
    bob.send("Alice", "for the desktop alone")?;
    alice.until_history("Bob", "it came", whole(43))?;
    let state: Vec<DeviceView> = alice.json(&["device", "list"])?;
    assert_eq!(state.iter().map(|device| device.state.as_str()).collect::<Vec<_>>(), ["active", "revoked"]);
    ensure!(!texts(&phone.history("Bob")?).contains(&"for the desktop alone"), "the phone got it");
    Ok(())
}

#[test]
fn an_identity_comes_back_by_its_phrase() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let made = undertone_tests::processes::Account::planned(stage.program(), stage.dir(), "Alice")?;
    let phrase: serde_json::Value = made.init(&[stage.relay.address()])?.succeeded()?.json()?;
    let phrase = phrase.get("phrase").and_then(|phrase| phrase.as_str()).context("no phrase was shown")?;
    let before: undertone::command::IdView = made.json(&["id"])?;

    let file = stage.dir().join("phrase");
    std::fs::write(&file, phrase)?;
    let anew = undertone_tests::processes::Account::planned(stage.program(), stage.dir(), "anew")?;
    let file = file.to_str().context("an odd path")?;
    let relay = stage.relay.address();
    let recover = ["init", "--name", "Alice", "--relay", relay, "--recover", "--phrase-file", file];
    let shown = anew.command(&recover)?.succeeded()?;
    ensure!(!shown.stdout.contains("phrase"), "a phrase that is known is not shown again: {shown:?}");
    let after: undertone::command::IdView = anew.json(&["id"])?;
    assert_eq!((&after.user, after.device == before.device), (&before.user, false));

    std::fs::write(file, "abandon abandon")?;
    let other = undertone_tests::processes::Account::planned(stage.program(), stage.dir(), "other")?;
    let refused = other.command(&recover)?;
    assert_eq!(refused.code(), Some(3), "{refused:?}");
    Ok(())
}
