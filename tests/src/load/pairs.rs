//! Senders and receivers that are both online.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use undertone_transport::RelayAddress;

use super::client::{Client, Device};
use super::clients::{Clients, Stage};
use super::letters::Letters;
use super::options::Pairs;
use super::process::RelayProcess;
use super::report::{Report, per, percentiles};
use super::sides::{Publisher, Publishes, Taker};
use super::stage::{Cue, Measured};

/// A share of the pairs. Gives them when they are done: with them their connections end.
pub(super) async fn serve(
    cue: Cue,
    relay: &RelayAddress,
    asked: &Pairs,
    numbers: Range<u32>,
    bytes: usize,
) -> anyhow::Result<Vec<(Publisher, Taker)>> {
    let devices = Device::many(numbers.clone());
    let senders = Device::many(numbers.start + asked.pairs..numbers.end + asked.pairs);
    let taking = Client::connect_all(&devices, relay, true).await?;
    let mut sending = Client::connect_all(&senders, relay, true).await?;
    Client::attach_all(&mut sending, &senders).await?;
    let since = Instant::now();
    let mut pairs = Vec::new();
    let both = devices.iter().zip(taking).zip(senders.iter().zip(sending));
    for (number, ((device, taker), (sender, sending))) in numbers.zip(both) {
        let letters = Letters { series: number, bytes, since };
        let taker = Taker::attach(taker, device, letters).await?;
        pairs.push((number, Publisher::new(sending, relay.relay, sender, device, letters), taker));
    }
    converse(cue, pairs, asked).await
}

/// A stage in which all of these pairs, by their numbers, write and take.
pub(super) async fn converse<P: Publishes>(
    cue: Cue,
    pairs: Vec<(u32, P, Taker)>,
    asked: &Pairs,
) -> anyhow::Result<Vec<(P, Taker)>> {
    cue.ready().await?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, publisher, taker) in pairs {
        tasks.spawn(pair(publisher, taker, asked.window, Pace::new(start, number, asked)));
    }
    let (mut measured, mut done) = (Measured::default(), Vec::new());
    while let Some(pair) = tasks.join_next().await {
        let (publisher, mut taker) = pair??;
        measured.add(publisher.count(), std::mem::take(&mut taker.delivered_after));
        done.push((publisher, taker));
    }
    cue.done(&measured)?;
    Ok(done)
}

pub(super) async fn run(relay: &RelayProcess, clients: &mut Clients) -> anyhow::Result<Report> {
    let Stage { before, after, took, measured, busiest_percent } = clients.stage(relay).await?;
    let messages = measured.messages;
    let mut report = Report::new("pairs");
    report.count("messages", messages);
    report.number("messages_per_s", messages as f64 / took.as_secs_f64());
    report.number("server_cpu_us_per_message", per(after.cpu - before.cpu, messages));
    percentiles("", measured.latencies_us, &mut report);
    report.number(
        "written_bytes_per_message",
        (after.written_bytes - before.written_bytes) as f64 / messages as f64,
    );
    report.number("busiest_client_cpu_percent", busiest_percent);
    Ok(report)
}

/// When a sender may publish.
struct Pace {
    first: Instant,
    end: Instant,
    /// Between two messages of one sender; zero: none.
    gap: Duration,
}

impl Pace {
    /// Of the sender with this number: they take turns.
    fn new(start: Instant, number: u32, asked: &Pairs) -> Self {
        let gap = match asked.per_second {
            0 => Duration::ZERO,
            all => Duration::from_secs_f64(f64::from(asked.pairs) / f64::from(all)),
        };
        let first = start + gap.mul_f64(f64::from(number) / f64::from(asked.pairs));
        Self { first, end: start + Duration::from_secs(asked.seconds.into()), gap }
    }

    /// When the message with this number is due.
    fn due(&self, number: u64) -> Instant {
        self.first + self.gap.mul_f64(number as f64)
    }
}

async fn pair<P: Publishes>(
    mut publisher: P,
    mut taker: Taker,
    window: u32,
    pace: Pace,
) -> anyhow::Result<(P, Taker)> {
    let (told, sent) = watch::channel(None);
    let publishing = async move {
        publish(&mut publisher, usize::try_from(window)?, &pace).await?;
        told.send(Some(publisher.count())).context("the receiver is gone")?;
        // The taker needs the sender until it has read the total.
        Ok::<_, anyhow::Error>((publisher, told))
    };
    let ((publisher, _told), ()) = tokio::try_join!(publishing, taker.run(sent))?;
    Ok((publisher, taker))
}

async fn publish(publisher: &mut impl Publishes, window: usize, pace: &Pace) -> anyhow::Result<()> {
    loop {
        let due = pace.due(publisher.count());
        if Instant::now().max(due) >= pace.end {
            break;
        }
        if publisher.unanswered() >= window {
            publisher.receipts().await?;
        } else if due <= Instant::now() {
            publisher.publish()?;
        } else if publisher.unanswered() > 0 {
            tokio::select! {
                taken = publisher.receipts() => taken?,
                () = sleep_until(due.into()) => {}
            }
        } else {
            sleep_until(due.into()).await;
        }
    }
    while publisher.unanswered() > 0 {
        publisher.receipts().await?;
    }
    Ok(())
}
