use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};
use undertone_transport::Roots;

use super::args::Options;
use super::home::home;
use super::{invalid, passphrase};
use crate::api::{Client, ClientEvents};
use crate::command::{Command, Response};
use crate::event::Event;
use crate::runtime::{Events, Node, NodeError};
use crate::store::OpenError;

/// Commands end within seconds: longer is not waited for one that has the account.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Nothing tells that another process let go of the account, or that it runs a node: so it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A node to ask.
#[derive(Debug)]
pub(super) enum Session {
    /// The one that runs for the account, by its API.
    Running(Client),
    /// One of this command's own.
    Own(Node),
}

/// Events of either.
#[derive(Debug)]
pub(super) enum SessionEvents {
    Running(ClientEvents),
    Own(Events),
}

impl Session {
    /// Reaches the node that runs for the account, or starts one.
    pub(super) async fn open(options: &Options) -> anyhow::Result<Self> {
        let home = home(options)?;
        let unreachable = match Client::connect(&home).await {
            Ok(Some(client)) => return Ok(Self::Running(client)),
            Ok(None) => None,
            // What a killed node left behind. Whether a node runs says the lock on its database.
            Err(error) => {
                tracing::info!(%error, "no running node is reached");
                Some(error)
            }
        };
        let error = match open(options, &home).await {
            Ok(node) => return Ok(Self::Own(node)),
            Err(error) if is_in_use(&error) => error,
            Err(error) => return Err(error),
        };
        match (Client::connect(&home).await, unreachable) {
            // It has come up meanwhile.
            (Ok(Some(client)), _) => Ok(Self::Running(client)),
            (_, Some(unreachable)) => Err(error.context(format!("it can't be asked: {unreachable}"))),
            _ => Err(error),
        }
    }

    /// Asks, and expects the kind of answer that `view` takes.
    pub(super) async fn ask<T>(
        &self,
        command: Command,
        wait: Duration,
        view: impl FnOnce(Response) -> Option<T>,
    ) -> anyhow::Result<T> {
        let response = match self {
            Self::Running(client) => client.ask(&command, wait).await?,
            Self::Own(node) => node.ask(command, wait).await?,
        };
        match view(response) {
            Some(view) => Ok(view),
            None => bail!("the node answers something else than was asked: this is a bug in Undertone"),
        }
    }

    pub(super) async fn events(&self) -> anyhow::Result<SessionEvents> {
        Ok(match self {
            Self::Running(client) => SessionEvents::Running(client.watch().await?),
            Self::Own(node) => SessionEvents::Own(node.events()),
        })
    }

    /// Ends the command's own node, after what it has to send at once.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Own(node) => Ok(node.stop().await?),
        }
    }
}

impl SessionEvents {
    /// The next event; `None` when the node is gone.
    pub(super) async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Running(events) => events.next().await,
            Self::Own(events) => events.next().await,
        }
    }
}

/// Unlocks the account and starts its node within this process. While another command has the account it waits for that
/// to end; not for a node that runs.
pub(super) async fn open(options: &Options, home: &Path) -> anyhow::Result<Node> {
    // Before anybody is asked for a passphrase that opens nothing.
    account_exists(home)?;
    let roots = roots(options)?;
    let passphrase = passphrase::existing(options)?;
    let end = Instant::now() + BUSY_MAX;
    loop {
        let error = match Node::open(home, &passphrase, roots.clone()) {
            Ok(node) => return Ok(node),
            Err(error) => anyhow::Error::from(error),
        };
        let runs = || async { matches!(Client::connect(home).await, Ok(Some(_))) };
        if !is_in_use(&error) || Instant::now() > end || runs().await {
            return Err(error);
        }
        tracing::info!("another command has the account: waiting until it ends");
        sleep(LOOK_EVERY).await;
    }
}

fn roots(options: &Options) -> anyhow::Result<Roots> {
    let Some(file) = &options.root_certificates else { return Ok(Roots::default()) };
    Roots::with_file(file).map_err(|error| invalid(format!("--root-certificates: {error}")))
}

fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(NodeError::Open(OpenError::InUse { .. })))
}

fn account_exists(home: &Path) -> Result<(), NodeError> {
    Ok(crate::account::check_exists(home)?)
}

/// One question and its answer.
pub(super) async fn ask<T>(
    options: &Options,
    command: Command,
    wait: Duration,
    view: impl FnOnce(Response) -> Option<T>,
) -> anyhow::Result<T> {
    let session = Session::open(options).await?;
    let answer = session.ask(command, wait, view).await;
    session.close().await?;
    answer
}
