//! Messages whose receiver can tell that each came once, and unchanged.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A number and a moment.
const HEAD_BYTES: usize = 16;

/// What one sender writes to one receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    /// Tells apart what different senders write.
    pub(super) series: u32,
    /// Bytes of one message.
    pub(super) bytes: usize,
    /// When the run began.
    pub(super) since: Instant,
}

impl Letters {
    /// The message with this number, written now.
    pub(super) fn write(&self, number: u64) -> Bytes {
        let written = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut message = Vec::with_capacity(self.bytes);
        message.extend_from_slice(&number.to_be_bytes());
        message.extend_from_slice(&written.to_be_bytes());
        message.extend_from_slice(&self.body(number));
        message.into()
    }

    /// Whether a message is one of these, which one, and how old it is.
    pub(super) fn read(&self, message: &[u8]) -> anyhow::Result<(u64, Duration)> {
        let (number, rest) = message.split_first_chunk().context("a message without a number")?;
        let (written, body) = rest.split_first_chunk().context("a message without a moment")?;
        let number = u64::from_be_bytes(*number);
        ensure!(body == self.body(number), "message {number} of {} is not as it was sent", self.series);
        let written = Duration::from_nanos(u64::from_be_bytes(*written));
        Ok((number, self.since.elapsed().saturating_sub(written)))
    }

    fn body(&self, number: u64) -> Vec<u8> {
        let mut seed = [0; 32];
        let name = self.series.to_be_bytes().into_iter().chain(number.to_be_bytes());
        seed.iter_mut().zip(name).for_each(|(to, from)| *to = from);
        let mut body = vec![0; self.bytes.saturating_sub(HEAD_BYTES)];
        ChaCha8Rng::from_seed(seed).fill_bytes(&mut body);
        body
    }
}

/// Which numbers came.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    seen: Vec<bool>,
    count: u64,
}

impl Arrived {
    /// More than any run sends.
    const NUMBER_MAX: usize = 100_000_000;

    /// Notes a number; an error if it came before.
    pub(super) fn note(&mut self, number: u64) -> anyhow::Result<()> {
        let place = usize::try_from(number).ok().filter(|place| *place < Self::NUMBER_MAX);
        let place = place.with_context(|| format!("a message with the number {number}"))?;
        if self.seen.len() <= place {
            self.seen.resize(place + 1, false);
        }
        match self.seen.get_mut(place) {
            Some(seen) if !*seen => *seen = true,
            _ => bail!("message {number} came twice"),
        }
        self.count += 1;
        Ok(())
    }

    /// Whether every number below `count` came, and none beyond.
    pub(super) fn is_all_of(&self, count: u64) -> anyhow::Result<bool> {
        ensure!(self.count <= count, "{} messages came, but {count} were sent", self.count);
        Ok(self.count == count && u64::try_from(self.seen.len()) == Ok(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_again_and_a_changed_one_is_not() {
        let letters = Letters { series: 3, bytes: 100, since: Instant::now() };
        let message = letters.write(7);
        assert_eq!(message.len(), 100);
        assert_eq!(letters.read(&message).unwrap().0, 7);
        assert!(Letters { series: 4, ..letters }.read(&message).is_err());
        let mut changed = message.to_vec();
        changed[99] ^= 1;
        assert!(letters.read(&changed).is_err());
        assert!(letters.read(&message[..15]).is_err());
    }

    #[test]
    fn a_repeat_a_gap_and_a_surplus_show() {
        let mut arrived = Arrived::default();
        arrived.note(1).unwrap();
        assert!(!arrived.is_all_of(2).unwrap());
        assert!(!arrived.is_all_of(1).unwrap());
        arrived.note(0).unwrap();
        assert!(arrived.is_all_of(2).unwrap());
        assert!(arrived.note(1).is_err());
        assert!(arrived.is_all_of(1).is_err());
    }
}
