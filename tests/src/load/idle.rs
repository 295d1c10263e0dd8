//! Devices that are attached and silent.

use std::ops::Range;

use anyhow::ensure;
use undertone_protocol::wire::{Ping, frame::Body};
use undertone_transport::RelayAddress;

use super::client::{Client, Device};
use super::clients::{Clients, Stage};
use super::options::Idle;
use super::process::RelayProcess;
use super::report::Report;
use super::stage::{Cue, Measured};

/// A share of the devices: they connect and attach; then each is still there.
pub(super) async fn serve(cue: Cue, relay: &RelayAddress, numbers: Range<u32>) -> anyhow::Result<()> {
    let devices = Device::many(numbers);
    cue.ready().await?;
    let mut clients = Client::connect_all(&devices, relay, true).await?;
    Client::attach_all(&mut clients, &devices).await?;
    cue.done(&Measured::default())?;
    cue.ready().await?;
    for (client, nonce) in clients.iter_mut().zip(0..) {
        let answer = client.ask(Body::Ping(Ping { nonce })).await?;
        ensure!(matches!(&answer, Body::Pong(pong) if pong.nonce == nonce), "no pong but {answer:?}");
    }
    cue.done(&Measured::default())
}

pub(super) async fn run(relay: &RelayProcess, clients: &mut Clients, asked: &Idle) -> anyhow::Result<Report> {
    let Stage { before, after, took, busiest_percent, .. } = clients.stage(relay).await?;
    clients.stage(relay).await?;
    let count = f64::from(asked.connections);
    let mut report = Report::new("idle");
    report.count("connections", asked.connections.into());
    let grown = after.memory_bytes.saturating_sub(before.memory_bytes);
    report.number("idle_bytes_per_connection", grown as f64 / count);
    report.number("connections_per_cpu_second", count / (after.cpu - before.cpu).as_secs_f64());
    report.number("connections_per_s", count / took.as_secs_f64());
    report.number("busiest_client_cpu_percent", busiest_percent);
    Ok(report)
}
