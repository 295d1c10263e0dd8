//! Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
//! PURBs", PETS 2019): sizes leak O(log log n) bits, at most 12 % is added.

use super::Malformed;

/// Nothing is padded to less than this many bytes, so that short messages look alike.
const PADDED_BYTES_MIN: usize = 64;
const MARK: u8 = 0x80;

/// The length that `len` bytes and one mark are padded to.
pub fn padded_len(len: usize) -> usize {
    let len = (len + 1).max(PADDED_BYTES_MIN);
    let exponent = len.ilog2();
    let significant = exponent.ilog2() + 1;
    let low_bits = exponent.saturating_sub(significant);
    let mask = (1usize << low_bits) - 1;
    (len + mask) & !mask
}

/// Appends 0x80 and zeros up to [`padded_len`].
pub fn pad(mut content: Vec<u8>) -> Vec<u8> {
    let target = padded_len(content.len());
    content.push(MARK);
    content.resize(target, 0);
    content
}

/// The content before the mark.
pub fn unpad(padded: &[u8]) -> Result<&[u8], Malformed> {
    let bad = || Malformed::new("padding", "no 0x80 mark before the zeros");
    let mark = padded.iter().rposition(|&byte| byte != 0).ok_or_else(bad)?;
    match padded.split_at(mark) {
        (content, [MARK, ..]) => Ok(content),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_follow_the_paper() {
        assert_eq!(padded_len(0), 64);
        assert_eq!(padded_len(63), 64);
        assert_eq!(padded_len(64), 72);
        assert_eq!(padded_len(1_000), 1_024);
        assert_eq!(padded_len(1_024), 1_088);
    }

    #[test]
    fn zeros_alone_are_refused() {
        assert!(unpad(&[0; 64]).is_err());
        assert!(unpad(&[]).is_err());
        assert!(unpad(&[1, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn padding_round_trips(content in proptest::collection::vec(any::<u8>(), 0..3_000)) {
            let padded = pad(content.clone());
            prop_assert_eq!(padded.len(), padded_len(content.len()));
            prop_assert!(padded.len() <= (content.len() + 1).max(64) * 113 / 100);
            prop_assert_eq!(unpad(&padded)?, &content[..]);
        }
    }
}
