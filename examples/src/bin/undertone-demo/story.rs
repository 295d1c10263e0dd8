//! The story of two.

use serde_json::json;

use crate::stage::Stage;
use undertone_examples::checks::{Compared, compare};
use undertone_examples::tell::Teller;

const SMALL_TALK: [&str; 8] = [
    "There you are!",
    "Here I am. Is anybody listening?",
    "Only the relay, and it sees sealed envelopes.",
    "Then let me tell you about the boat.",
    "The blue one?",
    "The blue one. It floats again!",
    "Since when?",
    "Since Tuesday. Well, mostly.",
];
const TO_BOB_OFFLINE: [&str; 4] = [
    "Are you on the water?",
    "I found the old chart.",
    "It shows a second island.",
    "Write when you are back.",
];
const BY_BOB_OFFLINE: [&str; 3] =
    ["No signal out here.", "I write this anyway.", "It goes out when I am back."];
const BEFORE_THE_RELAY_DIES: &str = "Did the relay just die?";
const WITHOUT_RELAY: [&str; 2] = ["No matter. This one waits here.", "And so does this one."];
const BEFORE_ALICE_DIES: &str = "Hello?";
const WITHOUT_ALICE: [&str; 2] = ["Your node is gone, I think.", "The relay keeps this for you."];
const LAST_WORDS: [&str; 4] =
    ["I was killed. I feel fine.", "Nothing lost?", "Not a word, and none twice.", "See you on the island."];

/// Plays it. An error if anything was lost or doubled.
pub(crate) async fn play(teller: Teller) -> anyhow::Result<()> {
    teller.scene("A relay, and two people who know it");
    let mut stage = Stage::new(teller).await?;
    teller.note(&format!("the relay listens on {}", stage.relay.address()));
    meet(&mut stage).await?;
    teller.scene("They talk");
    stage.chat(&SMALL_TALK).await?;
    offline(&mut stage).await?;
    relay_killed(&mut stage).await?;
    alice_killed(&mut stage).await?;
    teller.scene("They talk again");
    stage.chat(&LAST_WORDS).await?;
    read(&mut stage).await?;
    end(stage).await
}

pub(crate) async fn meet(stage: &mut Stage) -> anyhow::Result<()> {
    stage.alice.start().await?;
    stage.bob.start().await?;
    stage.until("both are connected", |stage| stage.alice.connected && stage.bob.connected).await?;
    stage.teller.scene("Alice makes an invitation, Bob uses it");
    let link = stage.alice.invite().await?;
    stage.teller.note(&format!("the link: {link}"));
    stage.bob.add(&link, "It is me, Bob, from the harbour.").await?;
    stage.until("Bob's request arrives", |stage| !stage.alice.requests.is_empty()).await?;
    stage.alice.accept("Bob").await?;
    stage.until("Bob knows that Alice let him in", |stage| stage.bob.accepted).await
}

async fn offline(stage: &mut Stage) -> anyhow::Result<()> {
    stage.teller.scene("Bob goes offline; Alice goes on writing, and the relay keeps it for him");
    stage.bob.stop().await?;
    for text in TO_BOB_OFFLINE {
        stage.alice.send(text).await?;
    }
    stage.until("the relay has it all", |stage| stage.alice.all_reached("sent")).await?;
    // Now it holds messages that nobody fetched yet.
    stage.search_relays()?;
    stage.teller.scene("Bob writes too, with neither node nor relay; then he comes back");
    stage.relay.stop().await?;
    stage.until("Alice sees that the relay is gone", |stage| !stage.alice.connected).await?;
    for text in BY_BOB_OFFLINE {
        stage.bob.send(text).await?;
    }
    stage.relay.start().await?;
    stage.bob.start().await?;
    settled(stage).await
}

async fn relay_killed(stage: &mut Stage) -> anyhow::Result<()> {
    stage.teller.scene("kill -9 of the relay, with messages on their way");
    stage.alice.send(BEFORE_THE_RELAY_DIES).await?;
    let id = stage.relay.kill().await?;
    stage.teller.note(&format!("process {id} is gone"));
    for text in WITHOUT_RELAY {
        stage.alice.send(text).await?;
    }
    let gone = |stage: &Stage| !stage.alice.connected && !stage.bob.connected;
    stage.until("both see that the relay is gone", gone).await?;
    stage.relay.start().await?;
    stage.teller.note("the relay is back");
    settled(stage).await
}

async fn alice_killed(stage: &mut Stage) -> anyhow::Result<()> {
    stage.teller.scene("kill -9 of Alice's node, with messages on their way");
    stage.bob.send(BEFORE_ALICE_DIES).await?;
    let id = stage.alice.kill().await?;
    stage.teller.note(&format!("process {id} is gone"));
    for text in WITHOUT_ALICE {
        stage.bob.send(text).await?;
    }
    stage.until("the relay has it all", |stage| stage.bob.all_reached("sent")).await?;
    stage.alice.start().await?;
    stage.teller.note("Alice is back");
    settled(stage).await
}

/// Everything that was written has arrived, and whoever wrote it knows.
pub(crate) async fn settled(stage: &mut Stage) -> anyhow::Result<()> {
    let settled = |stage: &Stage| stage.alice.all_reached("delivered") && stage.bob.all_reached("delivered");
    stage.until("everything is delivered", settled).await
}

pub(crate) async fn read(stage: &mut Stage) -> anyhow::Result<()> {
    settled(stage).await?;
    stage.teller.scene("Both read what they got, and the ticks turn");
    stage.alice.read().await?;
    stage.bob.read().await?;
    let read = |stage: &Stage| stage.alice.all_reached("read") && stage.bob.all_reached("read");
    stage.until("everything is read", read).await
}

pub(crate) async fn end(mut stage: Stage) -> anyhow::Result<()> {
    let teller = stage.teller;
    teller.scene("The conversation, as Alice has it");
    let (alice, bob) = (stage.alice.history().await?, stage.bob.history().await?);
    teller.history(stage.alice.name, &alice);
    if !teller.is_plain() {
        teller.history(stage.bob.name, &bob);
    }
    stage.alice.stop().await?;
    stage.bob.stop().await?;
    for relay in stage.relays() {
        relay.stop().await?;
    }
    stage.search_relays()?;

    let wrote = [stage.alice.wrote.as_slice(), &stage.bob.wrote];
    let Compared { sent, delivered, read, lost, duplicates, same_order } = compare(&alice, &bob, wrote);
    let plaintexts = stage.plaintexts;
    let summary = json!({
        "event": "summary", "sent": sent, "delivered": delivered, "read": read, "lost": lost,
        "duplicates": duplicates, "same_order": same_order, "plaintexts_at_relay": plaintexts,
    });
    let order =
        if same_order { "the same order on both sides" } else { "a different order on the two sides" };
    teller.summary(
        &summary,
        &format!(
            "{sent} sent, {delivered} delivered, {read} read, {lost} lost, {duplicates} doubled, {order}"
        ),
    );
    anyhow::ensure!(
        lost == 0 && duplicates == 0 && same_order && plaintexts == 0 && read == sent,
        "the conversation is not what was written"
    );
    Ok(())
}
