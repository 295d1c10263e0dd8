use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

/// Longer than anything takes that works; only a fault reaches it.
pub const WAIT_MAX: Duration = Duration::from_secs(45);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until there is something to see. An error when `look` fails, or after
/// [`WAIT_MAX`]; it says what was waited for.
pub fn until<T>(what: &str, look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    until_after(Duration::ZERO, what, look)
}

/// The same, where what works may take so long: after [`WAIT_MAX`] more.
pub fn until_after<T>(
    may_take: Duration,
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let longest = may_take + WAIT_MAX;
    let deadline = Instant::now() + longest;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            bail!("waited {} s in vain until {what}", longest.as_secs());
        }
        thread::sleep(PAUSE);
    }
}
