//! kill -9 of the relay and of the nodes at random moments, while both people write all the time: what was
//! acknowledged to a user is neither lost nor doubled, and both see it in one order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::command::{CountView, MessageView};
use undertone_tests::processes::{Account, Person, Stage};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const KILLS: usize = 15;
/// Between two kills, in milliseconds.
const ALIVE_MS: u64 = 700;
/// Until what was killed starts again, in milliseconds.
const DEAD_MS: u64 = 400;
/// Between two messages of one person, in milliseconds: while the node is down, it needs such a gap to come
/// back in.
const PAUSE_MS: u64 = 120;
/// Replays the choices of a run that failed.
const SEED_VARIABLE: &str = "UNDERTONE_KILL_SEED";

fn seed() -> anyhow::Result<u64> {
    match std::env::var(SEED_VARIABLE) {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos())),
    }
}

fn up_to(rng: &mut ChaCha20Rng, ms: u64) -> Duration {
    Duration::from_millis(rng.next_u64() % (ms + 1))
}

/// What one person wrote.
#[derive(Default)]
struct Written {
    /// Ids and texts of what the command said is kept, in order.
    kept: Vec<(String, String)>,
    /// Texts whose command failed: nothing was promised, but they may have been kept all the same.
    failed: Vec<String>,
}

/// Writes numbered texts, one after the other, until it is told to stop.
fn write(account: &Account, to: &str, seed: u64, stop: &AtomicBool) -> anyhow::Result<Written> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut written = Written::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let text = format!("{number} by {}", account.name);
        let finished = account.command(&["send", to, &text, "--no-wait"])?;
        match finished.code() {
            Some(0) => written.kept.push((finished.json::<MessageView>()?.id, text)),
            // The node was killed before it answered, or it starts at this moment.
            Some(1 | 5) => written.failed.push(text),
            _ => bail!("an odd end of {text}: {finished:?}"),
        }
        thread::sleep(up_to(&mut rng, PAUSE_MS));
    }
    Ok(written)
}

/// Kills and starts again, so many times.
fn kill(stage: &mut Stage, people: [&mut Person; 2], rng: &mut ChaCha20Rng) -> anyhow::Result<()> {
    let [alice, bob] = people;
    for kill in 0..KILLS {
        thread::sleep(up_to(rng, ALIVE_MS));
        // Each of the three several times, whatever the seed; two at once now and then.
        let first = kill % 3;
        let second = (rng.next_u64() % 8) as usize;
        let dies = |who: usize| who == first || who == second;
        println!("kill {kill}: relay {}, Alice {}, Bob {}", dies(0), dies(1), dies(2));
        if dies(0) {
            stage.relay.kill()?;
        }
        if dies(1) {
            alice.kill()?;
        }
        if dies(2) {
            bob.kill()?;
        }
        thread::sleep(up_to(rng, DEAD_MS));
        if dies(0) {
            stage.relay.start()?;
        }
        if dies(1) {
            alice.start_between_commands()?;
        }
        if dies(2) {
            bob.start_between_commands()?;
        }
    }
    Ok(())
}

fn joined(writer: ScopedJoinHandle<'_, anyhow::Result<Written>>) -> anyhow::Result<Written> {
    writer.join().ok().context("a writer panicked")?
}

/// Everything kept is in the history once, in the order in which it was written, and nothing else is there
/// but what a failed command may have left.
fn check(history: &[MessageView], mine: bool, written: &Written) -> anyhow::Result<()> {
    let shown: Vec<_> = history.iter().filter(|message| message.mine == mine).collect();
    let ids: BTreeSet<_> = shown.iter().map(|message| &message.id).collect();
    let texts: BTreeSet<_> = shown.iter().map(|message| &message.text).collect();
    ensure!(ids.len() == shown.len() && texts.len() == shown.len(), "something is doubled: {shown:#?}");
    for (id, text) in &written.kept {
        let there = shown.iter().any(|message| message.id == *id && message.text == *text);
        ensure!(there, "`{text}` ({id}) was kept, and is lost: {shown:#?}");
    }
    for message in &shown {
        let kept = written.kept.iter().any(|(id, _)| *id == message.id);
        ensure!(kept || written.failed.contains(&message.text), "nobody wrote {message:?}");
    }
    let numbers: Vec<u64> = shown
        .iter()
        .map(|message| message.text.split(' ').next().unwrap_or_default().parse())
        .collect::<Result<_, _>>()?;
    ensure!(numbers.is_sorted(), "not in the order of writing: {numbers:?}");
    Ok(())
}

fn ids(history: &[MessageView]) -> Vec<&str> {
    history.iter().map(|message| message.id.as_str()).collect()
}

#[test]
fn what_was_acknowledged_survives_any_kill() -> anyhow::Result<()> {
    let seed = seed()?;
    println!("{SEED_VARIABLE}={seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut stage = Stage::new(PROGRAM)?;
    let (mut alice, mut bob) = stage.friends("Alice", "Bob")?;

    let stop = AtomicBool::new(false);
    let accounts = [Account::clone(&alice), Account::clone(&bob)];
    let [by_alice, by_bob] = thread::scope(|scope| {
        let stop = &stop;
        let [a, b] = &accounts;
        let (seed_a, seed_b) = (rng.next_u64(), rng.next_u64());
        let a_writes = scope.spawn(move || write(a, "Bob", seed_a, stop));
        let b_writes = scope.spawn(move || write(b, "Alice", seed_b, stop));
        let killed = kill(&mut stage, [&mut alice, &mut bob], &mut rng);
        stop.store(true, Ordering::Relaxed);
        let written = [joined(a_writes)?, joined(b_writes)?];
        killed.map(|()| written)
    })?;

    let all = by_alice.kept.len() + by_bob.kept.len();
    println!("{all} kept, {} not", by_alice.failed.len() + by_bob.failed.len());
    ensure!(by_alice.kept.len() > KILLS && by_bob.kept.len() > KILLS, "too few were kept: {all}");
    let far = |history: &[MessageView], state: &str| {
        history.len() >= all && history.iter().all(|message| !message.mine || message.state == state)
    };
    alice.until_history("Bob", "all is delivered", |history| far(history, "delivered"))?;
    bob.until_history("Alice", "all is delivered", |history| far(history, "delivered"))?;
    alice.json::<CountView>(&["read", "Bob"])?;
    bob.json::<CountView>(&["read", "Alice"])?;
    let at_alice = alice.until_history("Bob", "all is read", |history| far(history, "read"))?;
    let at_bob = bob.until_history("Alice", "all is read", |history| far(history, "read"))?;
    for (history, mine) in [(&at_alice, true), (&at_bob, false)] {
        check(history, mine, &by_alice)?;
        check(history, !mine, &by_bob)?;
    }
    assert_eq!(ids(&at_alice), ids(&at_bob), "two orders");
    let unread = at_alice.iter().chain(&at_bob).find(|message| message.state != "read");
    ensure!(unread.is_none(), "not read: {unread:?}");
    ensure!([&alice, &bob].iter().all(|person| person.status().is_ok_and(|status| status.outbox == 0)));
    Ok(())
}
