use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// How often things go wrong, in thousandths per occasion.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// A frame is lost, and its connection with it.
    pub drop: u32,
    /// A frame comes twice.
    pub duplicate: u32,
    /// A frame overtakes those before it.
    pub reorder: u32,
    /// A node or the relay dies: before the commit, after it but before sending, or after all.
    pub crash: u32,
    /// A node loses its Olm sessions, as a damaged or rolled-back store would.
    pub wedge: u32,
    /// Whether users revoke devices.
    pub revoke: bool,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self { drop: 0, duplicate: 0, reorder: 0, crash: 0, wedge: 0, revoke: false };

    /// Some mixture of faults, from gentle to harsh.
    pub fn random(rng: &mut ChaCha20Rng) -> Self {
        let mut upto = |max: u32| rng.next_u32() % (max + 1);
        Self {
            drop: upto(20),
            duplicate: upto(60),
            reorder: upto(60),
            crash: upto(25),
            wedge: upto(10),
            revoke: upto(3) == 0,
        }
    }
}

/// Says yes in so many of a thousand cases.
pub(super) fn happens(rng: &mut ChaCha20Rng, thousandths: u32) -> bool {
    thousandths > 0 && rng.next_u32() % 1_000 < thousandths
}

/// Where a crash strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    BeforeCommit,
    BeforeSending,
    AfterSending,
}

/// Whether this step ends in a crash, and where.
pub(super) fn crash(rng: &mut ChaCha20Rng, faults: &Faults) -> Option<Crash> {
    if !happens(rng, faults.crash) {
        return None;
    }
    Some(match rng.next_u32() % 3 {
        0 => Crash::BeforeCommit,
        1 => Crash::BeforeSending,
        _ => Crash::AfterSending,
    })
}
