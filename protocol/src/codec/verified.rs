use std::cell::RefCell;
use std::collections::BTreeSet;

/// How many signatures a thread remembers; beyond that it begins anew.
const REMEMBERED_MAX: usize = 1 << 16;

thread_local! {
    static GOOD: RefCell<Option<BTreeSet<[u8; 32]>>> = const { RefCell::new(None) };
}

/// For as long as it lives, its thread checks no signature again that it found good. A simulated world has all devices in one
/// thread: each would do the same curve arithmetic on the same bytes. Signatures that are not good are checked every time.
#[derive(Debug)]
pub struct VerifiedOnce(());

impl VerifiedOnce {
    /// From now on, and with nothing remembered yet.
    pub fn begin() -> Self {
        GOOD.set(Some(BTreeSet::new()));
        Self(())
    }
}

impl Drop for VerifiedOnce {
    fn drop(&mut self) {
        GOOD.set(None);
    }
}

/// `check`, unless it was found good before. `parts` must say all that `check` depends on.
pub(super) fn verified_once<E>(parts: [&[u8]; 4], check: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    GOOD.with_borrow_mut(|good| {
        let Some(good) = good else { return check() };
        let name = name(parts);
        if !good.contains(&name) {
            check()?;
            remember(good, name);
        }
        Ok(())
    })
}

/// Spares the check of what was just signed.
pub(super) fn is_good(parts: [&[u8]; 4]) {
    GOOD.with_borrow_mut(|good| {
        if let Some(good) = good {
            remember(good, name(parts));
        }
    });
}

fn remember(good: &mut BTreeSet<[u8; 32]>, name: [u8; 32]) {
    if good.len() >= REMEMBERED_MAX {
        good.clear();
    }
    good.insert(name);
}

fn name(parts: [&[u8]; 4]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_was_good_is_not_checked_again_and_what_was_not_is() {
        let checks = Cell::new(0);
        let ask = |body: &[u8], result: Result<(), ()>| {
            verified_once([b"label", b"key", b"signature", body], || {
                checks.set(checks.get() + 1);
                result
            })
        };
        assert_eq!((ask(b"one", Ok(())), ask(b"one", Err(()))), (Ok(()), Err(())), "nothing is remembered");
        let once = VerifiedOnce::begin();
        checks.set(0);
        assert_eq!((ask(b"one", Ok(())), ask(b"one", Err(()))), (Ok(()), Ok(())));
        assert_eq!(checks.get(), 1);
        assert_eq!((ask(b"two", Err(())), ask(b"two", Ok(()))), (Err(()), Ok(())));
        assert_eq!(checks.get(), 3);
        is_good([b"label", b"key", b"signature", b"three"]);
        assert_eq!(ask(b"three", Err(())), Ok(()));
        drop(once);
        assert_eq!(ask(b"one", Err(())), Err(()));
    }
}
