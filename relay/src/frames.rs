use bytes::Bytes;

/// A copy of what came in a frame. Whatever outlives the frame's handling is one: a part of a frame keeps all that was read
/// with it in memory, which is up to `FRAME_BYTES_MAX` and more, and no limit counts that.
pub(crate) fn alone(part: &Bytes) -> Bytes {
    Bytes::copy_from_slice(part)
}
