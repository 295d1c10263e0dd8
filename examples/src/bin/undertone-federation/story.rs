//! The story of six people at three relays.

use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::json;
use undertone_examples::checks::{Tally, same_end, tally};
use undertone_examples::circle::Circle;
use undertone_examples::tell::Teller;

/// What their group is called.
const HARBOUR: &str = "Harbour";
/// Who lives at which relays. Nobody lives at the last one alone, which dies.
const PEOPLE: [(&str, &[usize]); 6] = [
    ("Alice", &[0]),
    ("Bob", &[1]),
    ("Carol", &[2, 0]),
    ("Dave", &[2, 1]),
    ("Erin", &[0, 1]),
    ("Frank", &[1, 2]),
];
const RELAYS: usize = 3;
const DOOMED: usize = 2;
const BEFORE: [(&str, &str); 6] = [
    ("Alice", "Six of us, and three relays."),
    ("Bob", "Nobody knows which of them the others use."),
    ("Carol", "But whoever writes to them."),
    ("Dave", "And no relay sees who that is."),
    ("Erin", "What if one burns down?"),
    ("Frank", "Then there are two."),
];
const WHILE_IT_DIES: [(&str, &str); 3] =
    [("Alice", "Something smells of smoke."), ("Dave", "It is mine!"), ("Carol", "And mine.")];
const AFTER: [(&str, &str); 3] =
    [("Frank", "Are you all still here?"), ("Dave", "I am."), ("Carol", "So am I. That was all?")];

/// Plays it. An error if anything was lost, doubled, or shown to whom it was not for, or went straight to a relay of others.
pub(crate) async fn play(teller: Teller) -> anyhow::Result<()> {
    teller.scene("Three relays, and six people at one or two of them each");
    let mut circle = Circle::new(HARBOUR, RELAYS, &PEOPLE, teller).await?;
    circle.until("all are connected", |circle| circle.people.iter().all(|person| person.connected)).await?;
    gather(&mut circle).await?;
    talk(&mut circle, &BEFORE).await?;
    forwarded(&mut circle).await?;
    burn(&mut circle).await?;
    teller.scene("They talk on");
    talk(&mut circle, &AFTER).await?;
    end(circle).await
}

async fn gather(circle: &mut Circle) -> anyhow::Result<()> {
    circle.teller.scene("Alice gets to know the others, and makes a group");
    let others = PEOPLE.map(|(name, _)| name).into_iter().filter(|name| *name != "Alice");
    let mut words = vec!["create", HARBOUR];
    for name in others {
        circle.meet("Alice", name).await?;
        words.extend(["--member", name]);
    }
    circle.person("Alice")?.group(&words).await?;
    let everybody = PEOPLE.map(|(name, _)| name);
    circle.until_members(&everybody, &everybody).await
}

async fn talk(circle: &mut Circle, texts: &[(&str, &str)]) -> anyhow::Result<()> {
    for (who, text) in texts {
        circle.say(who, text).await?;
        circle.until_heard().await?;
    }
    Ok(())
}

/// What went over two relays, and what did not.
async fn forwarded(circle: &mut Circle) -> anyhow::Result<()> {
    let mut answered = 0;
    for relay in &circle.relays {
        answered += relay.count("forwards_answered").await?;
    }
    circle.teller.note(&format!("{answered} times a relay handed something on to another one for its user"));
    ensure!(answered > 0, "nothing went over two relays");
    Ok(())
}

async fn burn(circle: &mut Circle) -> anyhow::Result<()> {
    circle.teller.scene("kill -9 of one relay, with messages on their way, and its disk is gone");
    let [(who, text), rest @ ..] = WHILE_IT_DIES;
    circle.say(who, text).await?;
    let died = Instant::now();
    let id = circle.relays.get_mut(DOOMED).context("no such relay")?.lose().await?;
    circle.teller.note(&format!("process {id} is gone for good"));
    for (who, text) in rest {
        circle.say(who, text).await?;
    }
    circle.until_heard().await?;
    circle.teller.note(&format!("all have everything {:.1} s after it died", died.elapsed().as_secs_f64()));
    Ok(())
}

async fn end(mut circle: Circle) -> anyhow::Result<()> {
    let teller = circle.teller;
    let histories = circle.histories().await?;
    for (who, history) in &histories {
        if *who == "Dave" {
            teller.scene("The group, as Dave has it, whose first relay is gone");
            teller.history(who, history);
        } else if !teller.is_plain() {
            teller.history(who, history);
        }
    }
    let plaintexts = circle.close().await?;
    let Tally { sent, shown, lost, doubled, strayed } = tally(&histories, &circle.said);
    let everybody = PEOPLE.map(|(name, _)| name);
    let same_end = same_end(&histories, &everybody, AFTER.len());
    let summary = json!({
        "event": "federation_summary", "relays": RELAYS, "people": PEOPLE.len(), "sent": sent, "shown": shown,
        "lost": lost, "duplicates": doubled, "strayed": strayed, "same_end": same_end,
        "plaintexts_at_relays": plaintexts,
    });
    teller.summary(
        &summary,
        &format!(
            "{} people at {RELAYS} relays, of which one died: {sent} sent, {shown} shown, {lost} lost, {doubled} doubled",
            PEOPLE.len()
        ),
    );
    ensure!(
        same_end && plaintexts == 0 && lost + doubled + strayed == 0,
        "the group does not show what was written"
    );
    Ok(())
}
