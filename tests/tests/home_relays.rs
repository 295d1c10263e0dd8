//! Home relays that come and go, with real processes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use undertone::command::{CountView, HomeRelayView, MessageView};
use undertone_protocol::keys::Invitation;
use undertone_tests::processes::{Person, Relay, Stage, freeze, put_copy, thaw, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
/// How soon something goes another way when a relay is gone.
const SOON: Duration = Duration::from_secs(15);
type Tested = anyhow::Result<()>;

fn another(stage: &Stage) -> anyhow::Result<Relay> {
    Relay::create(stage.program(), stage.dir().join("another"))
}

/// Writes, and waits until it was read.
fn write(from: &Person, to: &Person, text: &str) -> Tested {
    let sent = from.send(&to.name, text)?;
    from.until_state(&to.name, &sent.id, "delivered")?;
    let _: CountView = to.json(&["read", &from.name])?;
    from.until_state(&to.name, &sent.id, "read")
}

/// All of these texts, each once, in this order.
fn shows(person: &Person, other: &Person, texts: &[&str]) -> Tested {
    let whole = |history: &[MessageView]| history.len() >= texts.len();
    let history = person.until_history(&other.name, "all is there", whole)?;
    let found: Vec<_> = history.iter().map(|message| message.text.as_str()).collect();
    ensure!(found == texts, "{} shows {found:?}", person.name);
    Ok(())
}

#[test]
fn who_moves_is_reached_where_they_moved_to() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let other = another(&stage)?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    write(&alice, &bob, "before")?;
    let moved: Vec<HomeRelayView> = bob.json(&["relay", "move", other.address()])?;
    ensure!(moved.len() == 2, "{moved:?}");
    bob.until_home_relays(&["retiring", "ready"])?;
    let listed = bob.home_relays()?;
    ensure!(listed.iter().all(|relay| relay.connected && relay.problem.is_none()), "{listed:?}");
    write(&alice, &bob, "to where you are")?;
    write(&bob, &alice, "from where I am")?;
    let texts = ["before", "to where you are", "from where I am"];
    shows(&alice, &bob, &texts)?;
    shows(&bob, &alice, &texts)?;
    // A newcomer gets a link to the new relay alone.
    let carol = Person::create(stage.program(), stage.dir(), "Carol", other.address())?;
    let link = bob.invite(&[])?.link;
    let named: Vec<_> = Invitation::parse(&link)?
        .relays
        .into_iter()
        .flat_map(|relay| relay.mailbox.relay.addresses)
        .collect();
    ensure!(
        named.len() == 1 && named.iter().all(|address| other.address().starts_with(address)),
        "{named:?}"
    );
    carol.command(&["contact", "add", &link])?.succeeded()?;
    until("Carol's request arrives", || {
        Ok(bob.contact("Carol")?.filter(|carol| carol.state == "requested"))
    })?;
    // And Alice does not need the former one to write; only no answer reaches her, whose only relay it is.
    stage.relay.kill()?;
    alice.send("Bob", "not by the former one")?;
    until_texts(&bob, "Alice", &[&texts[..], &["not by the former one"]].concat())
}

#[test]
fn who_moves_from_a_dead_relay_gets_what_it_held() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let other = another(&stage)?;
    let (alice, mut bob) = stage.friends("Alice", "Bob")?;
    let _: Vec<HomeRelayView> = alice.json(&["relay", "add", other.address()])?;
    alice.until_home_relays(&["ready", "ready"])?;
    // With that Bob has what was told before it.
    write(&alice, &bob, "before")?;
    bob.stop()?;
    let held = [alice.send("Bob", "one")?, alice.send("Bob", "two")?];
    ensure!(held.iter().all(|message| message.state == "sent"), "{held:?}");
    stage.relay.kill()?;
    bob.start()?;
    let _: Vec<HomeRelayView> = bob.json(&["relay", "move", other.address()])?;
    bob.until_home_relays(&["retiring", "ready"])?;
    for message in &held {
        alice.until_state("Bob", &message.id, "delivered")?;
    }
    let _: CountView = bob.json(&["read", "Alice"])?;
    for message in &held {
        alice.until_state("Bob", &message.id, "read")?;
    }
    write(&bob, &alice, "three")?;
    write(&alice, &bob, "four")?;
    let texts = ["before", "one", "two", "three", "four"];
    shows(&alice, &bob, &texts)?;
    shows(&bob, &alice, &texts)
}

/// The relay's data is what it was when the copy was made; `None`: its key alone is left.
fn put_back(relay: &mut Relay, copy: Option<&Path>) -> Tested {
    let data = relay.store().parent().context("a store in a directory")?.to_owned();
    relay.kill()?;
    if let Some(copy) = copy {
        put_copy(copy, &data)?;
        relay.command("restored")?.succeeded()?;
    } else {
        for entry in fs::read_dir(&data)?.collect::<Result<Vec<_>, _>>()? {
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false if entry.file_name() == "relay.key" => {}
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    relay.start()
}

/// The only relay of both loses what it held while one of them is away.
fn is_sent_again(has_copy: bool) -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let (alice, mut bob) = stage.friends("Alice", "Bob")?;
    write(&alice, &bob, "before")?;
    stage.relay.stop()?;
    let copy = stage.dir().join("copy");
    put_copy(stage.relay.store().parent().context("a store in a directory")?, &copy)?;
    stage.relay.start()?;
    bob.until_connected(true)?;
    bob.stop()?;
    let held = alice.send("Bob", "while he was away")?;
    alice.until_state("Bob", &held.id, "sent")?;
    put_back(&mut stage.relay, has_copy.then_some(copy.as_path()))?;
    bob.start()?;
    alice.until_state("Bob", &held.id, "delivered")?;
    write(&bob, &alice, "and back")?;
    let texts = ["before", "while he was away", "and back"];
    shows(&bob, &alice, &texts)?;
    shows(&alice, &bob, &texts)
}

#[test]
fn what_an_old_copy_of_the_only_relay_lacks_is_sent_again() -> Tested {
    is_sent_again(true)
}

#[test]
fn what_the_only_relay_lost_with_its_disk_is_sent_again() -> Tested {
    is_sent_again(false)
}

#[test]
fn of_two_relays_one_may_die() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let other = another(&stage)?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    for person in [&alice, &bob] {
        let _: Vec<HomeRelayView> = person.json(&["relay", "add", other.address()])?;
        person.until_home_relays(&["ready", "ready"])?;
    }
    write(&alice, &bob, "by the first")?;
    write(&bob, &alice, "and back by it")?;
    stage.relay.kill()?;
    let begun = Instant::now();
    write(&alice, &bob, "by the second")?;
    write(&bob, &alice, "and back")?;
    ensure!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    let listed = bob.home_relays()?;
    let down = listed.iter().find(|relay| !relay.connected);
    ensure!(down.is_some_and(|relay| relay.problem.is_some() && relay.since_ms.is_some()), "{listed:?}");
    // The dead one is taken out: nothing is needed of it.
    let name = down.map(|relay| relay.relay.clone()).unwrap_or_default();
    let left: Vec<HomeRelayView> = bob.json(&["relay", "remove", &name])?;
    ensure!(left.iter().any(|relay| relay.state == "retiring" && relay.ends_ms.is_some()), "{left:?}");
    bob.until_home_relays(&["retiring", "ready"])?;
    write(&alice, &bob, "still there")?;
    let last = bob.home_relays()?.into_iter().find(|relay| relay.state == "ready");
    let last = last.map(|relay| relay.relay).unwrap_or_default();
    bob.command(&["relay", "remove", &last])?.refused(5, &["only home relay", "relay move"])?;
    let texts = ["by the first", "and back by it", "by the second", "and back", "still there"];
    shows(&alice, &bob, &texts)?;
    shows(&bob, &alice, &texts)
}

/// Two friends, each at both relays.
fn at_both(stage: &Stage, other: &Relay) -> anyhow::Result<(Person, Person)> {
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    for person in [&alice, &bob] {
        let _: Vec<HomeRelayView> = person.json(&["relay", "add", other.address()])?;
        person.until_home_relays(&["ready", "ready"])?;
    }
    // With that each has what was told before it.
    write(&alice, &bob, "before")?;
    write(&bob, &alice, "and back")?;
    Ok((alice, bob))
}

/// All that was said stands there, each once.
fn is_complete(person: &Person, other: &Person, said: &[String]) -> Tested {
    let mut wanted = said.to_vec();
    wanted.sort();
    until(&format!("{} shows all with {}", person.name, other.name), || {
        let mut found = texts(person, &other.name)?;
        found.sort();
        let mut once = found.clone();
        once.dedup();
        ensure!(once == found, "something shows twice: {found:?}");
        Ok((found == wanted).then_some(()))
    })
}

#[test]
fn a_relay_that_is_killed_in_mid_conversation_loses_nothing() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let other = another(&stage)?;
    let (alice, bob) = at_both(&stage, &other)?;
    let mut said = vec!["before".to_owned(), "and back".to_owned()];
    for n in 0..24 {
        if n == 12 {
            stage.relay.kill()?;
        }
        for (from, to) in [(&alice, &bob), (&bob, &alice)] {
            let text = format!("{n} from {}", from.name);
            from.send(&to.name, &text)?;
            said.push(text);
        }
    }
    is_complete(&alice, &bob, &said)?;
    is_complete(&bob, &alice, &said)?;
    for (person, to) in [(&alice, "Bob"), (&bob, "Alice")] {
        person.until_history(to, "all is delivered", |history| {
            let mut mine = history.iter().filter(|message| message.mine);
            mine.all(|message| message.state == "delivered" || message.state == "read")
        })?;
    }
    Ok(())
}

/// Nothing says that it is gone: only no answer comes.
#[test]
fn a_relay_that_hangs_is_passed_by() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let other = another(&stage)?;
    let (alice, bob) = at_both(&stage, &other)?;
    let relay = stage.relay.process_id()?;
    freeze(relay)?;
    let begun = Instant::now();
    let passed = write(&alice, &bob, "past it").and_then(|()| write(&bob, &alice, "back past it"));
    let took = begun.elapsed();
    thaw(relay)?;
    passed?;
    ensure!(took < SOON, "it took {took:?}");
    let said = ["before", "and back", "past it", "back past it"].map(str::to_owned);
    is_complete(&alice, &bob, &said)?;
    is_complete(&bob, &alice, &said)
}

fn texts(person: &Person, name: &str) -> anyhow::Result<Vec<String>> {
    let history = person.history(name)?.into_iter().filter(|message| message.kind == "text");
    Ok(history.map(|message| message.text).collect())
}

fn until_texts(person: &Person, name: &str, wanted: &[&str]) -> Tested {
    until(&format!("{} shows {wanted:?} with {name}", person.name), || {
        Ok((texts(person, name)? == wanted).then_some(()))
    })
}

/// Bob and Carol are in a group together, and are no contacts.
#[test]
fn members_of_a_group_are_told_who_are_no_contacts() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let other = another(&stage)?;
    let (mut alice, mut bob) = stage.friends("Alice", "Bob")?;
    let mut carol = stage.person("Carol")?;
    carol.start()?;
    let link = alice.invite(&[])?.link;
    carol.command(&["contact", "add", &link])?.succeeded()?;
    until("Carol's request arrives", || alice.contact("Carol"))?;
    alice.command(&["contact", "accept", "Carol"])?.succeeded()?;
    let made = ["group", "create", "Club", "--member", "Bob", "--member", "Carol"];
    alice.command(&made)?.succeeded()?;
    alice.send("Club", "welcome")?;
    until_texts(&carol, "Club", &["welcome"])?;
    let _: Vec<HomeRelayView> = carol.json(&["relay", "add", other.address()])?;
    carol.until_home_relays(&["ready", "ready"])?;
    carol.send("Club", "thanks")?;
    until_texts(&bob, "Club", &["welcome", "thanks"])?;
    bob.stop()?;
    let held = carol.send("Club", "held")?;
    until_texts(&alice, "Club", &["welcome", "thanks", "held"])?;
    ensure!(held.mine, "{held:?}");
    // Nobody else can hand it on.
    alice.stop()?;
    stage.relay.kill()?;
    bob.start()?;
    let _: Vec<HomeRelayView> = bob.json(&["relay", "move", other.address()])?;
    until_texts(&bob, "Club", &["welcome", "thanks", "held"])
}

#[test]
fn own_devices_find_each_other_again() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let other = another(&stage)?;
    let mut desktop = stage.person("Alice")?;
    desktop.start()?;
    let mut phone = stage.device("phone", &desktop)?;
    phone.start()?;
    desktop.send("me", "one")?;
    until_texts(&phone, "me", &["one"])?;
    let _: Vec<HomeRelayView> = phone.json(&["relay", "add", other.address()])?;
    phone.until_home_relays(&["ready", "ready"])?;
    phone.send("me", "two")?;
    until_texts(&desktop, "me", &["one", "two"])?;
    desktop.stop()?;
    phone.send("me", "three")?;
    stage.relay.kill()?;
    desktop.start()?;
    let _: Vec<HomeRelayView> = desktop.json(&["relay", "move", other.address()])?;
    until_texts(&desktop, "me", &["one", "two", "three"])?;
    desktop.send("me", "four")?;
    until_texts(&phone, "me", &["one", "two", "three", "four"])
}
