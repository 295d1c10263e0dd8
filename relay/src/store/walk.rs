use bytes::Bytes;

use super::{Store, StoreError};

/// Reads every pair with `from <= key < to`, `chunk` of them at a time, in ascending order of keys.
pub(crate) fn walk<S: Store + ?Sized>(
    store: &S,
    from: &[u8],
    to: &[u8],
    chunk: usize,
    mut each: impl FnMut(&Bytes, Bytes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut next = from.to_vec();
    loop {
        let found = store.range(&next, to, chunk.max(1))?;
        let Some((last, _)) = found.last() else { return Ok(()) };
        // The first key behind it.
        next = [last.as_ref(), &[0]].concat();
        for (key, value) in found {
            each(&key, value)?;
        }
    }
}
