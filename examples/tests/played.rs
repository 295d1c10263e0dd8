//! The stories are played to their end: each says that nothing was lost or doubled, and leaves no process and no file.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// Longer than the programs themselves let a story take, after which they fail, and to clean up.
const LONGEST: Duration = Duration::from_secs(240);

/// A story that is over.
struct Played {
    status: ExitStatus,
    told: String,
    complaint: String,
}

impl Played {
    /// The lines that count what was written, and what became of it.
    fn figures(&self) -> Vec<&str> {
        self.told.lines().filter(|line| line.contains(" sent, ")).collect()
    }

    /// It ended well, and with figures.
    fn ended_well(&self) -> bool {
        self.status.success() && self.told.lines().last() == self.figures().last().copied()
    }

    /// How it ended, for a failure.
    fn end(&self) -> String {
        let last: Vec<_> = self.told.lines().rev().take(12).collect();
        let last: String = last.into_iter().rev().map(|line| format!("{line}\n")).collect();
        format!("{}: {}\n{last}", self.status, self.complaint)
    }
}

/// Plays a story, as somebody does who tries it. Over it is when the last of its processes has ended: they have its output.
fn play(program: &str) -> Played {
    let home = tempfile::tempdir().unwrap();
    let story = Command::new(program)
        .env("TMPDIR", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut story = story.unwrap();
    let (mut stdout, mut stderr) = (story.stdout.take().unwrap(), story.stderr.take().unwrap());
    let complaint = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let (say, said) = sync_channel(1);
    thread::spawn(move || {
        let mut text = String::new();
        let told = stdout.read_to_string(&mut text).map(|_| text);
        let _ = say.send((told, complaint.join()));
    });
    let over = said.recv_timeout(LONGEST);
    if over.is_err() {
        // Its processes end with it.
        story.kill().unwrap();
    }
    let status = story.wait().unwrap();
    let (told, complaint) = over.unwrap();
    let left = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(left, 0, "the story leaves its directory behind");
    Played { status, told: told.unwrap(), complaint: complaint.unwrap().unwrap() }
}

#[test]
fn the_demo_ends_with_nothing_lost_in_three_acts() {
    let played = play(env!("CARGO_BIN_EXE_undertone-demo"));
    assert!(played.ended_well(), "{}", played.end());
    let figures = played.figures();
    assert_eq!(figures.len(), 3, "{}", played.end());
    for act in [0, 2] {
        let all = figures[act].split(' ').next().unwrap();
        let all = format!(
            "{all} sent, {all} delivered, {all} read, 0 lost, 0 doubled, the same order on both sides"
        );
        assert_eq!(figures[act], all);
        assert!(!all.starts_with("0 "), "nothing was said");
    }
    let group = "members at each: Alice 4, Bob 4, Carol 0, Dave 4, Erin 4; 9 sent, 32 shown, 0 lost, 0 doubled, 0 shown to \
                 anybody whom they were not for";
    assert_eq!(figures[1], group);
}

#[test]
fn the_federation_outlives_a_relay_with_nothing_lost() {
    let played = play(env!("CARGO_BIN_EXE_undertone-federation"));
    assert!(played.ended_well(), "{}", played.end());
    let figures = played.figures();
    // Twelve messages, for six people.
    let all = "6 people at 3 relays, of which one died: 12 sent, 72 shown, 0 lost, 0 doubled";
    assert_eq!(figures, [all], "{}", played.end());
}
