//! What the operators of two relays can see of a conversation that goes over both: in neither relay's disk, logs at their most
//! talkative, or memory is anything of the other side, so neither knows who writes to whom.

use anyhow::{Context, ensure};
use undertone_protocol::ids::UserId;
use undertone_protocol::keys::{Invitation, direct_conversation};
use undertone_tests::processes::{Apart, Person, Relay, Wanted, memory, notations, raw, search};
use undertone_tests::report;
use undertone_transport::RelayAddress;

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const NAMES: [&str; 2] = ["Wilhelmina Featherstone", "Bartholomew Quince"];
const TEXTS: [&str; 4] =
    ["from the northern harbour", "to the southern one", "this waits at home", "and this at yours"];

type Tested = anyhow::Result<()>;

/// What a relay must not have of somebody who lives elsewhere: device, mailbox.
fn traces(person: &Person) -> anyhow::Result<Wanted> {
    let device = notations(&format!("the device of {}", person.name), raw(&person.status()?.id.device)?)?;
    Ok([device, vec![mailbox(person)?]].concat())
}

fn mailbox(person: &Person) -> anyhow::Result<(String, Vec<u8>)> {
    let invitation = Invitation::parse(&person.invite(&[])?.link)?;
    let mailbox = invitation.relays.first().context("an invitation without relay")?.mailbox.mailbox;
    Ok((format!("the mailbox of {}", person.name), mailbox.as_bytes().to_vec()))
}

/// What no relay must have: texts, names, users, the conversation.
fn told(people: [&Person; 2]) -> anyhow::Result<Wanted> {
    let mut wanted: Wanted = [&NAMES[..], &TEXTS]
        .concat()
        .iter()
        .map(|text| ((*text).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let users = people.map(|person| anyhow::Ok(raw(&person.status()?.id.user)?));
    let [one, other] = users;
    let [one, other] = [one?, other?];
    for (name, user) in NAMES.iter().zip([one, other]) {
        wanted.extend(notations(&format!("the user id of {name}"), user)?);
    }
    let conversation = direct_conversation(&UserId::new(one), &UserId::new(other));
    wanted.extend(notations("the conversation's id", *conversation.as_bytes())?);
    Ok(wanted)
}

fn key_of(relay: &Relay) -> anyhow::Result<Wanted> {
    let address: RelayAddress = relay.address().parse()?;
    Ok(vec![("the other relay's key".to_owned(), address.relay.as_bytes().to_vec())])
}

/// Nothing of this is on the relay's disk, in its logs or in its memory, and what must be is.
fn sees_none(apart: &Apart, relay: &Relay, secrets: &Wanted, known: &Wanted) -> Tested {
    let image = apart.stage.dir().join("memory");
    let mut searched = vec![search(relay.dir(), &[known.clone(), secrets.clone()].concat())?];
    if let Some(bytes) = memory(relay, &image)? {
        report::line(format_args!("{} MiB of a relay's memory were searched", bytes >> 20))?;
        searched.push(search(&image, &[known.clone(), secrets.clone()].concat())?);
    }
    for searched in searched {
        let is_found =
            |name: &str| searched.found.iter().any(|found| found.starts_with(&format!("{name} in ")));
        ensure!(known.iter().all(|(name, _)| is_found(name)), "the search is blind: {:?}", searched.found);
        let seen: Vec<_> = secrets.iter().map(|(name, _)| name).filter(|name| is_found(name)).collect();
        ensure!(seen.is_empty(), "a relay has {seen:?}");
    }
    Ok(())
}

#[test]
fn neither_relay_knows_who_writes_to_whom() -> Tested {
    if !cfg!(target_os = "linux") {
        return Ok(report::line(format_args!("the relays were not searched: this is no Linux"))?);
    }
    let mut apart = Apart::new(PROGRAM, NAMES)?;
    apart.stage.relay.restart_talkative()?;
    apart.other.restart_talkative()?;
    apart.talk([TEXTS[0], TEXTS[1]])?;
    let told = told([&apart.alice, &apart.bob])?;
    let [of_alice, of_bob] = [traces(&apart.alice)?, traces(&apart.bob)?];
    // Something waits at the first one's relay, which must know for which relay that is.
    apart.other.stop()?;
    let waits = apart.alice.send(NAMES[1], TEXTS[2])?;
    apart.alice.until_state(NAMES[1], &waits.id, "waiting")?;
    let secrets = [told.clone(), of_bob.clone()].concat();
    sees_none(&apart, &apart.stage.relay, &secrets, &key_of(&apart.other)?)?;
    // Something waits at the second one's, which must know for which mailbox that is.
    apart.other.start()?;
    apart.alice.until_state(NAMES[1], &waits.id, "delivered")?;
    apart.bob.stop()?;
    let held = apart.alice.send(NAMES[1], TEXTS[3])?;
    apart.alice.until_state(NAMES[1], &held.id, "sent")?;
    let secrets = [told, of_alice].concat();
    let mailbox: Wanted = of_bob.into_iter().filter(|(name, _)| name.starts_with("the mailbox")).collect();
    sees_none(&apart, &apart.other, &secrets, &mailbox)?;
    apart.bob.start()?;
    apart.alice.until_state(NAMES[1], &held.id, "delivered")
}
