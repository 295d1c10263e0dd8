//! yamux under the bounds of this protocol.
//!
//! libp2p's own yamux upgrade leaves the receive window of a connection at 1 GiB, and a peer that
//! delays its pongs can make yamux grow into it. Here a connection holds at most
//! [`STREAMS_MAX`] streams of 256 KiB, and no window ever grows.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready as poll_ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};

/// Streams that a connection may have at once, either side's.
pub(crate) const STREAMS_MAX: usize = 8;
/// Bytes that all streams of a connection may have received and not read; the least that yamux takes.
const RECEIVE_WINDOW_BYTES_MAX: usize = STREAMS_MAX * yamux::DEFAULT_CREDIT as usize;
/// Bytes of one yamux frame: one coalesced write goes out as one frame, since yamux flushes after each.
const SPLIT_BYTES: usize = 64 * 1024;

/// Upgrades a secured connection to a bounded yamux.
#[derive(Clone)]
pub(crate) struct Yamux;

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Muxer<C>, io::Error>>;

    fn upgrade_inbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Muxer::new(io, yamux::Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Muxer<C>, io::Error>>;

    fn upgrade_outbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Muxer::new(io, yamux::Mode::Client)))
    }
}

/// A yamux connection as libp2p drives it.
pub(crate) struct Muxer<C> {
    connection: yamux::Connection<C>,
    /// Streams that came while libp2p only drove the existing ones; yamux bounds it to [`STREAMS_MAX`].
    inbound: VecDeque<yamux::Stream>,
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> Muxer<C> {
    fn new(io: C, mode: yamux::Mode) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(RECEIVE_WINDOW_BYTES_MAX));
        config.set_split_send_size(SPLIT_BYTES);
        Self { connection: yamux::Connection::new(io, config, mode), inbound: VecDeque::new() }
    }

    fn poll_yamux(&mut self, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, yamux::ConnectionError>> {
        let stream = poll_ready!(self.connection.poll_next_inbound(cx));
        Poll::Ready(stream.unwrap_or(Err(yamux::ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = yamux::ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        match self.inbound.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None => self.poll_yamux(cx),
        }
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connection.poll_close(cx)
    }

    /// Drives the streams that exist. yamux makes progress only where it may yield new ones, so these
    /// are kept for `poll_inbound`, which libp2p calls after this in the same round.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        loop {
            let stream = poll_ready!(self.poll_yamux(cx))?;
            self.inbound.push_back(stream);
        }
    }
}
