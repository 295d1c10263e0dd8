//! WebSocket (RFC 6455) as a byte stream. Where its messages begin and end means nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{AsyncRead, AsyncWrite, Sink, Stream};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, client_async_with_config};
use undertone_protocol::limits::WEBSOCKET_MESSAGE_BYTES_MAX;

/// Bytes that this side puts into one message. A connection may hold as much until it is written.
const WRITTEN_BYTES_MAX: usize = 16 * 1024;
/// Bytes that a connection holds ready to read into, idle or not.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// A WebSocket connection over `S`.
pub(crate) struct WebSocket<S> {
    messages: WebSocketStream<S>,
    unread: Bytes,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> WebSocket<S> {
    /// The listener's part of the handshake, on whatever path is asked for. The request has at most 64 KiB.
    pub(crate) async fn accept(stream: S) -> Result<Self, String> {
        let messages = accept_async_with_config(stream, Some(config())).await;
        messages.map(Self::new).map_err(|error| error.to_string())
    }

    /// The dialler's part. The answer has at most 64 KiB.
    pub(crate) async fn connect(stream: S, url: String) -> Result<Self, String> {
        match client_async_with_config(url, stream, Some(config())).await {
            Ok((messages, _)) => Ok(Self::new(messages)),
            Err(Error::Http(answer)) => Err(format!("it answers HTTP {}", answer.status())),
            Err(error) => Err(error.to_string()),
        }
    }

    fn new(messages: WebSocketStream<S>) -> Self {
        Self { messages, unread: Bytes::new() }
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // Every message goes out at once: noise has put together what belongs together.
        .write_buffer_size(0)
        .max_write_buffer_size(2 * WEBSOCKET_MESSAGE_BYTES_MAX)
        .max_message_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.messages).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                // Answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Poll::Ready(end_of(error).map_or(Ok(0), Err)),
                None => return Poll::Ready(Ok(0)),
            }
        }
        let length = buf.len().min(self.unread.len());
        self.unread.split_to(length).copy_to_slice(buf.split_at_mut(length).0);
        Poll::Ready(Ok(length))
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.messages).poll_ready(cx)).map_err(io_error)?;
        let part = buf.chunks(WRITTEN_BYTES_MAX).next().unwrap_or_default();
        let message = Message::Binary(Bytes::copy_from_slice(part));
        Pin::new(&mut self.messages).start_send(message).map_err(io_error)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.messages).poll_flush(cx).map_err(io_error)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.messages).poll_close(cx).map_err(io_error)
    }
}

/// `None` where the peer is just gone, as the end of a TCP stream says it. Whether it had said all shows above.
fn end_of(error: Error) -> Option<io::Error> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => None,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        error => Some(io_error(error)),
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}
