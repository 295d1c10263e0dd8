//! The `undertone` program as a process, without a relay.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A relay's address where nobody listens: port 1 of the loopback interface.
const NOBODY: &str = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcRzQ4FENEemvpg";

struct Home {
    dir: TempDir,
}

impl Home {
    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("passphrase"), "correct horse\n").unwrap();
        Self { dir }
    }

    fn of(name: &str) -> Self {
        let home = Self::empty();
        let made = home.run(&["init", "--name", name, "--relay", NOBODY]);
        assert_eq!(code(&made), 0, "{made:?}");
        home
    }

    fn account(&self) -> PathBuf {
        self.dir.path().join("account")
    }

    fn api_file(&self) -> PathBuf {
        self.account().join("api.json")
    }

    fn command(&self, args: &[&str], passphrase: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_undertone"));
        command.arg("--home").arg(self.account()).arg("--passphrase-file").arg(passphrase).args(args);
        command.stdin(Stdio::null()).env_remove("RUST_LOG").env_remove("UNDERTONE_HOME");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args, &self.dir.path().join("passphrase")).output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[&["--json"], args].concat());
        assert_eq!(code(&output), 0, "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A running node, ready.
    fn node(&self) -> Running {
        let mut command = self.command(&["--json", "run"], &self.dir.path().join("passphrase"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready");
        Running(child)
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn init_shows_the_phrase_once_and_never_overwrites() {
    let home = Home::empty();
    let made = home.json(&["init", "--name", " Alice ", "--relay", NOBODY]);
    assert_eq!(made["name"], "Alice");
    assert_eq!(made["phrase"].as_str().unwrap().split(' ').count(), 24);
    let id = home.json(&["id"]);
    assert_eq!(id["name"], "Alice");

    let again = home.run(&["init", "--name", "Mallory"]);
    assert_eq!(code(&again), 5, "{again:?}");
    assert!(stderr(&again).starts_with("error: an account exists already"), "{again:?}");
    assert_eq!(home.json(&["id"]), id);
}

#[test]
fn init_refuses_what_makes_no_sense_and_leaves_nothing() {
    let home = Home::empty();
    for (args, says) in [
        (["--name", "", "--relay", NOBODY], "name"),
        (["--name", "Alice", "--relay", "relay.example.org:4001"], "/dns4/"),
        (["--name", "Alice", "--relay", "/ip4/127.0.0.1/tcp/4001"], "/p2p/KEY"),
    ] {
        let refused = home.run(&[&["init"], args.as_slice()].concat());
        assert_eq!(code(&refused), 3, "{refused:?}");
        assert!(stderr(&refused).contains(says), "{refused:?}");
    }
    assert!(!home.account().exists());
}

#[test]
fn a_command_line_that_makes_no_sense_has_exit_code_2() {
    let home = Home::empty();
    for args in [
        &["frobnicate"] as &[&str],
        &[],
        &["send", "Bob"],
        &["invite", "--expires", "7x"],
        &["invite", "--uses", "-1"],
        &["read", "Bob", "--wait", "1", "--no-wait"],
    ] {
        assert_eq!(code(&home.run(args)), 2, "{args:?}");
    }
    assert_eq!(code(&home.run(&["--help"])), 0);
}

#[test]
fn without_an_account_or_its_passphrase_errors_say_what_to_do() {
    let missing = Home::empty();
    let output = missing.run(&["id"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("undertone init"), "{output:?}");

    let home = Home::of("Alice");
    let wrong = home.dir.path().join("wrong");
    fs::write(&wrong, "incorrect horse").unwrap();
    let output = home.command(&["id"], &wrong).output().unwrap();
    assert_eq!(code(&output), 3);
    assert_eq!(
        stderr(&output),
        "error: wrong passphrase: nothing was opened or changed; try again, or give another `--passphrase-file`\n"
    );

    let mut command = Command::new(env!("CARGO_BIN_EXE_undertone"));
    command.arg("--home").arg(home.account()).arg("id").env_remove("UNDERTONE_PASSPHRASE_FILE");
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("--passphrase-file"), "{output:?}");
}

#[test]
fn a_damaged_database_is_told_and_left_alone() {
    let home = Home::of("Alice");
    let database = undertone::account::database_path(&home.account());
    let mut bytes = fs::read(&database).unwrap();
    bytes.iter_mut().take(4_096).for_each(|byte| *byte ^= 0x55);
    fs::write(&database, &bytes).unwrap();
    let output = home.run(&["id"]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(stderr(&output).contains("backup"), "{output:?}");
    assert_eq!(fs::read(&database).unwrap(), bytes);
}

#[test]
fn offline_commands_keep_what_they_can_not_send() {
    let (alice, bob) = (Home::of("Alice"), Home::of("Bob"));
    let output = alice.run(&["invite", "--no-wait", "--json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stderr(&output).contains("warning: no relay knows this link"), "{output:?}");
    let invitation: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(invitation["ready"], false);
    let link = invitation["link"].as_str().unwrap();

    let added = bob.json(&["contact", "add", link, "--message", "It is me", "--no-wait"]);
    assert_eq!((&added["name"], &added["introduced"]), (&"Alice".into(), &false.into()));
    let sent = bob.json(&["send", "alice", "hello", "--no-wait"]);
    assert_eq!(sent["state"], "queued");
    assert!(sent["note"].is_string());
    let history = bob.json(&["history", "Alice"]);
    let texts: Vec<_> = history.as_array().unwrap().iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["It is me", "hello"]);

    let unknown = bob.run(&["send", "Carol", "hello", "--no-wait"]);
    assert_eq!(code(&unknown), 4);
    assert!(stderr(&unknown).contains("undertone contact list"), "{unknown:?}");
    let nonsense = bob.run(&["contact", "add", "undertone:nonsense", "--no-wait"]);
    assert_eq!(code(&nonsense), 3, "{nonsense:?}");
}

#[test]
fn messages_are_changed_by_the_beginning_of_their_id() {
    let (alice, bob) = (Home::of("Alice"), Home::of("Bob"));
    let invitation = alice.json(&["invite", "--no-wait"]);
    bob.json(&["contact", "add", invitation["link"].as_str().unwrap(), "--no-wait"]);
    let sent = bob.json(&["send", "alice", "hello @alice", "--no-wait"]);
    let id = &sent["id"].as_str().unwrap()[..8];
    assert_eq!(sent["mentions"][0]["name"], "Alice");

    let reply = bob.json(&["reply", "alice", id, "indeed", "--no-wait"]);
    assert_eq!(reply["reply_to"]["text"], "hello @alice");
    let changed = bob.json(&["react", "alice", id, "👍", "--no-wait"]);
    assert_eq!(
        (&changed["reactions"][0]["reaction"], &changed["change"]["kind"]),
        (&"👍".into(), &"reaction".into())
    );
    assert_eq!(bob.json(&["edit", "alice", id, "hello, Alice", "--no-wait"])["edited"], true);
    assert_eq!(bob.json(&["pin", "alice", id, "--no-wait"])["pinned"], true);
    let forwarded = bob.json(&["forward", "alice", id, "me", "--no-wait"]);
    assert_eq!((&forwarded["text"], &forwarded["forwarded"]), (&"hello, Alice".into(), &true.into()));
    let history = String::from_utf8(bob.run(&["history", "alice"]).stdout).unwrap();
    let lines: Vec<&str> = history.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{id} ")) && lines[0].contains("hello, Alice (edited) (pinned)"),
        "{history}"
    );
    assert_eq!(lines[1], "    👍 Bob", "{history}");
    assert!(lines[2].contains("Bob: > Bob: hello, Alice"), "{history}");
    assert!(lines[3].starts_with("    indeed"), "{history}");

    let off = bob.json(&["react", "alice", id, "--off", "--no-wait"]);
    assert_eq!(off["reactions"].as_array().unwrap().len(), 0);
    assert_eq!(off["change"]["kind"], "reaction_off");
    assert_eq!(bob.json(&["pin", "alice", id, "--off", "--no-wait"])["pinned"], false);
    let info = bob.json(&["info", "alice", id]);
    assert_eq!(
        (&info["members"][0]["name"], &info["members"][0]["state"]),
        (&"Alice".into(), &"waiting".into())
    );
    let text = String::from_utf8(bob.run(&["info", "alice", id]).stdout).unwrap();
    assert!(text.contains("edit by Bob at "), "{text}");

    assert_eq!(bob.json(&["delete", "alice", id, "--no-wait"])["deleted"], true);
    let history = String::from_utf8(bob.run(&["history", "alice"]).stdout).unwrap();
    assert!(history.contains("Bob: (deleted)") && history.contains("> (deleted)"), "{history}");
    assert!(!history.contains("hello"), "{history}");
    for (args, exit, says) in [
        (["edit", "alice", id, "again"].as_slice(), 5, "deleted"),
        (&["delete", "alice", id], 5, "deleted"),
        (&["react", "alice", "00000000", "+"], 4, "no message"),
        (&["react", "alice", "0000", "+"], 3, "6 digits"),
        (&["react", "alice", id], 2, "EMOJI"),
        (&["react", "alice", id, " "], 3, "--off"),
    ] {
        let refused = bob.run(&[args, &["--no-wait"]].concat());
        assert_eq!(code(&refused), exit, "{refused:?}");
        assert!(stderr(&refused).contains(says), "{refused:?}");
    }
    let id = &reply["id"].as_str().unwrap()[..8];
    assert_eq!(bob.json(&["delete", "alice", id, "--for-me", "--no-wait"])["messages"], 1);
    assert_eq!(bob.json(&["history", "alice"]).as_array().unwrap().len(), 1);
}

#[test]
fn groups_are_made_changed_and_left_from_the_command_line() {
    let home = Home::of("Alice");
    let group = home.json(&["group", "create", "Book Club", "--no-wait"]);
    let id = &group["group"].as_str().unwrap()[..8];
    let link = home.run(&["group", "link", "book club", "--no-wait"]);
    assert!(stderr(&link).contains("undertone group join LINK"), "{link:?}");
    home.json(&["group", "set", id, "--description", "Fridays", "--no-wait"]);
    home.json(&["send", "Book Club", "(removed Alice)", "--no-wait"]);
    let items = home.json(&["history", "Book Club"]);
    let kinds: Vec<_> = items.as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["notice", "notice", "text"]);
    let history = String::from_utf8(home.run(&["history", "Book Club"]).stdout).unwrap();
    let lines: Vec<&str> = history.lines().collect();
    assert!(lines[0].contains(" * Alice made an invitation link"), "{history}");
    // Nobody writes what looks like a notice.
    assert!(lines[2].contains(" Alice: (removed Alice)"), "{history}");
    let show = String::from_utf8(home.run(&["group", "show", "Book Club"]).stdout).unwrap();
    assert!(
        show.contains("Alice (you): owner") && show.contains("Fridays") && show.contains("  link "),
        "{show}"
    );

    let long = "x".repeat(65);
    let text = "x".repeat(2_049);
    for (args, exit, says) in [
        (["group", "show", "Clob"].as_slice(), 4, "`undertone group list`"),
        (&["send", "Clob", "hello"], 4, "`undertone group list`"),
        (&["group", "add", "Book Club", "Zoe"], 4, "`undertone contact list`"),
        (&["group", "remove", "Book Club", "Zoe"], 4, "`undertone group show 'Book Club'`"),
        (&["group", "remove", "Book Club", "Alice"], 5, "`undertone group leave 'Book Club'`"),
        (&["group", "role", "Book Club", "Alice", "chief"], 3, "owner, admin or member"),
        (&["group", "role", "Book Club", "Alice", "member"], 5, "last owner"),
        (&["group", "set", "Book Club"], 3, "nothing to change"),
        (&["group", "set", "Book Club", "--description", &text], 3, "2048 bytes"),
        (&["group", "create", &long], 3, "64"),
        (&["group", "create", " "], 3, "empty"),
        (&["group", "link", "Book Club", "--revoke", "abcdef"], 4, "no link"),
        (&["group", "join", "undertone:nonsense"], 3, "invitation"),
        (&["group", "add", "Book Club"], 2, "CONTACT"),
    ] {
        let refused = home.run(&[args, &["--no-wait"]].concat());
        assert_eq!(code(&refused), exit, "{refused:?}");
        assert!(stderr(&refused).contains(says), "{refused:?}");
    }

    home.json(&["group", "create", "Book Club", "--no-wait"]);
    let several = home.run(&["send", "Book Club", "to whom?", "--no-wait"]);
    assert!(code(&several) == 5 && stderr(&several).contains(id), "{several:?}");
    let left = home.json(&["group", "leave", id, "--no-wait"]);
    assert_eq!(left["state"], "out");
    let gone = home.run(&["send", id, "hello?", "--no-wait"]);
    assert!(code(&gone) == 5 && stderr(&gone).contains("not in Book Club any more"), "{gone:?}");
    assert_eq!(home.json(&["history", id]).as_array().unwrap().len(), 4, "what was said stays");
}

#[test]
fn commands_reach_the_running_node_without_the_passphrase() {
    let home = Home::of("Alice");
    let offline = home.json(&["status"]);
    assert_eq!(offline["running"], false);
    let mut node = home.node();
    let nowhere = home.dir.path().join("no such file");
    let output = home.command(&["status", "--json"], &nowhere).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["running"], &status["id"]), (&true.into(), &offline["id"]));

    let second = home.run(&["run"]);
    assert_eq!(code(&second), 5, "{second:?}");
    assert!(stderr(&second).contains(&node.0.id().to_string()), "{second:?}");
    assert!(home.api_file().exists());

    let asked = Command::new("kill").args(["-TERM", &node.0.id().to_string()]).status().unwrap();
    assert!(asked.success());
    assert!(node.0.wait().unwrap().success());
    assert!(!home.api_file().exists());
}

#[test]
fn what_a_killed_node_left_is_no_obstacle() {
    let home = Home::of("Alice");
    let mut node = home.node();
    node.0.kill().unwrap();
    node.0.wait().unwrap();
    assert!(home.api_file().exists());
    assert_eq!(home.json(&["id"])["name"], "Alice");
    let _again = home.node();
    assert_eq!(home.json(&["status"])["running"], true);
}

#[test]
fn a_running_node_that_can_not_be_asked_is_told() {
    let home = Home::of("Alice");
    let node = home.node();
    let mut file = fs::File::create(home.api_file()).unwrap();
    file.write_all(br#"{"url":"ws://127.0.0.1:1","token":"0","pid":1}"#).unwrap();
    let output = home.run(&["id"]);
    assert_eq!(code(&output), 5, "{output:?}");
    assert!(stderr(&output).contains(&node.0.id().to_string()), "{output:?}");
}

#[test]
fn watch_says_when_it_begins_and_when_the_node_is_gone() {
    let home = Home::of("Alice");
    let mut node = home.node();
    let mut command = home.command(&["watch", "--json"], &home.dir.path().join("passphrase"));
    let mut watch = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(watch.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"event\":\"watching\"}\n");
    node.0.kill().unwrap();
    let output = watch.wait_with_output().unwrap();
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(stderr(&output).contains("the node stopped"), "{output:?}");
}
