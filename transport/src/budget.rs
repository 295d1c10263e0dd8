//! Bytes of frames that have come and wait for their owner: while there is no room for more, no link is read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bytes, shared by all that hold a clone. Whoever waits for room gets it in the order of asking.
#[derive(Debug, Clone)]
pub struct Budget {
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

/// A frame's share of a [`Budget`], until it is dropped.
#[derive(Debug)]
pub struct Weight {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// One of so many bytes. A larger frame is taken as one that needs all of them.
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(bytes_max)), bytes_max }
    }

    /// Waits until a frame of so many bytes fits.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Weight> {
        let permits = u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX);
        // An error would say that the budget is closed, which nobody does.
        let permit = Arc::clone(&self.bytes).acquire_many_owned(permits).await.ok()?;
        Some(Weight { _permit: permit })
    }
}
