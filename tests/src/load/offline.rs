//! Mailboxes that are filled while nobody is attached, and drained afterwards.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::{Client, Device};
use super::letters::Letters;
use super::options::Offline;
use super::process::{RelayProcess, Usage};
use super::report::{Latencies, Report, per};
use super::sides::{Publisher, Taker};

pub(super) async fn run(relay: &RelayProcess, asked: &Offline, bytes: usize) -> anyhow::Result<Report> {
    let devices = Device::many(0..asked.mailboxes);
    let senders = Device::many(asked.mailboxes..asked.mailboxes * 2);
    drop(Client::connect_all(&devices, relay.address(), true).await?);
    let sending = Client::connect_all(&senders, relay.address(), false).await?;
    let letters = |series| Letters { series, bytes, since: Instant::now() };
    let mailboxes: Vec<(Device, Letters)> =
        devices.into_iter().zip(0..).map(|(device, number)| (device, letters(number))).collect();
    let messages = u64::from(asked.mailboxes) * u64::from(asked.messages);
    let mut report = Report::new("offline");
    report.count("messages", messages);

    let (start, before) = (Instant::now(), relay.usage()?);
    let latencies = store(relay, &mailboxes, sending, asked).await?;
    let after = relay.usage()?;
    report.number("messages_per_s", messages as f64 / start.elapsed().as_secs_f64());
    report.number("server_cpu_us_per_message", per(after.cpu - before.cpu, messages));
    latencies.report(&mut report, "");
    disk(&mut report, &before, &after, messages);

    let taking: Vec<Device> = mailboxes.iter().map(|(device, _)| device.clone()).collect();
    let taking = Client::connect_all(&taking, relay.address(), false).await?;
    let (start, before) = (Instant::now(), relay.usage()?);
    drain(mailboxes, taking, asked).await?;
    let after = relay.usage()?;
    report.number("drain_messages_per_s", messages as f64 / start.elapsed().as_secs_f64());
    report.number("drain_server_cpu_us_per_message", per(after.cpu - before.cpu, messages));
    Ok(report)
}

/// From publish to receipt.
async fn store(
    relay: &RelayProcess,
    mailboxes: &[(Device, Letters)],
    sending: Vec<Client>,
    asked: &Offline,
) -> anyhow::Result<Latencies> {
    let (window, messages) = (usize::try_from(asked.window)?, u64::from(asked.messages));
    let mut tasks = JoinSet::new();
    for ((device, letters), client) in mailboxes.iter().zip(sending) {
        let mut publisher = Publisher::new(client, relay.address().relay, device, *letters);
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
    let mut latencies = Latencies::default();
    while let Some(done) = tasks.join_next().await {
        latencies.add(done??);
    }
    Ok(latencies)
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
