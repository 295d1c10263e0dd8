//! kill -9 of the relay and of the nodes at random moments, while both people write all the time: what was
//! acknowledged to a user, and what has a relay's custody receipt, is neither lost nor doubled, and both see
//! it in one order.
//!
//! It kills ten times; `UNDERTONE_KILLS=100` has it kill more often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::command::{CountView, MessageView};
use undertone_tests::processes::{Account, Person, Stage};
use undertone_tests::report;

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const KILLS: usize = 10;
/// Asks for another number of kills.
const KILLS_VARIABLE: &str = "UNDERTONE_KILLS";
/// Between two kills, in milliseconds.
const ALIVE_MS: u64 = 700;
/// Until what was killed starts again, in milliseconds.
const DEAD_MS: u64 = 400;
/// Between two messages of one person, in milliseconds: while the node is down, it needs such a gap to come
/// back in.
const PAUSE_MS: u64 = 120;
/// Between two looks of one person at the ticks, in messages.
const LOOK_EVERY: usize = 8;
/// How far back such a look goes, in messages.
const LOOK_BACK: &str = "100";
/// What a message of one's own goes through.
const STATES: [&str; 5] = ["queued", "waiting", "sent", "delivered", "read"];
/// The first of them that shows a custody receipt.
const SENT: usize = 2;
/// Replays the choices of a run that failed.
const SEED_VARIABLE: &str = "UNDERTONE_KILL_SEED";

fn kills() -> anyhow::Result<usize> {
    match std::env::var(KILLS_VARIABLE) {
        Ok(kills) => kills.parse().with_context(|| format!("{KILLS_VARIABLE}={kills}")),
        Err(_) => Ok(KILLS),
    }
}

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
    /// How far each message had come when it was last looked at: its place in [`STATES`].
    states: BTreeMap<String, usize>,
}

impl Written {
    /// How many were written.
    fn all(&self) -> usize {
        self.kept.len() + self.failed.len()
    }

    /// Looks at the ticks, which never go back.
    fn look(&mut self, history: &[MessageView]) -> anyhow::Result<()> {
        for message in history.iter().filter(|message| message.mine) {
            let state = STATES.iter().position(|state| *state == message.state);
            let state = state.with_context(|| format!("an odd state: {message:?}"))?;
            let before = self.states.insert(message.id.clone(), state).unwrap_or_default();
            ensure!(state >= before, "a tick went back from {:?}: {message:?}", STATES.get(before));
        }
        Ok(())
    }

    /// The messages that a relay signed for.
    fn in_custody(&self) -> impl Iterator<Item = &String> {
        self.states.iter().filter(|(_, state)| **state >= SENT).map(|(id, _)| id)
    }
}

/// Writes numbered texts, one after the other, until it is told to stop.
fn write(account: &Account, to: &str, seed: u64, stop: &AtomicBool) -> anyhow::Result<Written> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut written = Written::default();
    while !stop.load(Ordering::Relaxed) {
        let text = format!("{} by {}", written.all() + 1, account.name);
        let finished = account.command(&["send", to, &text, "--no-wait"])?;
        match finished.code() {
            Some(0) => written.kept.push((finished.json::<MessageView>()?.id, text)),
            // The node was killed before it answered, or it starts at this moment.
            Some(1 | 5) => written.failed.push(text),
            _ => bail!("an odd end of {text}: {finished:?}"),
        }
        if written.all() % LOOK_EVERY == 0 {
            let look = account.command(&["history", to, "--limit", LOOK_BACK])?;
            if look.code() == Some(0) {
                written.look(&look.json::<Vec<MessageView>>()?)?;
            }
        }
        thread::sleep(up_to(&mut rng, PAUSE_MS));
    }
    Ok(written)
}

/// Kills and starts again, until so many were killed: the relay, Alice, Bob.
fn kill(
    stage: &mut Stage,
    people: [&mut Person; 2],
    kills: usize,
    rng: &mut ChaCha20Rng,
) -> anyhow::Result<[usize; 3]> {
    let [alice, bob] = people;
    let mut killed = [0; 3];
    for round in 0.. {
        if killed.iter().sum::<usize>() >= kills {
            break;
        }
        thread::sleep(up_to(rng, ALIVE_MS));
        // Each of the three again and again, whatever the seed; two at once now and then.
        let first = round % 3;
        let second = (rng.next_u64() % 8) as usize;
        let dies = |who: usize| who == first || who == second;
        println!("round {round}: relay {}, Alice {}, Bob {}", dies(0), dies(1), dies(2));
        for (who, count) in killed.iter_mut().enumerate() {
            *count += usize::from(dies(who));
        }
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
            alice.start()?;
        }
        if dies(2) {
            bob.start()?;
        }
    }
    Ok(killed)
}

fn joined(writer: ScopedJoinHandle<'_, anyhow::Result<Written>>) -> anyhow::Result<Written> {
    writer.join().ok().context("a writer panicked")?
}

/// What is wrong with one side of a history; nothing, if all is well.
#[derive(Debug, Default)]
struct Wrong {
    /// Kept or in custody, and not there.
    lost: Vec<String>,
    /// There a second time.
    doubled: Vec<String>,
    /// There, and nobody wrote it.
    invented: Vec<String>,
}

impl Wrong {
    fn find(shown: &[&MessageView], written: &Written) -> Self {
        let ids: BTreeSet<_> = shown.iter().map(|message| &message.id).collect();
        let kept: BTreeMap<_, _> = written.kept.iter().map(|(id, text)| (id, text)).collect();
        let custody = written.in_custody().filter(|id| !ids.contains(id)).cloned();
        let there = |id: &String, text: &String| shown.iter().any(|m| m.id == *id && m.text == *text);
        let lost =
            kept.iter().filter(|(id, text)| !there(id, text)).map(|(id, text)| format!("{text} ({id})"));
        let mut wrong = Self { lost: custody.chain(lost).collect(), ..Self::default() };
        let (mut ids, mut texts) = (BTreeSet::new(), BTreeSet::new());
        for message in shown {
            if !(ids.insert(&message.id) && texts.insert(&message.text)) {
                wrong.doubled.push(format!("{message:?}"));
            }
            if !kept.contains_key(&message.id) && !written.failed.contains(&message.text) {
                wrong.invented.push(format!("{message:?}"));
            }
        }
        wrong
    }
}

/// The messages of one of the two in a history.
fn shown(history: &[MessageView], mine: bool) -> Vec<&MessageView> {
    history.iter().filter(|message| message.mine == mine).collect()
}

/// They stand in the order in which they were written.
fn in_order(shown: &[&MessageView]) -> anyhow::Result<()> {
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

/// Both write while all three are killed: how often each was, and what they wrote.
fn torture(
    stage: &mut Stage,
    people: [&mut Person; 2],
    kills: usize,
    rng: &mut ChaCha20Rng,
) -> anyhow::Result<([usize; 3], [Written; 2])> {
    let stop = AtomicBool::new(false);
    let accounts = people.each_ref().map(|person| Account::clone(person));
    thread::scope(|scope| {
        let stop = &stop;
        let [a, b] = &accounts;
        let (seed_a, seed_b) = (rng.next_u64(), rng.next_u64());
        let a_writes = scope.spawn(move || write(a, &b.name, seed_a, stop));
        let b_writes = scope.spawn(move || write(b, &a.name, seed_b, stop));
        let killed = kill(stage, people, kills, rng);
        stop.store(true, Ordering::Relaxed);
        let written = [joined(a_writes)?, joined(b_writes)?];
        Ok((killed?, written))
    })
}

/// Shows the counts, and fails if one of them is wrong.
fn judge(killed: [usize; 3], written: &[Written; 2], histories: [&[MessageView]; 2]) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (reader, history) in histories.into_iter().enumerate() {
        for (author, written) in written.iter().enumerate() {
            wrong.push(Wrong::find(&shown(history, reader == author), written));
        }
    }
    let count = |of: fn(&Written) -> usize| written.iter().map(of).sum::<usize>();
    let [relay, alice, bob] = killed;
    report::line(format_args!(
        "kill -9: {} kills (relay {relay}, nodes {alice} and {bob}); {} messages written, {} kept, {} sent \
         (custody receipt seen meanwhile), {} delivered; {} lost, {} doubled",
        relay + alice + bob,
        count(Written::all),
        count(|written| written.kept.len()),
        count(|written| written.in_custody().count()),
        histories.map(|history| shown(history, false).len()).iter().sum::<usize>(),
        wrong.iter().map(|wrong| wrong.lost.len()).sum::<usize>(),
        wrong.iter().map(|wrong| wrong.doubled.len()).sum::<usize>(),
    ))?;
    for wrong in wrong {
        ensure!(wrong.lost.is_empty() && wrong.doubled.is_empty() && wrong.invented.is_empty(), "{wrong:#?}");
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_any_kill() -> anyhow::Result<()> {
    let (seed, kills) = (seed()?, kills()?);
    println!("{SEED_VARIABLE}={seed} {KILLS_VARIABLE}={kills}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut stage = Stage::new(PROGRAM)?;
    let (mut alice, mut bob) = stage.friends("Alice", "Bob")?;
    let (killed, mut written) = torture(&mut stage, [&mut alice, &mut bob], kills, &mut rng)?;
    for (person, written) in [&alice, &bob].into_iter().zip(&mut written) {
        let other = if person.name == "Alice" { "Bob" } else { "Alice" };
        written.look(&person.history(other)?)?;
        ensure!(written.kept.len() > kills && written.in_custody().count() > kills, "too few were kept");
    }

    let all: usize = written.iter().map(|written| written.kept.len()).sum();
    let far = |history: &[MessageView], state: &str| {
        history.len() >= all && history.iter().all(|message| !message.mine || message.state == state)
    };
    alice.until_history("Bob", "all is delivered", |history| far(history, "delivered"))?;
    bob.until_history("Alice", "all is delivered", |history| far(history, "delivered"))?;
    alice.json::<CountView>(&["read", "Bob"])?;
    bob.json::<CountView>(&["read", "Alice"])?;
    let at_alice = alice.until_history("Bob", "all is read", |history| far(history, "read"))?;
    let at_bob = bob.until_history("Alice", "all is read", |history| far(history, "read"))?;
    judge(killed, &written, [&at_alice, &at_bob])?;
    for history in [&at_alice, &at_bob] {
        in_order(&shown(history, true))?;
        in_order(&shown(history, false))?;
    }
    assert_eq!(ids(&at_alice), ids(&at_bob), "two orders");
    let unread = at_alice.iter().chain(&at_bob).find(|message| message.state != "read");
    ensure!(unread.is_none(), "not read: {unread:?}");
    ensure!([&alice, &bob].iter().all(|person| person.status().is_ok_and(|status| status.outbox == 0)));
    Ok(())
}
