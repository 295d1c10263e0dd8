//! What waits to be written to one peer: bounded in frames and in bytes.
//!
//! A channel of Tokio bounds only the number of frames, holds a block of 32 even while it is empty, and
//! can't be cut off from the sending side. An idle connection must cost next to nothing, and a slow
//! peer must be dropped without waiting for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prost::Message;
use tokio::sync::Notify;
use undertone_protocol::limits::FRAME_BYTES_MAX;
use undertone_protocol::wire::Frame;

use crate::frame::PREFIX_BYTES;

/// How long a closed queue may take to get its frames to the peer.
pub const CLOSE_WAIT: Duration = Duration::from_secs(3);
/// Bytes of frames that are put into one write.
const BATCH_BYTES: usize = 64 * 1024;

/// What one queue may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Frames.
    pub frames_max: usize,
    /// Bytes on the wire. One frame is always taken when the queue is empty.
    pub bytes_max: usize,
}

/// A frame that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer reads too slowly.
    #[error("the send queue is full")]
    Full,
    /// The connection is over, or closing.
    #[error("the connection is closed")]
    Closed,
    /// The frame is over the limit: the sender's fault.
    #[error("a frame of {0} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLarge(usize),
}

/// The sending end. Dropped, it closes the queue.
#[derive(Debug)]
pub struct FrameSender {
    shared: Arc<Shared>,
    limits: QueueLimits,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct FrameQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ready: Notify,
    ending: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<(Frame, usize)>,
    bytes: usize,
    phase: Phase,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// What is queued goes out, then the stream ends.
    Closing,
    /// Nothing goes out any more.
    Over,
}

/// A queue with its two ends.
pub(crate) fn queue(limits: QueueLimits) -> (FrameSender, FrameQueue) {
    let shared = Arc::<Shared>::default();
    (FrameSender { shared: Arc::clone(&shared), limits }, FrameQueue { shared })
}

impl FrameSender {
    /// Queues a frame without waiting.
    pub fn try_send(&self, frame: Frame) -> Result<(), SendError> {
        let length = frame.encoded_len();
        if length > FRAME_BYTES_MAX {
            return Err(SendError::TooLarge(length));
        }
        let bytes = PREFIX_BYTES + length;
        let mut state = self.shared.state();
        if state.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        let over = state.frames.len() >= self.limits.frames_max
            || state.bytes.saturating_add(bytes) > self.limits.bytes_max;
        if over && !state.frames.is_empty() {
            return Err(SendError::Full);
        }
        state.bytes += bytes;
        state.frames.push_back((frame, bytes));
        drop(state);
        self.shared.ready.notify_one();
        Ok(())
    }

    /// Bytes that wait to be written.
    pub fn backlog_bytes(&self) -> usize {
        self.shared.state().bytes
    }

    /// Takes no more frames; what is queued still goes out, for at most [`CLOSE_WAIT`].
    pub fn close(&self) {
        self.shared.enter(Phase::Closing);
    }

    /// Ends the connection at once; what is queued is lost.
    pub fn abort(&self) {
        self.shared.enter(Phase::Over);
    }
}

impl Drop for FrameSender {
    fn drop(&mut self) {
        self.close();
    }
}

impl FrameQueue {
    /// The next frames to write together; `None` when nothing more will come.
    pub(crate) async fn batch(&self) -> Option<Vec<Frame>> {
        loop {
            let phase = {
                let mut state = self.shared.state();
                let batch = state.take_batch();
                if !batch.is_empty() {
                    return Some(batch);
                }
                state.phase
            };
            if phase != Phase::Open {
                return None;
            }
            self.shared.ready.notified().await;
        }
    }

    /// Returns when the connection must end now: aborted, or closed for longer than [`CLOSE_WAIT`].
    pub(crate) async fn ended(&self) {
        while self.shared.phase() == Phase::Open {
            self.shared.ending.notified().await;
        }
        let over = async {
            while self.shared.phase() != Phase::Over {
                self.shared.ending.notified().await;
            }
        };
        // Elapsed or over: either way it ends now.
        let _ = tokio::time::timeout(CLOSE_WAIT, over).await;
    }

    /// Whether this side asked for the end.
    pub(crate) fn is_closing(&self) -> bool {
        self.shared.phase() != Phase::Open
    }
}

impl Drop for FrameQueue {
    fn drop(&mut self) {
        self.shared.enter(Phase::Over);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that may panic runs under the lock, and the state is valid after each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> Phase {
        self.state().phase
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        if state.phase == Phase::Over || state.phase == phase {
            return;
        }
        state.phase = phase;
        if phase == Phase::Over {
            state.frames = VecDeque::new();
            state.bytes = 0;
        }
        drop(state);
        self.ready.notify_one();
        self.ending.notify_one();
    }
}

impl State {
    fn take_batch(&mut self) -> Vec<Frame> {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        while let Some((frame, bytes)) = self.frames.pop_front() {
            if !batch.is_empty() && batch_bytes + bytes > BATCH_BYTES {
                self.frames.push_front((frame, bytes));
                break;
            }
            batch_bytes += bytes;
            batch.push(frame);
        }
        self.bytes = self.bytes.saturating_sub(batch_bytes);
        if self.frames.is_empty() {
            // An idle connection holds no buffer, not even a small one.
            self.frames = VecDeque::new();
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;
    use undertone_protocol::wire::{Deliver, frame::Body};

    use super::*;

    const LIMITS: QueueLimits = QueueLimits { frames_max: 3, bytes_max: 100_000 };

    fn frame(payload: usize) -> Frame {
        let body = Deliver { class: 0, seq: 1, payload: Bytes::from(vec![7; payload]) };
        Frame { request: 0, body: Some(Body::Deliver(body)) }
    }

    #[test]
    fn frames_and_bytes_are_bounded() {
        let (sender, _queue) = queue(LIMITS);
        for _ in 0..3 {
            assert_eq!(sender.try_send(frame(1)), Ok(()));
        }
        assert_eq!(sender.try_send(frame(1)), Err(SendError::Full));

        let (sender, queue) = queue(LIMITS);
        assert_eq!(sender.try_send(frame(200_000)), Ok(()), "an empty queue takes any legal frame");
        assert_eq!(sender.try_send(frame(1)), Err(SendError::Full));
        queue.batch().now_or_never().unwrap().unwrap();
        assert_eq!(sender.backlog_bytes(), 0);
        assert_eq!(sender.try_send(frame(1)), Ok(()));
    }

    #[test]
    fn an_oversize_frame_is_refused() {
        let (sender, _queue) = queue(LIMITS);
        assert!(matches!(sender.try_send(frame(FRAME_BYTES_MAX)), Err(SendError::TooLarge(_))));
    }

    #[test]
    fn ready_frames_go_out_together_up_to_the_batch() {
        let (sender, queue) = queue(QueueLimits { frames_max: 100, bytes_max: 1 << 20 });
        for _ in 0..70 {
            sender.try_send(frame(1024)).unwrap();
        }
        let first = queue.batch().now_or_never().unwrap().unwrap();
        let second = queue.batch().now_or_never().unwrap().unwrap();
        assert_eq!((first.len(), second.len()), (63, 7));
        assert!(queue.batch().now_or_never().is_none());
    }

    #[tokio::test]
    async fn closing_lets_the_rest_out_and_aborting_does_not() {
        let (sender, queue) = queue(LIMITS);
        sender.try_send(frame(1)).unwrap();
        sender.close();
        assert_eq!(sender.try_send(frame(1)), Err(SendError::Closed));
        assert_eq!(queue.batch().now_or_never().unwrap().unwrap().len(), 1);
        assert_eq!(queue.batch().now_or_never(), Some(None));

        let (sender, aborted) = super::queue(LIMITS);
        sender.try_send(frame(1)).unwrap();
        sender.abort();
        assert_eq!(aborted.batch().now_or_never(), Some(None));
        assert_eq!(aborted.ended().now_or_never(), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_ends_by_its_deadline() {
        let (sender, queue) = queue(LIMITS);
        sender.try_send(frame(1)).unwrap();
        sender.close();
        let start = tokio::time::Instant::now();
        queue.ended().await;
        assert_eq!(start.elapsed(), CLOSE_WAIT);
    }
}
