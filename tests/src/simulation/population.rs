//! Who lives in a world, with how many devices, and who gets to know whom.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::meeting::Meeting;
use super::person::Person;

pub(super) const NAMES: [&str; 4] = ["Alice", "Bob", "Carol", "Dave"];
/// Of one user; the first is made with the account.
pub(super) const DEVICE_NAMES: [&str; 3] = ["desktop", "phone", "tablet"];
/// What all of a world write together.
const MESSAGES_MAX: u32 = 48;

/// How many live in this world: often two, sometimes four.
pub(super) fn size(rng: &mut ChaCha20Rng) -> usize {
    [2, 2, 2, 3, 3, 4].get(below(rng, 6)).copied().unwrap_or(2)
}

/// Gives everybody something to do.
pub(super) fn plan(people: &mut [Person], rng: &mut ChaCha20Rng) {
    // In half of the worlds somebody quarrels: only one, as two who block each other need a new link.
    let quarrelsome = below(rng, people.len() * 2);
    let share = MESSAGES_MAX / u32::try_from(people.len()).unwrap_or(1);
    for (index, person) in people.iter_mut().enumerate() {
        person.to_write = 4 + rng.next_u32() % share;
        person.devices_wanted = [1, 1, 2, 2, 3].get(below(rng, 5)).copied().unwrap_or(1);
        person.quarrels = index == quarrelsome;
    }
}

/// Everybody gets to know somebody before them, and some others; some ask each other at once.
pub(super) fn meetings(people: &[Person], rng: &mut ChaCha20Rng) -> Vec<Meeting> {
    let mut meetings = Vec::new();
    for (index, person) in people.iter().enumerate().skip(1) {
        let sure = below(rng, index);
        for (other, earlier) in people.iter().enumerate().take(index) {
            if other == sure || rng.next_u32().is_multiple_of(3) {
                let both = rng.next_u32().is_multiple_of(6);
                let swapped = rng.next_u32().is_multiple_of(2);
                let (a, b) = if swapped { (person, earlier) } else { (earlier, person) };
                meetings.push(Meeting::new(&a.user, &b.user));
                if both {
                    meetings.push(Meeting::new(&b.user, &a.user));
                }
            }
        }
    }
    meetings
}

/// A number below `end`; 0 for 0.
pub(super) fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap_or(0).checked_rem(end).unwrap_or(0)
}
