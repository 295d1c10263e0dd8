//! Who kills the demo is rid of it: nothing of it goes on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// Longer than relay and nodes take to start, or to end.
const LONGEST: Duration = Duration::from_secs(60);

#[test]
fn a_demo_that_is_killed_leaves_no_process() {
    let home = tempfile::tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_undertone-demo"))
        .arg("--json")
        .env("TMPDIR", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut demo = demo.unwrap();
    let (stdout, mut stderr) = (demo.stdout.take().unwrap(), demo.stderr.take().unwrap());
    let (say, said) = sync_channel(2);
    let talked = say.clone();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let _ = talked.send(lines.any(|line| line.contains("They talk")));
    });
    let begun = said.recv_timeout(LONGEST);
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert_eq!(begun, Ok(true), "the story begins: a relay and two nodes run");
    // They have it from the demo: it ends with the last of them.
    thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = say.send(stderr.read_to_end(&mut rest).is_ok());
    });
    assert_eq!(said.recv_timeout(LONGEST), Ok(true), "a process of the demo goes on without it");
}
