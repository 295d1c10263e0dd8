//! A stream of frames as the transport reads it: the lengths before them, in pieces of any size, cut anywhere. What
//! comes out is what went in, in order; a length over the limit ends it before anything is kept for it.
#![no_main]

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::executor::block_on;
use futures::io::{AsyncRead, Cursor};
use libfuzzer_sys::fuzz_target;
use undertone_protocol::limits::FRAME_BYTES_MAX;
use undertone_protocol::wire::Frame;
use undertone_transport::{FrameError, FrameReader, FrameWriter, PREFIX_BYTES};

/// Gives out what it has in pieces of these sizes, over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: [u8; 4],
    turn: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let size = usize::from(self.sizes[self.turn % 4]) + 1;
        self.turn += 1;
        let length = size.min(out.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(length);
        out[..length].copy_from_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(length))
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((sizes, bytes)) = data.split_first_chunk::<4>() else { return };
    let whole = read(Pieces { bytes, sizes: [255; 4], turn: 0 });
    let pieces = read(Pieces { bytes, sizes: *sizes, turn: 0 });
    assert_eq!(whole, pieces, "where writes begin and end means nothing");
    let (frames, taken, end) = whole;
    assert!(taken <= bytes.len());
    match end {
        End::Clean => assert_eq!(taken, bytes.len()),
        End::TooLarge(length) => {
            let prefix = bytes[taken..].first_chunk::<PREFIX_BYTES>().expect("its length is there");
            assert_eq!(u32::from_be_bytes(*prefix) as usize, length);
            assert!(length > FRAME_BYTES_MAX);
        }
        End::Malformed | End::CutOff => assert!(taken < bytes.len()),
    }
    let mut written = Cursor::new(Vec::new());
    block_on(FrameWriter::new(&mut written).write(&frames)).expect("memory does not fail");
    let again = read(Pieces { bytes: written.get_ref(), sizes: *sizes, turn: 0 });
    // Written anew a frame may be shorter: unknown fields are gone.
    assert_eq!((again.0, again.2), (frames, End::Clean));
});

/// How a stream ends.
#[derive(Debug, PartialEq)]
enum End {
    Clean,
    TooLarge(usize),
    Malformed,
    CutOff,
}

/// The frames, the bytes that they took, and how it ended.
fn read(pieces: Pieces<'_>) -> (Vec<Frame>, usize, End) {
    let mut reader = FrameReader::new(pieces);
    let (mut frames, mut taken) = (Vec::new(), 0);
    loop {
        match block_on(reader.next()) {
            Ok(Some(received)) => {
                frames.push(received.frame);
                taken += received.bytes;
            }
            Ok(None) => return (frames, taken, End::Clean),
            Err(FrameError::TooLarge { bytes }) => return (frames, taken, End::TooLarge(bytes)),
            Err(FrameError::Malformed(_)) => return (frames, taken, End::Malformed),
            Err(FrameError::CutOff) => return (frames, taken, End::CutOff),
            Err(FrameError::Io(error)) => panic!("memory does not fail: {error}"),
        }
    }
}
