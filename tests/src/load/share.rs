//! One process's share of the clients.

use std::ffi::OsString;
use std::ops::Range;

use anyhow::Context;
use clap::Parser;
use undertone_transport::RelayAddress;

use super::options::{Mode, Options};
use super::stage::Cue;
use super::{fan_out, forward, idle, offline, pairs};

/// Takes a share of the clients of a run.
#[derive(Debug, Parser)]
#[command(name = "undertone-load clients")]
struct Share {
    /// The relay.
    #[arg(long)]
    relay: RelayAddress,
    /// The relay of the receivers, where there is another one.
    #[arg(long)]
    destination: Option<RelayAddress>,
    /// Which share.
    #[arg(long)]
    share: u32,
    /// Of how many.
    #[arg(long)]
    shares: u32,
    #[command(flatten)]
    options: Options,
}

/// Runs the given command line, `clients` first: a share of the clients of a run, led by lines on the standard input.
pub fn clients_from(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> anyhow::Result<()> {
    let share = match Share::try_parse_from(args) {
        Ok(share) => share,
        Err(error) => error.exit(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(run(&share))
}

async fn run(share: &Share) -> anyhow::Result<()> {
    let bytes = usize::try_from(share.options.payload_bytes)?;
    let (relay, cue) = (&share.relay, Cue);
    let numbers = share.of(share.options.mode.clients());
    match &share.options.mode {
        Mode::Idle(_) => idle::serve(cue, relay, numbers).await,
        Mode::Pairs(asked) => pairs::serve(cue, relay, asked, numbers, bytes).await.map(drop),
        Mode::Forward(asked) => {
            let destination = share.destination.as_ref().context("to which relay?")?;
            forward::serve(cue, [relay, destination], asked, numbers, bytes).await
        }
        Mode::Offline(asked) => offline::serve(cue, relay, asked, numbers, bytes).await,
        Mode::FanOut(asked) => fan_out::serve(cue, relay, asked, bytes).await,
        Mode::Group(_) => anyhow::bail!("a group needs no clients"),
    }
}

impl Share {
    /// The numbers of this share, of so many.
    fn of(&self, count: u32) -> Range<u32> {
        let end = |share: u32| u64::from(count) * u64::from(share) / u64::from(self.shares.max(1));
        let end = |share| u32::try_from(end(share)).unwrap_or(count);
        end(self.share)..end(self.share + 1)
    }
}
