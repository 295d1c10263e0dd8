use std::path::Path;
use std::time::Duration;

use jsonrpsee::core::client::{ClientT, Error, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::ws_client::{HeaderMap, HeaderValue, WsClient, WsClientBuilder};
use serde_json::Value;

use super::auth::bearer;
use super::file::{ApiFile, FileError};
use super::methods::{self, WATCH};
use crate::command::{Command, CommandError, ErrorKind, Response};
use crate::event::Event;

const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// Beyond what the command itself may wait for.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);
/// No command of the command line waits longer than the node does.
const REQUEST_WAIT_MAX: Duration = Duration::from_secs(3_660);
const RESPONSE_BYTES_MAX: u32 = 16 * 1024 * 1024 + 4_096;
const EVENTS_WAITING_MAX: usize = 4_096;

/// Why no node can be reached by its API.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// `api.json` can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nobody answers: the node was killed, or does not run any more.
    #[error("no node answers at {url}: {error}")]
    NoAnswer {
        /// Where.
        url: String,
        /// Why.
        error: String,
    },
}

/// A connection to a running node's API.
#[derive(Debug)]
pub struct Client(WsClient);

impl Client {
    /// Connects to the node that runs for the account in `home`; `None` where no `api.json` says so.
    pub async fn connect(home: &Path) -> Result<Option<Self>, ConnectError> {
        match ApiFile::read(home)? {
            Some(file) => Self::connect_to(&file).await.map(Some),
            None => Ok(None),
        }
    }

    /// Connects to the API that `file` describes.
    pub async fn connect_to(file: &ApiFile) -> Result<Self, ConnectError> {
        let no_answer = |error: String| ConnectError::NoAnswer { url: file.url.clone(), error };
        let mut value =
            HeaderValue::try_from(bearer(&file.token)).map_err(|error| no_answer(error.to_string()))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value);
        let client = WsClientBuilder::new()
            .set_headers(headers)
            .connection_timeout(CONNECT_WAIT_MAX)
            .request_timeout(REQUEST_WAIT_MAX)
            .max_response_size(RESPONSE_BYTES_MAX)
            .max_buffer_capacity_per_subscription(EVENTS_WAITING_MAX)
            .build(&file.url)
            .await
            .map_err(|error| no_answer(error.to_string()))?;
        Ok(Self(client))
    }

    /// Carries out a command at the node; see [`NodeHandle::ask`](crate::runtime::NodeHandle::ask).
    pub async fn ask(&self, command: &Command, wait: Duration) -> Result<Response, CommandError> {
        let (method, named) = methods::request(command, wait).map_err(no_sense)?;
        let mut params = ObjectParams::new();
        for (name, value) in &named {
            params.insert(name, value).map_err(no_sense)?;
        }
        let request = self.0.request::<Value, _>(&method, params);
        match tokio::time::timeout(wait.saturating_add(ANSWER_WAIT_MAX), request).await {
            Ok(Ok(result)) => methods::response(command, result).map_err(no_sense),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&Error::RequestTimeout)),
        }
    }

    /// The node's events from now on.
    pub async fn watch(&self) -> Result<ClientEvents, CommandError> {
        let [subscribe, _, unsubscribe] = WATCH;
        let events = self.0.subscribe(subscribe, ObjectParams::new(), unsubscribe).await;
        events.map(ClientEvents).map_err(|error| failed(&error))
    }
}

/// Events that a running node tells.
#[derive(Debug)]
pub struct ClientEvents(Subscription<Event>);

impl ClientEvents {
    /// The next event; `None` when the node is gone.
    pub async fn next(&mut self) -> Option<Event> {
        // What is no event is one that a newer node has.
        loop {
            match self.0.next().await? {
                Ok(event) => return Some(event),
                Err(error) => tracing::warn!(%error, "an event that this version does not know"),
            }
        }
    }
}

fn failed(error: &Error) -> CommandError {
    match error {
        Error::Call(error) => methods::from_error(error),
        other => CommandError::new(
            ErrorKind::Internal,
            format!("the running node does not answer ({other}): look at its log, or stop it and try again"),
        ),
    }
}

fn no_sense(error: serde_json::Error) -> CommandError {
    let text = format!("the running node is of another version ({error}): restart it with this one");
    CommandError::new(ErrorKind::Internal, text)
}
