use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// The random numbers that belong to a producer's record: whoever knows the two numbers knows the record.
pub(super) fn rng(producer: usize, number: u64) -> ChaCha20Rng {
    let mut seed = [0; 32];
    let [head, body @ ..] = &mut seed;
    *head = u8::try_from(producer).unwrap_or(u8::MAX);
    for (to, from) in body.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    ChaCha20Rng::from_seed(seed)
}

/// A record's content: 1 to `len_max` bytes.
pub(super) fn content(producer: usize, number: u64, len_max: u64) -> Vec<u8> {
    let mut rng = rng(producer, number);
    let mut content = vec![0; usize::try_from(rng.next_u64() % len_max).unwrap_or(0) + 1];
    rng.fill_bytes(&mut content);
    content
}

/// How long a writer rests once the store is open: the power may go before the first record syncs for everybody.
pub(super) const IDLE: Duration = Duration::from_millis(60);

/// What a writer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// The store is open; the last number that it holds of each producer.
    Opened(Vec<u64>),
    /// A producer's record of this number is kept.
    Kept(usize, u64),
}

impl Said {
    pub(super) fn parse(line: &str) -> anyhow::Result<Self> {
        let odd = || format!("a writer says `{line}`");
        let mut words = line.split(' ');
        let first = words.next();
        let numbers: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>().with_context(odd)?;
        match (first, numbers.as_slice()) {
            (Some("opened"), numbers) => Ok(Self::Opened(numbers.to_vec())),
            (Some("kept"), [producer, number]) => Ok(Self::Kept(usize::try_from(*producer)?, *number)),
            _ => bail!(odd()),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(numbers) => {
                f.write_str("opened")?;
                numbers.iter().try_for_each(|number| write!(f, " {number}"))
            }
            Self::Kept(producer, number) => write!(f, "kept {producer} {number}"),
        }
    }
}

/// Says so, in one write: a line is there whole or not at all.
pub(super) fn say(said: &[Said]) -> io::Result<()> {
    let text: String = said.iter().map(|said| format!("{said}\n")).collect();
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_half_of_it_is_not() {
        for said in [Said::Opened(vec![]), Said::Opened(vec![0, 7]), Said::Kept(3, u64::MAX)] {
            assert_eq!(Said::parse(&said.to_string()).unwrap(), said);
        }
        for half in ["", "open", "kept", "kept 3", "kept 3 ", "kept 3 x", "kept 1 2 3"] {
            assert!(Said::parse(half).is_err(), "{half}");
        }
    }

    #[test]
    fn records_follow_from_their_numbers() {
        assert_eq!(content(1, 2, 100), content(1, 2, 100));
        assert!(content(1, 2, 100) != content(1, 3, 100) && content(1, 2, 100) != content(2, 2, 100));
        assert!((1..200).all(|number| (1..=9).contains(&content(0, number, 9).len())));
    }
}
