//! Sets of row numbers, one bit each.

const WORD: usize = 64;

/// A set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

/// A parent-closed set of operations, of which most hold all that is old: every number below `base`, and what
/// stands in the words from there on. So its size is that of what was concurrent, not that of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// In words.
    base: usize,
    words: Vec<u64>,
}

const fn split(at: usize) -> (usize, u64) {
    (at / WORD, 1 << (at % WORD))
}

impl Bits {
    pub(super) fn contains(&self, at: usize) -> bool {
        let (word, bit) = split(at);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn set(&mut self, at: usize, is: bool) {
        let (word, bit) = split(at);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits = if is { *bits | bit } else { *bits & !bit };
        }
    }

    /// How many numbers stand in only one of the two.
    pub(super) fn distance(&self, past: &Past) -> usize {
        self.differences(past).map(|(_, bits)| bits.count_ones() as usize).sum()
    }

    /// The numbers that stand in only one of the two, ascending.
    pub(super) fn difference(&self, past: &Past) -> Vec<usize> {
        self.differences(past).flat_map(|(number, bits)| ones(number, bits)).collect()
    }

    fn differences(&self, past: &Past) -> impl Iterator<Item = (usize, u64)> {
        let words = self.words.len().max(past.base + past.words.len());
        (0..words)
            .map(|number| (number, self.words.get(number).copied().unwrap_or_default() ^ past.word(number)))
    }
}

impl Past {
    pub(super) fn contains(&self, at: usize) -> bool {
        let (word, bit) = split(at);
        self.word(word) & bit != 0
    }

    /// All numbers below it are in.
    pub(super) fn floor(&self) -> usize {
        self.base * WORD
    }

    /// Takes another one in.
    pub(super) fn merge(&mut self, other: &Self) {
        let words = (self.base + self.words.len()).max(other.base + other.words.len());
        let base = self.base.max(other.base);
        self.words = (base..words).map(|number| self.word(number) | other.word(number)).collect();
        self.base = base;
        self.settle();
    }

    pub(super) fn insert(&mut self, at: usize) {
        let (word, bit) = split(at);
        if let Some(word) = word.checked_sub(self.base) {
            if self.words.len() <= word {
                self.words.resize(word + 1, 0);
            }
            if let Some(bits) = self.words.get_mut(word) {
                *bits |= bit;
            }
            self.settle();
        }
    }

    fn settle(&mut self) {
        let full = self.words.iter().take_while(|bits| **bits == u64::MAX).count();
        self.words.drain(..full);
        self.base += full;
    }

    fn word(&self, number: usize) -> u64 {
        match number.checked_sub(self.base) {
            None => u64::MAX,
            Some(number) => self.words.get(number).copied().unwrap_or_default(),
        }
    }
}

fn ones(number: usize, bits: u64) -> impl Iterator<Item = usize> {
    let mut left = bits;
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        left &= left.checked_sub(1)?;
        Some(number * WORD + bit)
    })
}
