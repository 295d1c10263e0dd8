//! Senders and receivers that are online, first at one relay, then at two: what it costs to forward.

use std::ops::Range;
use std::time::{Duration, Instant};

use undertone_transport::RelayAddress;

use super::client::{Client, Device};
use super::clients::{Clients, Stage};
use super::forwarder::Forwarder;
use super::letters::Letters;
use super::options::Pairs;
use super::pairs;
use super::process::RelayProcess;
use super::report::{Report, per, percentiles};
use super::sides::Taker;
use super::stage::{Cue, Measured};
use super::wire::Wire;

/// The pairs of the second stage have other numbers than those of the first.
const STAGE: u32 = 100_000;

/// A share of the pairs, at both relays: the senders' one and, in the second stage, the receivers'.
pub(super) async fn serve(
    cue: Cue,
    [home, destination]: [&RelayAddress; 2],
    asked: &Pairs,
    numbers: Range<u32>,
    bytes: usize,
) -> anyhow::Result<()> {
    hang_up(&cue, pairs::serve(Cue, home, asked, numbers.clone(), bytes).await?).await?;
    let numbers = numbers.start + STAGE..numbers.end + STAGE;
    let devices = Device::many(numbers.clone());
    let senders = Device::many(numbers.start + asked.pairs..numbers.end + asked.pairs);
    let taking = Client::connect_all(&devices, destination, true).await?;
    let mut sending = Client::connect_all(&senders, home, true).await?;
    Client::attach_all(&mut sending, &senders).await?;
    let since = Instant::now();
    let mut pairs = Vec::new();
    let both = devices.iter().zip(taking).zip(senders.iter().zip(sending));
    for (number, ((device, taker), (sender, sending))) in numbers.zip(both) {
        let letters = Letters { series: number, bytes, since };
        let taker = Taker::attach(taker, device, letters).await?;
        let forwarder = Forwarder::new(sending, destination, sender, device, letters).await?;
        pairs.push((number - STAGE, forwarder, taker));
    }
    hang_up(&cue, pairs::converse(Cue, pairs, asked).await?).await
}

/// A stage in which connections end, so that in the one before it all are still there to be looked at.
async fn hang_up<T>(cue: &Cue, connections: Vec<T>) -> anyhow::Result<()> {
    cue.ready().await?;
    drop(connections);
    cue.done(&Measured::default())
}

/// CPU time of a relay, and what went over its connections.
type Cost = (Duration, Wire);

pub(super) async fn run(relays: [&RelayProcess; 2], clients: &mut Clients) -> anyhow::Result<Report> {
    let look = |relay: &RelayProcess| -> anyhow::Result<Cost> {
        Ok((relay.usage()?.cpu, Wire::of(relay.id(), relay.address())?))
    };
    let [home, destination] = relays;
    let mut report = Report::new("forward");
    let mut stage = clients.stage_of(|| look(home)).await?;
    clients.stage_of(|| Ok(())).await?;
    let local = figures("local", &mut stage, &mut report);
    let (before, after) = (stage.before, stage.after);
    local.cost("local", before, after, &mut report);

    let mut stage = clients.stage_of(|| Ok([look(home)?, look(destination)?])).await?;
    clients.stage_of(|| Ok(())).await?;
    let forwarded = figures("forward", &mut stage, &mut report);
    let ([home_before, there_before], [home_after, there_after]) = (stage.before, stage.after);
    forwarded.cost("home", home_before, home_after, &mut report);
    forwarded.cost("destination", there_before, there_after, &mut report);
    let both = (home_after.0 - home_before.0) + (there_after.0 - there_before.0);
    report.number("forward_server_cpu_us_per_message", per(both, forwarded.0));
    report.number("server_cpu_ratio", per(both, forwarded.0) / per(after.0 - before.0, local.0));
    Ok(report)
}

/// So many messages.
struct Messages(u64);

fn figures<T>(way: &str, stage: &mut Stage<T>, report: &mut Report) -> Messages {
    let messages = stage.measured.messages;
    report.count(&format!("{way}_messages"), messages);
    report.number(&format!("{way}_messages_per_s"), messages as f64 / stage.took.as_secs_f64());
    percentiles(&format!("{way}_"), std::mem::take(&mut stage.measured.latencies_us), report);
    report.number(&format!("{way}_busiest_client_cpu_percent"), stage.busiest_percent);
    Messages(messages)
}

impl Messages {
    /// What one relay spent on each of them.
    fn cost(&self, relay: &str, before: Cost, after: Cost, report: &mut Report) {
        let ((cpu_before, before), (cpu_after, after)) = (before, after);
        report.number(&format!("{relay}_server_cpu_us_per_message"), per(cpu_after - cpu_before, self.0));
        for (whose, before, after) in
            [("taken", before.taken, after.taken), ("made", before.made, after.made)]
        {
            for ((direction, before), after) in ["in", "out"].into_iter().zip(before).zip(after) {
                let name = format!("{relay}_{whose}_{direction}_bytes_per_message");
                report.number(&name, after.saturating_sub(before) as f64 / self.0 as f64);
            }
        }
    }
}
