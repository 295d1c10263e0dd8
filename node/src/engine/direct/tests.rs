use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt;
use undertone_protocol::entry::EntryBody;

use super::super::tests::{START, on_a_device};
use super::*;

/// Lines of a log that are kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn with(&self, word: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().filter(|line| line.contains(word)).count()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of the log when this device is shown entries of its own with these numbers.
fn shown(numbers: &[u64]) -> Lines {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(log, || {
        on_a_device(|ctx| {
            for seq in numbers {
                let body = EntryBody::text("copied", ctx.rng).unwrap();
                let header = EntryHeader {
                    conversation: ctx.me.direct(&ctx.me.user),
                    device: ctx.me.device,
                    seq: *seq,
                    prev: None,
                    heads: Vec::new(),
                    claimed: START,
                    membership_heads: Vec::new(),
                    body_hash: body.hash(),
                    expires: None,
                };
                was_copied(ctx, &header).unwrap();
                assert_eq!(ctx.account().unwrap().fault, Some(Fault::Copied));
            }
        });
    });
    lines
}

#[test]
fn that_a_device_was_copied_is_logged_once() {
    let lines = shown(&[7, 7, 6, u64::MAX]);
    assert_eq!((lines.with("ERROR"), lines.with("WARN")), (1, 0));
}

/// Whoever has the key may put any number in an entry; a store that was copied comes to few.
#[test]
fn a_number_that_no_copy_comes_to_is_no_error() {
    let lines = shown(&[u64::MAX, 1 << 40]);
    assert_eq!((lines.with("ERROR"), lines.with("WARN")), (0, 1));
}
