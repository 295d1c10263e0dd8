//! What a relay's operator can see of a conversation: its disk, its logs at their most talkative, and the memory
//! of the running relay show no text, no name, no user, and not which conversation it is.

use anyhow::{Context, ensure};
use undertone::command::{ContactView, CountView, IdView, MessageView};
use undertone::event::Event;
use undertone_protocol::ids::UserId;
use undertone_protocol::keys::{Invitation, direct_conversation};
use undertone_relay::store::{FjallOptions, FjallStore, Store};
use undertone_tests::processes::{Person, Relay, Stage, Wanted, memory, notations, raw, search};
use undertone_tests::report;
use undertone_transport::RelayAddress;

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const NAMES: [&str; 2] = ["Wilhelmina Featherstone", "Bartholomew Quince"];
/// They are found also where only half a name is kept.
const SURNAMES: [&str; 2] = ["Featherstone", "Quince"];
const TEXTS: [&str; 4] =
    ["It is me, from the harbour", "the blue boat floats", "the second island", "bring the old chart"];
/// The first byte of the keys under which a relay keeps payloads (`spec/relay.md`, "What the relay stores").
const PAYLOADS: u8 = 11;

type Tested = anyhow::Result<()>;

fn texts(texts: &[&str]) -> Wanted {
    texts.iter().map(|text| ((*text).to_owned(), text.as_bytes().to_vec())).collect()
}

/// Who talks, and what the conversation is.
fn identities(people: [&Person; 2]) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted::new();
    let mut users = Vec::new();
    for person in people {
        let user = raw(&person.status()?.id.user)?;
        users.push(UserId::new(user));
        wanted.extend(notations(&format!("the user id of {}", person.name), user)?);
    }
    let [one, other] = users.as_slice() else { return Ok(wanted) };
    wanted.extend(notations("the conversation's id", *direct_conversation(one, other).as_bytes())?);
    Ok(wanted)
}

/// A conversation of which one message still waits at the relay: the second of the two is away.
struct Conversation {
    stage: Stage,
    inviter: Person,
    joiner: Person,
    link: String,
    held: MessageView,
    /// What the command logged that sent the last message.
    command_log: String,
}

impl Conversation {
    fn begin() -> anyhow::Result<Self> {
        let mut stage = Stage::new(PROGRAM)?;
        stage.relay.restart_talkative()?;
        let (mut inviter, mut joiner) = (stage.person(NAMES[0])?, stage.person(NAMES[1])?);
        inviter.start()?;
        joiner.start()?;
        let mut requests = inviter.watch()?;
        let link = inviter.invite(&[])?.link;
        joiner.json::<ContactView>(&["contact", "add", &link, "--message", TEXTS[0]])?;
        requests.until("the request comes", |event| matches!(event, Event::Request { .. }).then_some(()))?;
        inviter.json::<ContactView>(&["contact", "accept", NAMES[1]])?;
        inviter.json::<CountView>(&["read", NAMES[1]])?;
        for (from, to, text) in [(&joiner, &inviter, TEXTS[1]), (&inviter, &joiner, TEXTS[2])] {
            let sent = from.send(&to.name, text)?;
            from.until_state(&to.name, &sent.id, "delivered")?;
            to.json::<CountView>(&["read", &from.name])?;
            from.until_state(&to.name, &sent.id, "read")?;
        }
        joiner.stop()?;
        let sending = inviter.command(&["--log", "trace", "send", NAMES[1], TEXTS[3]])?.succeeded()?;
        let held: MessageView = sending.json()?;
        assert_eq!(held.state, "sent");
        Ok(Self { stage, inviter, joiner, link, held, command_log: sending.stderr })
    }

    /// What was said, and by whom.
    fn told(&self) -> Wanted {
        let passphrases = NAMES.map(|name| format!("the passphrase of {name}"));
        let told = [&NAMES[..], &SURNAMES, &TEXTS, &[self.link.as_str()]].concat();
        [texts(&told), texts(&passphrases.each_ref().map(String::as_str))].concat()
    }

    /// The inviter's mailbox, which the relay has to know.
    fn mailbox(&self) -> anyhow::Result<(String, Vec<u8>)> {
        let invitation = Invitation::parse(&self.link)?;
        let mailbox = invitation.relays.first().context("an invitation without relay")?.mailbox.mailbox;
        Ok(("the mailbox".to_owned(), mailbox.as_bytes().to_vec()))
    }

    /// The last message comes, and everybody leaves.
    fn end(&mut self) -> Tested {
        self.joiner.start()?;
        self.inviter.until_state(NAMES[1], &self.held.id, "delivered")?;
        self.inviter.stop()?;
        self.joiner.stop()?;
        self.stage.relay.stop()
    }
}

#[test]
fn disk_and_logs_show_nothing() -> Tested {
    let mut all = Conversation::begin()?;
    let told = all.told();
    let mut secrets = [told.clone(), identities([&all.inviter, &all.joiner])?].concat();
    for person in [&all.inviter, &all.joiner] {
        let IdView { name, device, .. } = person.status()?.id;
        secrets.extend(notations(&format!("the device id of {name}"), raw(&device)?)?);
    }
    ensure!(all.command_log.contains("TRACE"), "the command logs nothing");
    std::fs::write(all.inviter.home.join("command.log"), &all.command_log)?;
    // That the mailbox is found shows that this is how to search.
    let known = search(&all.stage.relay.store(), &[all.mailbox()?])?;
    ensure!(!known.found.is_empty(), "the search is blind");
    // While it holds a message, and when it holds none.
    let holding = search(all.stage.relay.dir(), &secrets)?;
    all.end()?;
    let after = search(all.stage.relay.dir(), &secrets)?;
    for searched in [holding, after] {
        assert_eq!(searched.found, [""; 0]);
        ensure!(searched.files > 3 && searched.bytes > 10_000, "nothing was searched: {searched:?}");
    }
    ensure!(std::fs::read_to_string(all.stage.relay.log())?.contains("TRACE"), "the relay logs nothing");
    for person in [&all.inviter, &all.joiner] {
        assert_eq!(search(&person.home, &told)?.found, [""; 0], "the account of {}", person.name);
        ensure!(std::fs::read_to_string(person.log())?.contains("DEBUG"), "the node logs nothing");
    }
    Ok(())
}

/// What the relay must have in its memory: the keys of its clients' devices, their mailboxes, its own key, and the
/// sealed payload that waits.
fn needed(all: &Conversation) -> anyhow::Result<Wanted> {
    let address: RelayAddress = all.stage.relay.address().parse()?;
    let device = raw(&all.inviter.status()?.id.device)?;
    Ok(vec![
        all.mailbox()?,
        ("the device that is connected".to_owned(), device.to_vec()),
        ("the relay's own key".to_owned(), address.relay.as_bytes().to_vec()),
    ])
}

/// The payloads that a relay holds, which does not run.
fn payloads(relay: &Relay) -> anyhow::Result<Wanted> {
    let store = FjallStore::open(&relay.store(), FjallOptions::default())?;
    let held = store.range(&[PAYLOADS], &[PAYLOADS + 1], 16)?;
    ensure!(!held.is_empty(), "the relay holds nothing");
    Ok(held.into_iter().map(|(_, payload)| ("a payload that waits".to_owned(), payload.to_vec())).collect())
}

/// Two are connected or were lately, and a message waits.
#[test]
fn memory_shows_nothing() -> Tested {
    if !cfg!(target_os = "linux") {
        return Ok(report::line(format_args!("the memory of the relay was not searched: this is no Linux"))?);
    }
    let mut all = Conversation::begin()?;
    let secrets = [all.told(), identities([&all.inviter, &all.joiner])?].concat();
    let image = all.stage.dir().join("memory");
    let Some(bytes) = memory(&all.stage.relay, &image)? else { return all.end() };
    let needed = needed(&all)?;
    all.stage.relay.stop()?;
    let known = [needed, payloads(&all.stage.relay)?].concat();
    let found = search(&image, &[known.clone(), secrets.clone()].concat())?.found;
    let is_found = |name: &str| found.iter().any(|found| found.starts_with(&format!("{name} in ")));
    let missed: Vec<_> = known.iter().filter(|(name, _)| !is_found(name)).collect();
    ensure!(missed.is_empty(), "the search is blind: the relay must have this: {missed:?}");
    let seen: Vec<_> = secrets.iter().map(|(name, _)| name).filter(|name| is_found(name)).collect();
    assert_eq!(seen, [""; 0], "found in the memory of the relay");
    report::line(format_args!(
        "what the relay can see: {} names, texts and ids searched in {} MiB of its memory, none found",
        secrets.len(),
        bytes >> 20
    ))?;
    all.stage.relay.start()?;
    all.end()
}
