//! A federation with real processes and a real network between them: five relays, each in a network namespace of its
//! own, and ten people at two of them each, who write to each other in pairs that have no relay in common. Links are
//! cut and healed, relays are killed, and one is lost with its disk: nothing is lost, doubled or out of order.
//!
//! `UNDERTONE_NAMESPACES_MESSAGES=2000` has them write another number of messages in the same time. Where namespaces
//! are not allowed it says so and does nothing.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use undertone_tests::processes::{Chat, Judged, Person, Program, Relay, Spot, Stage, isolated, until_after};
use undertone_tests::report;

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const RELAYS: usize = 5;
const PAIRS: usize = 5;
const MESSAGES: usize = 10_000;
/// Asks for another number of messages.
const MESSAGES_VARIABLE: &str = "UNDERTONE_NAMESPACES_MESSAGES";
/// How long they write.
const WRITING: Duration = Duration::from_secs(75);
/// What came out of order over two ways can't be read at times: a device asks the other one for it, and again a minute later
/// at the soonest. That waits in its outbox meanwhile.
const ASKED_AGAIN: Duration = Duration::from_secs(60);
/// Longer than all takes; only a fault reaches it.
const LONGEST: Duration = Duration::from_secs(600);

type Tested = anyhow::Result<()>;

/// The relays where both sides of a pair live, the preferred ones first: none is home to both.
const fn homes(pair: usize) -> [[usize; 2]; 2] {
    [[pair % RELAYS, (pair + 1) % RELAYS], [(pair + 2) % RELAYS, (pair + 3) % RELAYS]]
}

/// The pairs of which somebody lives at this relay.
fn pairs_of(relay: usize) -> Vec<usize> {
    (0..PAIRS).filter(|pair| homes(*pair).as_flattened().contains(&relay)).collect()
}

/// Relays in namespaces, and people in the one that all of these are linked to. Drop the processes first.
struct Federation {
    people: Vec<Person>,
    relays: Vec<Relay>,
    spots: Vec<Spot>,
    _dir: TempDir,
}

impl Federation {
    fn new() -> anyhow::Result<Self> {
        let (program, dir) = (Program::new(PROGRAM), Stage::place()?);
        let (mut spots, mut relays) = (Vec::new(), Vec::new());
        for number in 0..RELAYS {
            let spot = Spot::new(u8::try_from(number)?)?;
            let at = dir.path().join(format!("relay{number}"));
            let listen = format!("/ip4/{}/tcp/0", spot.address());
            relays.push(Relay::create_at(&spot.program(&program), at, &listen, &[])?);
            spots.push(spot);
        }
        let addresses: Vec<_> = relays.iter().map(Relay::address).collect();
        let people = move_in(&program, dir.path(), &addresses)?;
        Ok(Self { people, relays, spots, _dir: dir })
    }

    /// A count of all relays that run.
    fn count(&self, name: &str) -> anyhow::Result<u64> {
        let running = self.relays.iter().filter(|relay| relay.process_id().is_ok());
        running.map(|relay| relay.count(name)).sum()
    }
}

/// People settle at their relays and get to know each other, all pairs at a time.
fn move_in(program: &Program, dir: &Path, relays: &[&str]) -> anyhow::Result<Vec<Person>> {
    thread::scope(|scope| {
        let settle = |number: usize| scope.spawn(move || pair(program, dir, relays, number));
        let pairs: Vec<_> = (0..PAIRS).map(settle).collect();
        let mut people = Vec::new();
        for pair in pairs {
            people.extend(pair.join().ok().context("a pair panicked")??);
        }
        Ok(people)
    })
}

fn pair(program: &Program, dir: &Path, relays: &[&str], number: usize) -> anyhow::Result<[Person; 2]> {
    let person = |side: usize| {
        let homes = homes(number)[side].map(|relay| relays[relay]);
        let mut person = Person::create_at(program, dir, &format!("P{number}{side}"), &homes)?;
        person.start()?;
        person.until_connected(true)?;
        anyhow::Ok(person)
    };
    let (one, other) = (person(0)?, person(1)?);
    other.meet(&one)?;
    Ok([one, other])
}

/// After something happened the pairs at this relay write on: until that arrives, and how long it took.
fn flows(chat: &Chat, what: &str, relay: usize, since: Instant) -> Tested {
    let mut took = chat.until_flowing(since, &pairs_of(relay))?;
    took.sort_unstable();
    let at = |place: usize| took.get(place).map(Duration::as_secs_f64).unwrap_or_default();
    report::line(format_args!(
        "{what}: what its {} people and those who write to them wrote from then on arrived after {:.1} to {:.1} s, median {:.1} s",
        2 * PAIRS * 2 / RELAYS,
        at(0),
        at(took.len() - 1),
        at(took.len() / 2),
    ))?;
    Ok(())
}

/// All that happens while they write.
fn torment(federation: &mut Federation, chat: &Chat) -> Tested {
    let Federation { relays, spots, .. } = federation;
    let [cut, killed, parted, lost] = [0, 1, 2, 4];
    chat.until_arrived(chat.all() / 20)?;
    spots[cut].cut()?;
    flows(chat, "a relay's link is down", cut, Instant::now())?;
    spots[cut].heal()?;

    chat.until_arrived(chat.all() / 4)?;
    relays[killed].kill()?;
    flows(chat, "kill -9 of a relay", killed, Instant::now())?;
    relays[killed].start()?;

    chat.until_arrived(chat.all() * 9 / 20)?;
    let others = || (0..RELAYS).filter(|relay| *relay != parted).map(|relay| &spots[relay]);
    others().try_for_each(|other| spots[parted].part(other))?;
    flows(chat, "a relay reaches no other one", parted, Instant::now())?;
    others().try_for_each(|other| spots[parted].join(other))?;

    chat.until_arrived(chat.all() * 13 / 20)?;
    relays[lost].kill()?;
    let since = Instant::now();
    fs::remove_dir_all(relays[lost].dir())?;
    flows(chat, "kill -9 of a relay, and its disk is gone", lost, since)?;

    // Two people have no other relay now.
    chat.until_arrived(chat.all() * 17 / 20)?;
    relays[cut].kill()?;
    let since = Instant::now();
    relays[cut].start()?;
    flows(chat, "kill -9 of a relay, the only one of two people, which comes back at once", cut, since)
}

fn messages() -> anyhow::Result<usize> {
    match std::env::var(MESSAGES_VARIABLE) {
        Ok(messages) => messages.parse().with_context(|| format!("{MESSAGES_VARIABLE}={messages}")),
        Err(_) => Ok(MESSAGES),
    }
}

#[test]
fn five_relays_in_namespaces_lose_nothing() -> Tested {
    isolated("five_relays_in_namespaces_lose_nothing", LONGEST, || {
        let begun = Instant::now();
        let mut federation = Federation::new()?;
        let each = messages()? / (2 * PAIRS);
        ensure!(each > 0, "too few messages");
        let accounts = federation.people.iter().map(|person| (**person).clone()).collect();
        report::line(format_args!("{RELAYS} relays and {} people, after {:?}", 2 * PAIRS, begun.elapsed()))?;
        let (writing, gap) = (Instant::now(), WRITING.div_f64(each as f64));
        let chat = Chat::begin(accounts, each, gap)?;
        torment(&mut federation, &chat)?;
        chat.until_arrived(chat.all())?;
        chat.until_delivered()?;
        let wrote = writing.elapsed();
        let judged = chat.judge()?;
        let [median, late, latest] = chat.took()?.map(|took| took.as_secs_f64());
        let Judged { written, lost, doubled, disordered, .. } = judged;
        report::line(format_args!(
            "{written} messages in {:.0} s: {lost} lost, {doubled} doubled, {disordered} out of order; from writing to \
             arriving {median:.3} s (median), {late:.1} s (99 %), {latest:.1} s (longest); {} went over two relays, {} straight",
            wrote.as_secs_f64(),
            federation.count("forwards_answered")?,
            federation.count("publishes")?,
        ))?;
        ensure!(judged == Judged { written, ..Judged::default() }, "{judged:?}");
        for person in &federation.people {
            until_after(ASKED_AGAIN, &format!("nothing waits at {}", person.name), || {
                Ok((person.status()?.outbox == 0).then_some(()))
            })?;
        }
        Ok(())
    })
}
