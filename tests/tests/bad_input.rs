//! What users and operators get wrong, and what breaks around them: each has its own exit code and a
//! message that says what is wrong and what to do.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use undertone::account::database_path;
use undertone::command::{ContactView, InvitationView, MessageView, RelayView, StatusView};
use undertone_tests::processes::{Account, Finished, Person, Program, Stage, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
type Tested = anyhow::Result<()>;

/// Nobody listens at port 1 of the loopback interface.
const NOBODY: &str = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcRzQ4FENEemvpg";

/// An account without a relay that is there.
fn lonely(dir: &Path, name: &str) -> anyhow::Result<Person> {
    Person::create(&Program::new(PROGRAM), dir, name, NOBODY)
}

fn add(person: &Account, link: &str) -> anyhow::Result<Finished> {
    person.command(&["contact", "add", link, "--wait", "30"])
}

#[test]
fn wrong_passphrase() -> Tested {
    let dir = tempfile::tempdir()?;
    let alice = lonely(dir.path(), "Alice")?;
    fs::write(&alice.passphrase, "another passphrase\n")?;
    for command in [&["id"] as &[&str], &["run"], &["send", "Bob", "hello"]] {
        alice.command(command)?.refused(3, &["wrong passphrase"])?;
    }
    fs::write(&alice.passphrase, "the passphrase of Alice")?;
    alice.command(&["id"])?.succeeded()?;
    fs::remove_file(&alice.passphrase)?;
    let name = alice.passphrase.display().to_string();
    alice.command(&["id"])?.refused(3, &["passphrase file", &name])
}

#[test]
fn links_that_are_none() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let mut alice = stage.person("Alice")?;
    let bob = stage.person("Bob")?;
    alice.start()?;
    let link = alice.invite(&[])?.link;
    add(&alice, &link)?.refused(5, &["your own invitation", "send it to somebody else"])?;

    let cut = link.get(..link.len() - 5).context("a short link")?;
    let (start, last) = link.split_at(link.len() - 40);
    let mistyped = format!("{start}{}{}", if last.starts_with('A') { 'B' } else { 'A' }, last.split_at(1).1);
    for damaged in [cut, &mistyped] {
        add(&bob, damaged)?.refused(3, &["damaged", "paste it whole"])?;
    }
    for none in ["https://example.org/", "undertone:", ""] {
        add(&bob, none)?.refused(3, &["not an invitation", "undertone:invite/"])?;
    }
    assert_eq!(bob.json::<Vec<ContactView>>(&["contact", "list"])?, []);
    // The link itself is good.
    ensure!(add(&bob, &link)?.succeeded()?.json::<ContactView>()?.introduced);
    Ok(())
}

#[test]
fn links_that_are_over() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let mut alice = stage.person("Alice")?;
    let (bob, carol) = (stage.person("Bob")?, stage.person("Carol")?);
    alice.start()?;
    let once = alice.invite(&[])?.link;
    let short = alice.invite(&["--expires", "1s"])?;
    ensure!(add(&bob, &once)?.succeeded()?.json::<ContactView>()?.introduced);
    // Asking once more is no second use.
    ensure!(add(&bob, &once)?.succeeded()?.json::<ContactView>()?.introduced);
    add(&carol, &once)?.refused(7, &["the invitation was used up", "ask Alice for a new link"])?;

    until("the second link is over", || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok((now.as_millis() > u128::from(short.expires_ms)).then_some(()))
    })?;
    add(&carol, &short.link)?.refused(7, &["the invitation has expired", "ask Alice for a new link"])?;
    let refused = carol.contact("Alice")?.context("a request that is kept")?;
    ensure!(refused.state == "requesting" && refused.warning.is_some(), "{refused:?}");
    // A new link helps.
    let another = alice.invite(&[])?.link;
    ensure!(add(&carol, &another)?.succeeded()?.json::<ContactView>()?.introduced);
    let carol = until("Carol's request arrives", || alice.contact("Carol"))?;
    assert_eq!((carol.state.as_str(), carol.warning), ("requested", None));
    Ok(())
}

#[test]
fn contacts_that_nobody_knows() -> Tested {
    let dir = tempfile::tempdir()?;
    let alice = lonely(dir.path(), "Alice")?;
    for command in [
        &["send", "Carol", "hello"] as &[&str],
        &["history", "Carol"],
        &["read", "Carol"],
        &["retry", "Carol"],
    ] {
        let why =
            ["no contact and no group is called \"Carol\"", "undertone contact list", "undertone group list"];
        alice.command(command)?.refused(4, &why)?;
    }
    for command in [["contact", "accept", "Carol"], ["contact", "verify", "Carol"]] {
        alice.command(&command)?.refused(4, &["no contact is called \"Carol\"", "undertone contact list"])?;
    }
    Ok(())
}

#[test]
fn a_relay_that_is_down() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    stage.relay.kill()?;
    alice.until_connected(false)?;
    bob.until_connected(false)?;
    let invited = alice.command(&["invite", "--wait", "1"])?.succeeded()?;
    ensure!(!invited.json::<InvitationView>()?.ready, "{invited:?}");
    ensure!(invited.stderr.contains("warning: no relay knows this link yet"), "{invited:?}");
    let sent: MessageView = alice.json(&["send", "Bob", "hello", "--wait", "1"])?;
    let (state, failed) = (sent.state.as_str(), sent.failed.as_deref());
    assert_eq!((state, failed), ("queued", None), "{sent:?}");
    ensure!(sent.note.is_some_and(|note| note.starts_with("waiting for ")));
    let relay = only_relay(&alice)?;
    ensure!(relay.problem.as_ref().is_some_and(|why| why.contains("refused")), "{relay:?}");
    Ok(())
}

fn only_relay(account: &Account) -> anyhow::Result<RelayView> {
    let StatusView { relays, .. } = account.status()?;
    relays.into_iter().next().context("no relay")
}

#[test]
fn another_key_than_the_relays() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let other = Stage::new(PROGRAM)?;
    let (place, key) = stage.relay.address().split_once("/p2p/").context("a key")?;
    let (_, wrong) = other.relay.address().split_once("/p2p/").context("a key")?;
    let relay = format!("{place}/p2p/{wrong}");
    let mut alice = Person::create(stage.program(), stage.dir(), "Alice", &relay)?;
    alice.start()?;
    let problem = until("the status tells the problem", || Ok(only_relay(&alice)?.problem))?;
    assert_eq!(problem, format!("{place} answers with the key {key}, but the relay's is {wrong}"));
    ensure!(!only_relay(&alice)?.connected);
    let shown = stage.program().run(&[
        OsStr::new("node"),
        OsStr::new("--home"),
        alice.home.as_os_str(),
        OsStr::new("status"),
    ])?;
    ensure!(shown.succeeded()?.stdout.contains(&format!("not connected: {problem}")));
    Ok(())
}

#[test]
fn addresses_of_relays_that_make_no_sense() -> Tested {
    let dir = tempfile::tempdir()?;
    let alice = Account::planned(&Program::new(PROGRAM), dir.path(), "Alice")?;
    for (relay, says) in [
        ("127.0.0.1:4001", "/ip4/"),
        ("/ip4/127.0.0.1/tcp/4001", "/p2p/KEY"),
        ("/ip4/127.0.0.1/tcp/4001/p2p/nonsense", "--relay"),
        ("/ip4/127.0.0.1/tcp/99999/p2p/12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcRzQ4FENEemvpg", "--relay"),
        ("", "--relay"),
    ] {
        alice.init(&[relay])?.refused(3, &["--relay: ", says])?;
    }
    ensure!(!alice.home.exists(), "an account was made");
    Ok(())
}

#[test]
fn a_second_account_in_one_place() -> Tested {
    let dir = tempfile::tempdir()?;
    let alice = lonely(dir.path(), "Alice")?;
    let id = alice.status()?.id;
    alice.init(&[NOBODY])?.refused(5, &["an account exists already", &alice.home.display().to_string()])?;
    assert_eq!(alice.status()?.id, id);
    Ok(())
}

#[test]
fn a_second_node_for_one_account() -> Tested {
    let dir = tempfile::tempdir()?;
    let mut alice = lonely(dir.path(), "Alice")?;
    alice.start()?;
    let process = format!("process {}", alice.node_id()?);
    alice.command(&["run"])?.refused(5, &["in use by another node", &process])?;
    alice.status()?;
    Ok(())
}

#[test]
fn texts_that_are_too_long_or_none() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    let max = undertone_protocol::limits::TEXT_BYTES_MAX;
    alice.command(&["send", "Bob", &"x".repeat(max + 1)])?.refused(3, &[&max.to_string(), "bytes"])?;
    alice.command(&["send", "Bob", ""])?.refused(3, &["empty"])?;
    assert_eq!(alice.history("Bob")?, []);
    let longest = alice.send("Bob", &"x".repeat(max))?;
    bob.until_history("Alice", "the longest text", |history| {
        history.iter().any(|message| message.id == longest.id && message.text == longest.text)
    })?;
    Ok(())
}

fn damage(path: &Path, from: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    ensure!(bytes.len() > from, "{} has only {} bytes", path.display(), bytes.len());
    bytes.iter_mut().skip(from).step_by(64).for_each(|byte| *byte ^= 1);
    fs::write(path, &bytes)?;
    Ok(bytes)
}

#[test]
fn a_damaged_store() -> Tested {
    const PAGE: usize = 4_096;
    for (from, says) in [(0, "database's first page is damaged"), (PAGE, "damaged")] {
        let dir = tempfile::tempdir()?;
        let alice = lonely(dir.path(), "Alice")?;
        let path = database_path(&alice.home);
        let bytes = damage(&path, from)?;
        for command in [&["history", "Bob"] as &[&str], &["run"]] {
            alice.command(command)?.refused(1, &[says, "backup"])?;
        }
        ensure!(fs::read(&path)? == bytes, "the damaged database was changed");
    }
    Ok(())
}

#[test]
fn a_damaged_key_of_a_relay() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    let (alice, mut bob) = stage.friends("Alice", "Bob")?;
    bob.stop()?;
    alice.send("Bob", "kept by the relay")?;
    stage.relay.stop()?;
    let key = stage.relay.dir().join("data/relay.key");
    let bytes = fs::read(&key)?;
    fs::write(&key, b"nonsense")?;
    stage.relay.command("run")?.refused(1, &["relay.key is no key"])?;
    fs::write(&key, bytes)?;
    stage.relay.start()?;
    bob.start()?;
    bob.until_history("Alice", "it came", |history| history.len() == 1)?;
    Ok(())
}

#[test]
fn a_lost_key_file() -> Tested {
    let dir = tempfile::tempdir()?;
    let alice = lonely(dir.path(), "Alice")?;
    let id = alice.status()?.id;
    let (key, kept) = (alice.home.join("account.key"), dir.path().join("kept"));
    fs::rename(&key, &kept)?;
    let says = ["has a database but no `account.key`", "put the key file back"];
    for command in [&["id"] as &[&str], &["run"]] {
        alice.command(command)?.refused(1, &says)?;
    }
    // Making the account anew must not take what the key may open one day.
    alice.init(&[NOBODY])?.refused(1, &says)?;
    fs::rename(&kept, &key)?;
    assert_eq!(alice.status()?.id, id);
    fs::write(&key, "{}")?;
    alice.command(&["id"])?.refused(1, &["account.key is damaged", "backup"])
}

#[test]
fn a_typing_error_in_the_relays_configuration() -> Tested {
    let mut stage = Stage::new(PROGRAM)?;
    stage.relay.stop()?;
    let text = fs::read_to_string(stage.relay.config())?;
    fs::write(stage.relay.config(), text.replace("[limits]\n", "[limits]\nmailboxs_max = 5\n"))?;
    let refused = stage.relay.command("run")?;
    refused.refused(1, &["relay.toml", "unknown key `limits.mailboxs_max`", "`limits.mailboxes_max`"])
}

#[test]
fn a_second_relay_in_one_place() -> Tested {
    let stage = Stage::new(PROGRAM)?;
    stage.relay.command("run")?.refused(1, &["data is in use by another undertone-relay"])?;
    stage.relay.command("status")?.succeeded()?;
    Ok(())
}
