//! Moves frames between one stream and its owner until one side has had enough.

use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite};
use libp2p::Stream;
use tokio::time::timeout;

use crate::frame::{FrameError, FrameReader, FrameWriter, Received};
use crate::queue::FrameQueue;

/// How long the peer's last frames are read after this side has written its own.
const LINGER: Duration = Duration::from_secs(2);

/// Why a link is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer ended it.
    #[error("closed by the peer")]
    ByPeer,
    /// This side ended it.
    #[error("closed by this side")]
    ByUs,
    /// The peer broke the framing; what it did.
    #[error("{0}")]
    Malformed(String),
    /// The connection broke; how.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

impl From<FrameError> for CloseReason {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge { .. } | FrameError::Malformed(_) => Self::Malformed(error.to_string()),
            FrameError::CutOff => Self::Lost(error.to_string()),
            FrameError::Io(error) => Self::Lost(error.to_string()),
        }
    }
}

/// The owner of a stream, as the pump sees it. Both calls may wait: that is the backpressure.
pub(crate) trait Owner: Sync {
    /// A frame came. `false`: the owner is gone.
    fn received(&self, received: Received) -> impl Future<Output = bool> + Send;

    /// The transport took frames of so many bytes, length prefixes left out.
    fn sent(&self, bytes: usize) -> impl Future<Output = ()> + Send;
}

/// Runs a stream to its end.
pub(crate) async fn pump(stream: Stream, queue: FrameQueue, owner: impl Owner) -> CloseReason {
    let (reader, writer) = stream.split();
    let mut reading = std::pin::pin!(read_all(FrameReader::new(reader), &owner));
    let writing = write_all(FrameWriter::new(writer), &queue, &owner);
    let reason = tokio::select! {
        biased;
        () = queue.ended() => CloseReason::ByUs,
        reason = &mut reading => reason,
        written = writing => match (timeout(LINGER, reading).await, written) {
            (Ok(reason), _) => reason,
            (Err(_), Ok(())) => CloseReason::ByUs,
            (Err(_), Err(error)) => CloseReason::Lost(error.to_string()),
        },
    };
    if reason == CloseReason::ByPeer && queue.is_closing() { CloseReason::ByUs } else { reason }
}

async fn read_all<R: AsyncRead + Unpin>(mut reader: FrameReader<R>, owner: &impl Owner) -> CloseReason {
    loop {
        match reader.next().await {
            Ok(Some(received)) => {
                if !owner.received(received).await {
                    return CloseReason::ByUs;
                }
            }
            Ok(None) => return CloseReason::ByPeer,
            Err(error) => return error.into(),
        }
    }
}

async fn write_all<W: AsyncWrite + Unpin>(
    mut writer: FrameWriter<W>,
    queue: &FrameQueue,
    owner: &impl Owner,
) -> io::Result<()> {
    while let Some(batch) = queue.batch().await {
        let bytes = writer.write(&batch).await?;
        owner.sent(bytes).await;
    }
    writer.close().await
}
