//! Devices that are attached and silent.

use std::time::Instant;

use anyhow::ensure;
use undertone_protocol::wire::{Ping, frame::Body};

use super::client::{Client, Device};
use super::options::Idle;
use super::process::RelayProcess;
use super::report::Report;

pub(super) async fn run(relay: &RelayProcess, asked: &Idle) -> anyhow::Result<Report> {
    let count = f64::from(asked.connections);
    let devices = Device::many(0..asked.connections);
    let (start, before) = (Instant::now(), relay.usage()?);
    let mut clients = Client::connect_all(&devices, relay.address(), true).await?;
    for (client, device) in clients.iter_mut().zip(&devices) {
        client.attach(device, Vec::new()).await?;
    }
    let (took, after) = (start.elapsed(), relay.usage()?);
    for (client, nonce) in clients.iter_mut().zip(0..) {
        let answer = client.ask(Body::Ping(Ping { nonce })).await?;
        ensure!(matches!(&answer, Body::Pong(pong) if pong.nonce == nonce), "no pong but {answer:?}");
    }
    let mut report = Report::new("idle");
    report.count("connections", asked.connections.into());
    let grown = after.memory_bytes.saturating_sub(before.memory_bytes);
    report.number("idle_bytes_per_connection", grown as f64 / count);
    report.number("connections_per_cpu_second", count / (after.cpu - before.cpu).as_secs_f64());
    report.number("connections_per_s", count / took.as_secs_f64());
    Ok(report)
}
