//! Framing: a big-endian `u32` length, then that many bytes of a protobuf `Frame` (spec/wire.md).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Buf, BytesMut};
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt};
use prost::Message;
use undertone_protocol::limits::FRAME_BYTES_MAX;
use undertone_protocol::wire::Frame;

/// Bytes of the length prefix.
pub const PREFIX_BYTES: usize = 4;
/// Bytes that are taken from the stream at a time. On the stack, so that an idle reader holds no buffer.
const READ_BYTES: usize = 16 * 1024;

/// Why a stream yields no more frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer announced a frame that is over the limit. Its fault.
    #[error("the peer announced a frame of {bytes} bytes; at most {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// The announced length.
        bytes: usize,
    },
    /// The peer sent bytes that are no frame. Its fault.
    #[error("the peer sent bytes that are no frame: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The stream ended inside a frame. The peer's fault, or the connection's.
    #[error("the stream ended inside a frame")]
    CutOff,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// A frame together with what it weighs.
#[derive(Debug)]
pub struct Received {
    /// The frame.
    pub frame: Frame,
    /// Its length on the wire in bytes, prefix included.
    pub bytes: usize,
}

/// Takes frames off a stream. Its memory follows what the peer has really sent, never what it announced.
pub struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `io`.
    pub fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new() }
    }

    /// The next frame; `None` when the peer ended the stream between two frames.
    ///
    /// Cancel-safe: bytes that have come are kept for the next call.
    pub async fn next(&mut self) -> Result<Option<Received>, FrameError> {
        loop {
            if let Some(received) = self.take()? {
                return Ok(Some(received));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::CutOff) };
            }
        }
    }

    fn take(&mut self) -> Result<Option<Received>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { bytes: length });
        }
        let bytes = PREFIX_BYTES + length;
        if self.buffer.len() < bytes {
            return Ok(None);
        }
        let mut body = self.buffer.split_to(bytes).freeze();
        body.advance(PREFIX_BYTES);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(Some(Received { frame: Frame::decode(body)?, bytes }))
    }

    async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut chunk = [0; READ_BYTES];
            let read = match Pin::new(&mut self.io).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(read)) => read,
                other => return other,
            };
            self.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
            Poll::Ready(Ok(read))
        })
        .await
    }
}

/// Puts frames on a stream.
pub struct FrameWriter<W> {
    io: W,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes to `io`.
    pub fn new(io: W) -> Self {
        Self { io }
    }

    /// Sends the frames in order, as one write and one flush: yamux flushes per write, which costs more
    /// than the frames. No frame may be over [`FRAME_BYTES_MAX`]; the queue sees to it.
    ///
    /// Returns the frames' encoded lengths in bytes, length prefixes left out.
    pub async fn write(&mut self, frames: &[Frame]) -> io::Result<usize> {
        let batch = encode(frames)?;
        self.io.write_all(&batch).await?;
        self.io.flush().await?;
        Ok(batch.len() - frames.len() * PREFIX_BYTES)
    }

    /// Tells the peer that nothing more will come.
    pub async fn close(&mut self) -> io::Result<()> {
        self.io.close().await
    }
}

fn encode(frames: &[Frame]) -> io::Result<Vec<u8>> {
    let lengths: Vec<usize> = frames.iter().map(Frame::encoded_len).collect();
    let total = lengths.iter().map(|length| PREFIX_BYTES + length).sum();
    let mut batch = Vec::with_capacity(total);
    for (frame, length) in frames.iter().zip(lengths) {
        let prefix = u32::try_from(length).map_err(io::Error::other)?;
        batch.extend_from_slice(&prefix.to_be_bytes());
        frame.encode_raw(&mut batch);
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use undertone_protocol::wire::{Deliver, Goodbye, GoodbyeCode, Hello, Ping, frame::Body};

    use super::*;

    fn ping(nonce: u64) -> Frame {
        Frame { request: 0, body: Some(Body::Ping(Ping { nonce })) }
    }

    fn read_all(bytes: Vec<u8>) -> (Vec<Frame>, Result<(), FrameError>) {
        let mut reader = FrameReader::new(Cursor::new(bytes));
        let mut frames = Vec::new();
        loop {
            match block_on(reader.next()) {
                Ok(Some(received)) => frames.push(received.frame),
                Ok(None) => return (frames, Ok(())),
                Err(error) => return (frames, Err(error)),
            }
        }
    }

    #[test]
    fn bytes_are_as_the_specification_says() {
        let hello = Frame { request: 1, body: Some(Body::Hello(Hello { version_min: 1, version_max: 1 })) };
        let goodbye = Goodbye { code: GoodbyeCode::ShuttingDown.into(), text: String::new() };
        let goodbye = Frame { request: 0, body: Some(Body::Goodbye(goodbye)) };
        for (frame, bytes) in [
            (Frame::default(), "00000000"),
            (ping(5), "0000000422020805"),
            (hello, "000000080801120408011001"),
            (goodbye, "000000043a020802"),
        ] {
            let bytes = data_encoding::HEXLOWER.decode(bytes.as_bytes()).unwrap();
            assert_eq!(encode(std::slice::from_ref(&frame)).unwrap(), bytes);
            assert_eq!(read_all(bytes).0, [frame]);
        }
    }

    #[test]
    fn a_batch_reads_back_in_order() {
        let frames: Vec<Frame> = (0..500).map(ping).collect();
        let (read, end) = read_all(encode(&frames).unwrap());
        assert_eq!(read, frames);
        assert!(end.is_ok());
    }

    #[test]
    fn the_largest_frame_passes_and_one_byte_more_does_not() {
        let overhead = {
            let empty = deliver(FRAME_BYTES_MAX - 64);
            empty.encoded_len() - (FRAME_BYTES_MAX - 64)
        };
        let largest = deliver(FRAME_BYTES_MAX - overhead);
        assert_eq!(largest.encoded_len(), FRAME_BYTES_MAX);
        assert!(read_all(encode(&[largest]).unwrap()).1.is_ok());

        let (_, end) = read_all(encode(&[deliver(FRAME_BYTES_MAX - overhead + 1)]).unwrap());
        assert!(matches!(end, Err(FrameError::TooLarge { bytes }) if bytes == FRAME_BYTES_MAX + 1));
    }

    fn deliver(payload: usize) -> Frame {
        let body = Deliver { class: 1, seq: 1, payload: Bytes::from(vec![0; payload]) };
        Frame { request: 0, body: Some(Body::Deliver(body)) }
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let mut reader = FrameReader::new(Cursor::new((FRAME_BYTES_MAX as u32).to_be_bytes()));
        assert!(matches!(block_on(reader.next()), Err(FrameError::CutOff)));
        assert!(reader.buffer.capacity() < 1024);
    }

    #[test]
    fn garbage_is_malformed() {
        let (_, end) = read_all(vec![0, 0, 0, 2, 0xff, 0xff]);
        assert!(matches!(end, Err(FrameError::Malformed(_))));
    }
}
