use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use undertone_protocol::time::Clock;
use undertone_transport::Roots;

use super::driver::Driver;
use super::handle::{Events, NodeHandle};
use super::{NodeError, SystemClock};
use crate::account;
use crate::command::{Command, CommandError, Response};
use crate::store::{NodeStore, SqliteStore};

/// Commands that wait to be taken by the node's thread; one more waits outside.
const INBOX_MAX: usize = 256;
/// Events that a watcher may be behind.
const EVENTS_BEHIND_MAX: usize = 4_096;

/// A running node. Dropped, it stops soon; [`Node::stop`] also waits for it.
///
/// It brings its own thread and Tokio runtime; its methods may be awaited in any other.
#[derive(Debug)]
pub struct Node {
    handle: NodeHandle,
    stop: oneshot::Sender<()>,
    /// `None` once it was told.
    ended: Option<oneshot::Receiver<Result<(), NodeError>>>,
}

impl Node {
    /// Unlocks the account in the directory `home` and starts its node: it connects, and stays connected.
    /// `roots` are those whose TLS certificates are taken where a relay's address asks for TLS.
    /// Blocks for about half a second; the passphrase costs that much on purpose.
    pub fn open(home: &Path, passphrase: &str, roots: Roots) -> Result<Self, NodeError> {
        let key = account::unlock(home, passphrase)?;
        let store = SqliteStore::open(&account::database_path(home), &key)?;
        Self::start_with(store, SystemClock, roots)
    }

    /// Starts the node of the account that a store holds.
    pub fn start<S, C>(store: S, clock: C) -> Result<Self, NodeError>
    where
        S: NodeStore + Send + 'static,
        C: Clock + Send + 'static,
    {
        Self::start_with(store, clock, Roots::default())
    }

    fn start_with<S, C>(store: S, clock: C, roots: Roots) -> Result<Self, NodeError>
    where
        S: NodeStore + Send + 'static,
        C: Clock + Send + 'static,
    {
        let (inbox, questions) = mpsc::channel(INBOX_MAX);
        let (events, _) = broadcast::channel(EVENTS_BEHIND_MAX);
        let (stop, stopping) = oneshot::channel();
        let (loaded, started) = sync_channel(1);
        let (end, ended) = oneshot::channel();
        let handle = NodeHandle::new(inbox, events.downgrade());
        let driver = Driver { store, clock, roots, inbox: questions, events, stop: stopping };
        // One worker carries the connections; the thread itself runs the engine, and may block on the disk.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("undertone-net")
            .enable_all()
            .build()
            .map_err(NodeError::Thread)?;
        let run = move || {
            // The driver, with the store and its lock, is gone when this returns.
            let result = runtime.block_on(driver.run(loaded));
            drop(runtime);
            // An error says that nobody waits for the end.
            let _ = end.send(result);
        };
        thread::Builder::new().name("undertone".to_owned()).spawn(run).map_err(NodeError::Thread)?;
        started.recv().unwrap_or(Err(NodeError::Crashed))?;
        Ok(Self { handle, stop, ended: Some(ended) })
    }

    /// As [`NodeHandle::ask`].
    pub async fn ask(&self, command: Command, wait: Duration) -> Result<Response, CommandError> {
        self.handle.ask(command, wait).await
    }

    /// As [`NodeHandle::events`].
    pub fn events(&self) -> Events {
        self.handle.events()
    }

    /// To ask from elsewhere.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Waits until the node ends of itself, which it does only with an error.
    pub async fn ended(&mut self) -> NodeError {
        let result = match &mut self.ended {
            Some(ended) => ended.await,
            None => return NodeError::Crashed,
        };
        self.ended = None;
        match result {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => NodeError::Crashed,
        }
    }

    /// Stops: what was given to the connections is sent, then they and the store are closed. An error if
    /// the node had ended of itself before.
    pub async fn stop(self) -> Result<(), NodeError> {
        // An error says that it ended already; `ended` says how.
        let _ = self.stop.send(());
        match self.ended {
            Some(ended) => ended.await.unwrap_or(Err(NodeError::Crashed)),
            None => Ok(()),
        }
    }
}
