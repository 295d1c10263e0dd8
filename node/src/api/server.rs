use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::{BatchRequestConfig, PendingSubscriptionSink, RpcModule, ServerConfig, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::value::to_raw_value;
use undertone_protocol::ids::Secret;

use super::auth::AuthLayer;
use super::file::{ApiFile, FileError};
use super::methods::{self, METHODS, WATCH};
use crate::command::Response;
use crate::runtime::{NodeHandle, fresh_rng};

/// A request is at most a text message, escaped.
const REQUEST_BYTES_MAX: u32 = 128 * 1024;
/// A history is the largest answer; one that would be larger is an error.
const RESPONSE_BYTES_MAX: u32 = 16 * 1024 * 1024;
const CONNECTIONS_MAX: u32 = 32;
const SUBSCRIPTIONS_PER_CONNECTION_MAX: u32 = 4;
/// Answers and events that wait for a slow client, per connection.
const MESSAGES_WAITING_MAX: u32 = 256;

/// Why the API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The operating system gives no socket.
    #[error("the local API can't listen on the loopback interface: {0}")]
    Listen(io::Error),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// `api.json` can't be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A bug.
    #[error("a method of the local API can't be registered: {0}")]
    Method(#[from] RegisterMethodError),
}

/// The API of a node, being served until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    file: ApiFile,
    home: PathBuf,
}

impl Server {
    /// Serves a node's API on a free port and writes `api.json` into the account's directory. Needs a
    /// Tokio runtime.
    pub async fn start(home: &Path, node: NodeHandle) -> Result<Self, ApiError> {
        let listener =
            tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(ApiError::Listen)?;
        let address = listener.local_addr().map_err(ApiError::Listen)?;
        let token = token()?;
        let handle = serve(listener, address, &token, node)?;
        let file = ApiFile { url: format!("ws://{address}"), token, pid: std::process::id() };
        file.write(home)?;
        Ok(Self { handle, file, home: home.to_owned() })
    }

    /// `ws://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.file.url
    }

    /// Takes `api.json` away, answers what was asked, and ends all connections.
    pub async fn stop(self) {
        self.file.remove(&self.home);
        // An error says that it is stopped.
        let _ = self.handle.stop();
        self.handle.clone().stopped().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.file.remove(&self.home);
    }
}

fn token() -> Result<String, ApiError> {
    let token = Secret::random(&mut fresh_rng()?);
    Ok(data_encoding::HEXLOWER.encode(token.expose()))
}

fn serve(
    listener: tokio::net::TcpListener,
    address: SocketAddr,
    token: &str,
    node: NodeHandle,
) -> Result<ServerHandle, ApiError> {
    let config = ServerConfig::builder()
        .ws_only()
        .max_request_body_size(REQUEST_BYTES_MAX)
        .max_response_body_size(RESPONSE_BYTES_MAX)
        .max_connections(CONNECTIONS_MAX)
        .max_subscriptions_per_connection(SUBSCRIPTIONS_PER_CONNECTION_MAX)
        .set_message_buffer_capacity(MESSAGES_WAITING_MAX)
        .set_batch_request_config(BatchRequestConfig::Disabled)
        .build();
    let middleware = tower::ServiceBuilder::new().layer(AuthLayer::new(token, address));
    let listener = listener.into_std().map_err(ApiError::Listen)?;
    let server = jsonrpsee::server::ServerBuilder::with_config(config)
        .set_http_middleware(middleware)
        .build_from_tcp(listener)
        .map_err(ApiError::Listen)?;
    Ok(server.start(module(node)?))
}

fn module(node: NodeHandle) -> Result<RpcModule<NodeHandle>, RegisterMethodError> {
    let mut module = RpcModule::new(node);
    for method in METHODS {
        module.register_async_method(method, move |params, node, _| async move {
            answer(method, &params, &node).await
        })?;
    }
    let [subscribe, event, unsubscribe] = WATCH;
    module.register_subscription(subscribe, event, unsubscribe, |_, pending, node, _| async move {
        watch(pending, &node).await
    })?;
    Ok(module)
}

async fn answer(method: &str, params: &Params<'_>, node: &NodeHandle) -> Result<Response, ErrorObjectOwned> {
    let (command, wait) = methods::named(params.as_str())
        .and_then(|params| methods::command(method, params))
        .map_err(|error| methods::invalid_params(&error))?;
    node.ask(command, wait).await.map_err(methods::to_error)
}

/// Passes events on until either side is gone.
async fn watch(pending: PendingSubscriptionSink, node: &NodeHandle) {
    // Before the answer: who has it misses nothing.
    let mut events = node.events();
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = sink.closed() => return,
        };
        let Some(Ok(message)) = event.map(|event| to_raw_value(&event)) else { return };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}
