//! Many who write to each other all the time, in pairs, over the local API of their nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::runtime::Runtime;
use tokio::time::sleep_until;
use undertone::api::{Client, ClientEvents};
use undertone::command::{Command, MessageView, Response};
use undertone::event::Event;

use super::account::Account;
use super::wait::until;

/// Waits with nothing new, each [`WAIT_MAX`](super::WAIT_MAX) long. What a device took and can't read is sealed again a minute after its next
/// acknowledgement at the earliest (`spec/receipts.md`, "Healing"), so it may be quiet for longer than one.
const QUIET_WAITS_MAX: u32 = 4;

/// Pairs of people who write to each other at a steady pace: the first and the second, the third and the fourth, and so
/// on. Dropped, they are silent.
#[derive(Debug)]
pub struct Chat {
    accounts: Vec<Account>,
    /// Messages that each writes.
    each: usize,
    told: Arc<Told>,
    _runtime: Runtime,
}

/// What came of it so far.
#[derive(Debug)]
struct Told(Mutex<Course>);

#[derive(Debug, Default)]
struct Course {
    /// What each wrote, by their place.
    words: Vec<Words>,
    failed: Option<String>,
}

/// What one person wrote.
#[derive(Debug, Default)]
struct Words {
    /// When each was about to be written.
    written: Vec<Instant>,
    /// Those that the author's node has.
    kept: BTreeSet<String>,
    /// When each showed at the other's, by number.
    arrived: BTreeMap<usize, Instant>,
    /// Those that the author was told of that they are delivered.
    delivered: BTreeSet<String>,
}

/// How both sides' histories compare with what was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Messages that were written.
    pub written: usize,
    /// Messages that one of the two does not show.
    pub lost: usize,
    /// Messages that are shown once too often.
    pub doubled: usize,
    /// Messages that stand behind a later one of the same author.
    pub disordered: usize,
    /// Messages that do not show as delivered at their author.
    pub undelivered: usize,
}

impl Chat {
    /// They begin: each writes so many messages, one in every `gap`.
    pub fn begin(accounts: Vec<Account>, each: usize, gap: Duration) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let words = accounts.iter().map(|_| Words::default()).collect();
        let told = Arc::new(Told(Mutex::new(Course { words, failed: None })));
        let mut clients = Vec::new();
        for (place, account) in accounts.iter().enumerate() {
            let (client, events) = runtime.block_on(connect(account))?;
            let listener =
                Listener { _client: Arc::clone(&client), events, place, name: account.name.clone() };
            runtime.spawn(Arc::clone(&told).note_end(listener.listen(Arc::clone(&told))));
            clients.push(client);
        }
        for (place, (client, account)) in clients.into_iter().zip(&accounts).enumerate() {
            let to = accounts.get(other(place)).context("somebody is alone")?.name.clone();
            let writer = Writer { client, place, name: account.name.clone(), to };
            runtime.spawn(Arc::clone(&told).note_end(writer.write(Arc::clone(&told), each, gap)));
        }
        Ok(Self { accounts, each, told, _runtime: runtime })
    }

    /// Messages that will have been written in the end.
    pub fn all(&self) -> usize {
        self.accounts.len() * self.each
    }

    /// Waits until so many arrived. An error when none does for three minutes.
    pub fn until_arrived(&self, count: usize) -> anyhow::Result<()> {
        self.until(count, "arrive", |course| course.words.iter().map(|words| words.arrived.len()).sum())
    }

    /// The same until all are delivered, as far as their authors know.
    pub fn until_delivered(&self) -> anyhow::Result<()> {
        self.until(self.all(), "are delivered", |course| {
            let words = course.words.iter();
            words.map(|words| words.kept.intersection(&words.delivered).count()).sum()
        })
    }

    /// Waits until something arrived everywhere that one of the pairs `of` wrote after `since`; for each direction the
    /// time from `since` until the first did.
    pub fn until_flowing(&self, since: Instant, of: &[usize]) -> anyhow::Result<Vec<Duration>> {
        let places = of.iter().flat_map(|pair| [2 * pair, 2 * pair + 1]).collect::<Vec<_>>();
        until("messages flow again", || {
            let course = self.told.look()?;
            let words = places.iter().filter_map(|place| course.words.get(*place));
            Ok(words.map(|words| words.first_after(since)).collect())
        })
    }

    /// From writing to arriving: the median, the 99th percentile and the longest.
    pub fn took(&self) -> anyhow::Result<[Duration; 3]> {
        let course = self.told.look()?;
        let mut took: Vec<_> = course.words.iter().flat_map(Words::took).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len().saturating_sub(1) * percent / 100).copied();
        Ok([50, 99, 100].map(|percent| at(percent).unwrap_or_default()))
    }

    /// Looks at all histories.
    pub fn judge(&self) -> anyhow::Result<Judged> {
        let mut judged = Judged { written: self.all(), ..Judged::default() };
        for (place, account) in self.accounts.iter().enumerate() {
            let other = self.accounts.get(other(place)).context("somebody is alone")?;
            let history = account.history(&other.name)?;
            judged.side(&history, true, &account.name, self.each);
            judged.side(&history, false, &other.name, self.each);
        }
        Ok(judged)
    }

    /// What was written and did not arrive: the author, numbers, and how many seconds ago they were written.
    fn missing(&self) -> String {
        let course = self.told.lock();
        let of = |(account, words): (&Account, &Words)| {
            let missing = words.written.iter().enumerate().filter(|(n, _)| !words.arrived.contains_key(n));
            let missing: Vec<_> =
                missing.map(|(n, at)| format!("{n} ({} s)", at.elapsed().as_secs())).collect();
            format!("{} of {}: {}", missing.len(), account.name, missing.join(" "))
        };
        self.accounts.iter().zip(&course.words).map(of).collect::<Vec<_>>().join("; ")
    }

    fn until(&self, wanted: usize, what: &str, count: impl Fn(&Course) -> usize) -> anyhow::Result<()> {
        let mut last = count(&*self.told.look()?);
        let mut quiet = 0;
        while last < wanted {
            let more = format!("more of {wanted} messages {what} than {last}");
            let seen = until(&more, || Ok(Some(count(&*self.told.look()?)).filter(|count| *count > last)));
            drop(self.told.look()?);
            (last, quiet) = match seen {
                Ok(count) => (count, 0),
                Err(_) if quiet + 1 < QUIET_WAITS_MAX => (last, quiet + 1),
                Err(error) => return Err(error.context(format!("not there are {}", self.missing()))),
            };
        }
        Ok(())
    }
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, Course> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error if one of them failed.
    fn look(&self) -> anyhow::Result<MutexGuard<'_, Course>> {
        let course = self.lock();
        ensure!(course.failed.is_none(), "{}", course.failed.clone().unwrap_or_default());
        Ok(course)
    }

    async fn note_end(self: Arc<Self>, task: impl Future<Output = anyhow::Result<()>>) {
        if let Err(error) = task.await {
            self.lock().failed.get_or_insert(format!("{error:#}"));
        }
    }
}

impl Course {
    fn of(&mut self, place: usize) -> anyhow::Result<&mut Words> {
        self.words.get_mut(place).context("nobody's words")
    }
}

impl Words {
    fn first_after(&self, since: Instant) -> Option<Duration> {
        let later = self.arrived.iter().filter(|(n, _)| self.written.get(**n).is_some_and(|at| *at > since));
        later.map(|(_, arrived)| arrived.duration_since(since)).min()
    }

    fn took(&self) -> impl Iterator<Item = Duration> {
        self.arrived.iter().filter_map(|(n, arrived)| Some(arrived.duration_since(*self.written.get(*n)?)))
    }
}

impl Judged {
    /// What one wrote, as it shows to one of the two.
    fn side(&mut self, history: &[MessageView], mine: bool, author: &str, each: usize) {
        let shown: Vec<_> = history.iter().filter(|message| message.mine == mine).collect();
        let numbers: Vec<_> = shown.iter().filter_map(|message| number(&message.text, author)).collect();
        let known: BTreeSet<_> = numbers.iter().filter(|number| **number < each).collect();
        self.lost += each - known.len();
        // One that nobody wrote is one too many, too.
        self.doubled += shown.len() - known.len();
        self.disordered += numbers.windows(2).filter(|pair| !pair.is_sorted()).count();
        let is_there = |message: &&&MessageView| message.state == "delivered" || message.state == "read";
        self.undelivered += if mine { each - shown.iter().filter(is_there).count().min(each) } else { 0 };
    }
}

/// Somebody who writes.
struct Writer {
    client: Arc<Client>,
    place: usize,
    name: String,
    to: String,
}

impl Writer {
    async fn write(self, told: Arc<Told>, each: usize, gap: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        for number in 0..each {
            sleep_until((begun + gap.mul_f64(number as f64)).into()).await;
            told.lock().of(self.place)?.written.push(Instant::now());
            let send = Command::Send { name: self.to.clone(), text: format!("{number} by {}", self.name) };
            match self.client.ask(&send, Duration::ZERO).await? {
                Response::Message(message) => told.lock().of(self.place)?.kept.insert(message.id),
                other => bail!("no message but {other:?}"),
            };
        }
        Ok(())
    }
}

async fn connect(account: &Account) -> anyhow::Result<(Arc<Client>, ClientEvents)> {
    let client = Client::connect(&account.home).await?;
    let client = client.with_context(|| format!("{}'s node does not run", account.name))?;
    let events = client.watch().await?;
    Ok((Arc::new(client), events))
}

/// Takes in what somebody's node tells.
struct Listener {
    /// Without it nothing more is told.
    _client: Arc<Client>,
    events: ClientEvents,
    place: usize,
    name: String,
}

impl Listener {
    async fn listen(mut self, told: Arc<Told>) -> anyhow::Result<()> {
        loop {
            let event = self.events.next().await;
            let event = event.with_context(|| format!("{}'s node tells nothing more", self.name))?;
            self.take(event, &mut told.lock())?;
        }
    }

    fn take(&self, event: Event, course: &mut Course) -> anyhow::Result<()> {
        match event {
            Event::Message { message } => {
                let number = number(&message.text, &message.from).context("a text that nobody wrote")?;
                let before = course.of(other(self.place))?.arrived.insert(number, Instant::now());
                ensure!(before.is_none(), "told twice: {message:?}");
            }
            Event::Tick { failed: Some(why), id, .. } => bail!("message {id} failed: {why}"),
            Event::Tick { id, state, .. } if state == "delivered" => {
                course.of(self.place)?.delivered.insert(id);
            }
            Event::Missed { count } => bail!("{count} events of {}'s were missed", self.name),
            _ => {}
        }
        Ok(())
    }
}

/// With whom somebody talks.
const fn other(place: usize) -> usize {
    place ^ 1
}

/// The number of a text that this person wrote.
fn number(text: &str, author: &str) -> Option<usize> {
    let (number, name) = text.split_once(" by ")?;
    number.parse().ok().filter(|_| name == author)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(texts: &[&str]) -> Judged {
        let message = |text: &&str| MessageView {
            text: (*text).to_owned(),
            state: "delivered".to_owned(),
            mine: true,
            ..MessageView::default()
        };
        let mut judged = Judged::default();
        judged.side(&texts.iter().map(message).collect::<Vec<_>>(), true, "Ann", 3);
        judged
    }

    #[test]
    fn what_is_lost_or_doubled_or_out_of_order_is_told() {
        let with = |lost, doubled, disordered, undelivered| Judged {
            written: 0,
            lost,
            doubled,
            disordered,
            undelivered,
        };
        assert_eq!(judged(&["0 by Ann", "1 by Ann", "2 by Ann"]), with(0, 0, 0, 0));
        assert_eq!(judged(&["0 by Ann", "2 by Ann"]), with(1, 0, 0, 1));
        assert_eq!(judged(&["0 by Ann", "1 by Ann", "1 by Ann", "2 by Ann"]), with(0, 1, 0, 0));
        assert_eq!(judged(&["1 by Ann", "0 by Ann", "2 by Ann"]), with(0, 0, 1, 0));
        assert_eq!(judged(&["0 by Ann", "1 by Ann", "2 by Bob"]), with(1, 1, 0, 0));
    }
}
