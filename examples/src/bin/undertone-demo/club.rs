//! The story of five: a group with two admins, who change it at once while nobody reaches anybody.

use anyhow::Context;
use serde_json::json;

use undertone_examples::checks::{Tally, same_end, tally};
use undertone_examples::circle::Circle;
use undertone_examples::relay::Relay;
use undertone_examples::tell::Teller;

/// What their group is called.
const CLUB: &str = "Club";
const PEOPLE: [(&str, &[usize]); 5] =
    [("Alice", &[0]), ("Bob", &[0]), ("Carol", &[0]), ("Dave", &[0]), ("Erin", &[0])];
/// Who invites, and who asks. The others learn of each other in the group.
const MEETINGS: [(&str, &str); 4] =
    [("Alice", "Bob"), ("Alice", "Carol"), ("Alice", "Dave"), ("Bob", "Erin")];
const FIRST: [&str; 3] = ["Alice", "Bob", "Carol"];
const IN_THE_END: [&str; 4] = ["Alice", "Bob", "Dave", "Erin"];
const TOGETHER: [(&str, &str); 3] = [
    ("Alice", "Welcome to the boat club."),
    ("Carol", "Who has the key of the shed?"),
    ("Bob", "I have, and so has Erin, who is not here yet."),
];
const BY_ALICE_APART: &str = "Carol has left the harbour. Dave is with us now.";
const BY_BOB_APART: &str = "Erin is with us now.";
const AFTERWARDS: [(&str, &str); 4] = [
    ("Dave", "Hello! Who are you all?"),
    ("Erin", "Erin. I have the other key."),
    ("Bob", "So both of us let somebody in."),
    ("Alice", "And everybody agrees who is here."),
];
const REACTION: &str = "👍";

/// Plays it. An error if the members differ, or if anything was lost, doubled, or shown to whom it was not for.
pub(crate) async fn play(teller: Teller) -> anyhow::Result<()> {
    teller.scene("A group: five people, and another relay");
    let mut circle = Circle::new(CLUB, 1, &PEOPLE, teller).await?;
    gather(&mut circle).await?;
    apart(&mut circle).await?;
    together_again(&mut circle).await?;
    reaction(&mut circle).await?;
    end(circle).await
}

async fn gather(circle: &mut Circle) -> anyhow::Result<()> {
    circle.until("all are connected", |circle| circle.people.iter().all(|person| person.connected)).await?;
    for (inviting, joining) in MEETINGS {
        circle.meet(inviting, joining).await?;
    }
    circle.teller.scene("Alice makes a group with Bob and Carol, and makes Bob an admin");
    let alice = circle.person("Alice")?;
    alice.group(&["create", CLUB, "--member", "Bob", "--member", "Carol"]).await?;
    alice.group(&["role", CLUB, "Bob", "admin"]).await?;
    let is_admin = |circle: &Circle| circle.people.iter().any(|one| one.name == "Bob" && one.role == "admin");
    circle.until("Bob knows that he is an admin", is_admin).await?;
    circle.until_members(&FIRST, &FIRST).await?;
    for (who, text) in TOGETHER {
        circle.say(who, text).await?;
        circle.until_heard().await?;
    }
    Ok(())
}

/// The one that there is.
fn relay(circle: &mut Circle) -> anyhow::Result<&mut Relay> {
    circle.relays.first_mut().context("no relay")
}

async fn apart(circle: &mut Circle) -> anyhow::Result<()> {
    circle.teller.scene("The relay is gone: Alice puts Carol out and lets Dave in, Bob lets Erin in");
    relay(circle)?.stop().await?;
    let all_apart = |circle: &Circle| circle.people.iter().all(|person| !person.connected);
    circle.until("all see that the relay is gone", all_apart).await?;
    let alice = circle.person("Alice")?;
    alice.group(&["remove", CLUB, "Carol"]).await?;
    let at_alice = alice.group(&["add", CLUB, "Dave"]).await?;
    let at_bob = circle.person("Bob")?.group(&["add", CLUB, "Erin"]).await?;
    circle.teller.group("Alice", &at_alice);
    circle.teller.group("Bob", &at_bob);
    circle.say("Alice", BY_ALICE_APART).await?;
    // He does not know yet that Carol is out: this is for her too.
    circle.say("Bob", BY_BOB_APART).await
}

async fn together_again(circle: &mut Circle) -> anyhow::Result<()> {
    circle.teller.scene("The relay is back: both changes hold, and everybody who is in knows it");
    relay(circle)?.start().await?;
    circle.teller.note("Dave and Erin were let in apart: after half a minute they ask where the other is");
    circle.until_members(&IN_THE_END, &IN_THE_END).await?;
    circle.until_each(&["Carol"], "Carol knows that she is out", |one| one.members.is_none()).await?;
    circle.until_heard().await?;
    circle.teller.scene("They talk, without Carol");
    for (who, text) in AFTERWARDS {
        circle.say(who, text).await?;
        circle.until_heard().await?;
    }
    Ok(())
}

async fn reaction(circle: &mut Circle) -> anyhow::Result<()> {
    let (who, text) = AFTERWARDS.last().copied().context("nobody said anything")?;
    let history = circle.person(who)?.history().await?;
    let last = history.iter().rfind(|message| message.text == text).context("the last message is gone")?;
    circle.teller.scene(&format!("Erin reacts to what {who} said last, and {who} looks who has it"));
    circle.person("Erin")?.react(&last.id, REACTION).await?;
    circle
        .until_each(&["Alice", "Bob", "Dave"], "the reaction arrives", |person| {
            person.reacted.contains(&(text.to_owned(), 1))
        })
        .await?;
    for person in IN_THE_END {
        circle.person(person)?.read().await?;
    }
    circle.until_each(&[who], "everybody read it", |person| person.reached(&last.id, "read")).await?;
    let info = circle.person(who)?.info(&last.id).await?;
    circle.teller.info(who, &info);
    Ok(())
}

async fn end(mut circle: Circle) -> anyhow::Result<()> {
    let teller = circle.teller;
    let histories = circle.histories().await?;
    for (who, history) in &histories {
        if ["Bob", "Carol"].contains(who) {
            teller.scene(&format!("The group, as {who} has it"));
            teller.history(who, history);
        } else if !teller.is_plain() {
            teller.history(who, history);
        }
    }
    let plaintexts = circle.close().await?;
    let Tally { sent, shown, lost, doubled, strayed } = tally(&histories, &circle.said);
    let same_end = same_end(&histories, &IN_THE_END, AFTERWARDS.len());
    let members: Vec<_> = circle
        .people
        .iter()
        .map(|person| (person.name, person.members.as_deref().unwrap_or_default().to_vec()))
        .collect();
    let agree = circle.people.iter().filter(|one| one.sees(&IN_THE_END)).count();
    let by_name: serde_json::Map<_, _> =
        members.iter().map(|(who, names)| ((*who).to_owned(), json!(names))).collect();
    let summary = json!({
        "event": "group_summary", "members": by_name, "sent": sent, "shown": shown, "lost": lost,
        "duplicates": doubled, "strayed": strayed, "same_end": same_end, "plaintexts_at_relay": plaintexts,
    });
    let counted: Vec<String> = members.iter().map(|(who, names)| format!("{who} {}", names.len())).collect();
    teller.summary(
        &summary,
        &format!(
            "members at each: {}; {sent} sent, {shown} shown, {lost} lost, {doubled} doubled, {strayed} shown to \
             anybody whom they were not for",
            counted.join(", ")
        ),
    );
    anyhow::ensure!(
        agree == IN_THE_END.len() && same_end && plaintexts == 0 && lost + doubled + strayed == 0,
        "the group is not what was made of it"
    );
    Ok(())
}
