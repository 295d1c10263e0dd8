//! Mailboxes that are filled while nobody is attached, and drained afterwards.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use undertone_transport::RelayAddress;

use super::client::{Client, Device};
use super::clients::{Clients, Stage};
use super::letters::Letters;
use super::options::Offline;
use super::process::{RelayProcess, Usage};
use super::report::{Report, per, percentiles};
use super::sides::{Publisher, Publishes, Taker};
use super::stage::{Cue, Measured};

/// A share of the mailboxes: they are filled, then drained.
pub(super) async fn serve(
    cue: Cue,
    relay: &RelayAddress,
    asked: &Offline,
    numbers: Range<u32>,
    bytes: usize,
) -> anyhow::Result<()> {
    let devices = Device::many(numbers.clone());
    let senders = Device::many(numbers.start + asked.mailboxes..numbers.end + asked.mailboxes);
    drop(Client::connect_all(&devices, relay, true).await?);
    let mut sending = Client::connect_all(&senders, relay, true).await?;
    Client::attach_all(&mut sending, &senders).await?;
    let letters = |series| Letters { series, bytes, since: Instant::now() };
    let mailboxes: Vec<(Device, Letters)> = devices.iter().cloned().zip(numbers.map(letters)).collect();
    let publisher = |((client, sender), (device, letters)): ((Client, &Device), &(Device, Letters))| {
        Publisher::new(client, relay.relay, sender, device, *letters)
    };
    let publishers = sending.into_iter().zip(&senders).zip(&mailboxes).map(publisher).collect();
    cue.ready().await?;
    cue.done(&store(publishers, asked).await?)?;
    let taking = Client::connect_all(&devices, relay, false).await?;
    cue.ready().await?;
    drain(mailboxes, taking, asked).await?;
    cue.done(&Measured::default())
}

pub(super) async fn run(relay: &RelayProcess, clients: &mut Clients) -> anyhow::Result<Report> {
    let Stage { before, after, took, measured, busiest_percent } = clients.stage(relay).await?;
    let messages = measured.messages;
    let mut report = Report::new("offline");
    report.count("messages", messages);
    report.number("messages_per_s", messages as f64 / took.as_secs_f64());
    report.number("server_cpu_us_per_message", per(after.cpu - before.cpu, messages));
    percentiles("", measured.latencies_us, &mut report);
    disk(&mut report, &before, &after, messages);
    report.number("busiest_client_cpu_percent", busiest_percent);

    let Stage { before, after, took, busiest_percent, .. } = clients.stage(relay).await?;
    report.number("drain_messages_per_s", messages as f64 / took.as_secs_f64());
    report.number("drain_server_cpu_us_per_message", per(after.cpu - before.cpu, messages));
    report.number("drain_busiest_client_cpu_percent", busiest_percent);
    Ok(report)
}

/// From publish to receipt.
async fn store(publishers: Vec<Publisher>, asked: &Offline) -> anyhow::Result<Measured> {
    let (window, messages) = (usize::try_from(asked.window)?, u64::from(asked.messages));
    let mut tasks = JoinSet::new();
    for mut publisher in publishers {
        tasks.spawn(async move {
            while publisher.count() < messages || publisher.unanswered() > 0 {
                if publisher.count() < messages && publisher.unanswered() < window {
                    publisher.publish()?;
                } else {
                    publisher.receipts().await?;
                }
            }
            Ok::<Vec<Duration>, anyhow::Error>(publisher.answered_after)
        });
    }
    let mut measured = Measured::default();
    while let Some(done) = tasks.join_next().await {
        measured.add(messages, done??);
    }
    Ok(measured)
}

async fn drain(
    mailboxes: Vec<(Device, Letters)>,
    taking: Vec<Client>,
    asked: &Offline,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let (_told, sent) = watch::channel(Some(u64::from(asked.messages)));
    for ((device, letters), client) in mailboxes.into_iter().zip(taking) {
        let sent = sent.clone();
        tasks.spawn(async move { Taker::attach(client, &device, letters).await?.run(sent).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn disk(report: &mut Report, before: &Usage, after: &Usage, messages: u64) {
    let grown = after.store_bytes.saturating_sub(before.store_bytes);
    report.number("disk_bytes_per_message", grown as f64 / messages as f64);
    let written = after.written_bytes - before.written_bytes;
    report.number("written_bytes_per_message", written as f64 / messages as f64);
}
