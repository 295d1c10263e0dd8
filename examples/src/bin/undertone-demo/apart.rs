//! The story of two who live at different relays, of which one dies for good.

use std::time::Instant;

use anyhow::{Context, ensure};

use crate::stage::Stage;
use crate::story::{end, meet, read, settled};
use undertone_examples::tell::Teller;

const OVER_TWO_RELAYS: [&str; 4] = [
    "My relay says nothing of you.",
    "And mine has never heard of you.",
    "Yours only knows that something came from mine.",
    "Good. And if one of them sinks?",
];
const WHILE_IT_DIES: [&str; 2] = ["Then it sinks.", "I have another one."];
const AFTERWARDS: [&str; 4] =
    ["It is gone, with its disk.", "I did not notice.", "Nothing lost?", "Not a word."];

/// Plays it. An error if anything was lost or doubled, or did not go over two relays.
pub(crate) async fn play(teller: Teller) -> anyhow::Result<()> {
    teller.scene("Three relays of other people: Alice lives at the first, Bob at the other two");
    let mut stage = Stage::apart(2, teller).await?;
    meet(&mut stage).await?;
    teller.scene(
        "They talk: what one writes goes over their own relay to one of the other's, sealed to that one",
    );
    stage.chat(&OVER_TWO_RELAYS).await?;
    settled(&mut stage).await?;
    goes_over_two(&mut stage).await?;
    relay_dies(&mut stage).await?;
    teller.scene("They talk on");
    stage.chat(&AFTERWARDS).await?;
    read(&mut stage).await?;
    end(stage).await
}

async fn goes_over_two(stage: &mut Stage) -> anyhow::Result<()> {
    let (mut straight, mut forwarded) = (0, 0);
    for relay in stage.relays() {
        straight += relay.count("publishes").await?;
        forwarded += relay.count("forwards_answered").await?;
    }
    stage
        .teller
        .note(&format!("{forwarded} times a relay handed something on for its user; {straight} straight"));
    ensure!(straight == 0 && forwarded > 0, "somebody published at a relay of the other one");
    Ok(())
}

async fn relay_dies(stage: &mut Stage) -> anyhow::Result<()> {
    stage.teller.scene("kill -9 of Bob's first relay, with messages on their way, and its disk is gone");
    let [first, second] = WHILE_IT_DIES;
    stage.alice.send(first).await?;
    let died = Instant::now();
    let id = stage.others.first_mut().context("Bob has no relay of his own")?.lose().await?;
    stage.teller.note(&format!("process {id} is gone for good"));
    stage.bob.send(second).await?;
    settled(stage).await?;
    stage
        .teller
        .note(&format!("everything is delivered {:.1} s after it died", died.elapsed().as_secs_f64()));
    Ok(())
}
