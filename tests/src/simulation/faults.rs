use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

/// How often things go wrong, in thousandths per occasion unless said otherwise. As TOML what is left out does not go
/// wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// A user declines, blocks or unblocks, of those who quarrel with a contact.
    pub quarrel: u32,
    /// A stranger takes all one-time prekeys that the relay has of a device.
    pub drain: u32,
    /// A device stays away for a whole burst of activity.
    pub away: u32,
    /// Whether users revoke devices.
    pub revoke: bool,
    /// How far the clock of a device may be off, for good, in either direction, in seconds.
    pub skew_s_max: u64,
    /// How many days the clocks of some devices may be off, for good, in either direction, and one at least.
    pub skew_days_max: u64,
    /// Whether clocks of devices jump months ahead, and minutes later back.
    pub clock_jumps: bool,
    /// Time that passes while everybody is away, between two bursts of activity.
    pub gap: Gap,
    /// Payloads of each class that one mailbox holds; `None`: as many as by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox_messages_max: Option<u64>,
    /// The relay keeps a delivery to itself: for minutes, or until it behaves.
    pub withhold: u32,
    /// It delivers again what it delivered on the same connection.
    pub replay: u32,
    /// It lets later deliveries go first, by up to a minute.
    pub shuffle: u32,
    /// It alters what is sealed or signed in a delivery or an answer.
    pub corrupt: u32,
    /// A relay keeps back, says again, says later or alters what it tells another relay, or a device about what that handed in
    /// for another one.
    pub forward_lies: u32,
    /// The last user's device is hostile: how often it alters what it says.
    pub hostile: u32,
    /// Where there are several relays, a device gets another home relay or gives one up.
    pub moves: u32,
    /// The one of several relays that is lost for ever comes back, but without its disk.
    pub forgets: bool,
    /// Then with an old copy of it, of which its operator knows.
    pub old_backup: bool,
    /// How long what is said in the group stays once somebody sets its timer, in seconds; 0: nobody does.
    pub timer_s: u64,
}

/// Time that passes while everybody is away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gap {
    /// There is one burst of activity.
    #[default]
    None,
    /// Days: less than an envelope lives.
    Days,
    /// Months: envelopes expire, keys are renewed and die.
    Months,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        drop: 0,
        duplicate: 0,
        reorder: 0,
        crash: 0,
        wedge: 0,
        quarrel: 0,
        drain: 0,
        away: 0,
        revoke: false,
        skew_s_max: 0,
        skew_days_max: 0,
        clock_jumps: false,
        gap: Gap::None,
        mailbox_messages_max: None,
        withhold: 0,
        replay: 0,
        shuffle: 0,
        corrupt: 0,
        forward_lies: 0,
        hostile: 0,
        moves: 0,
        forgets: false,
        old_backup: false,
        timer_s: 0,
    };

    /// Some mixture of faults, from gentle to harsh. What loosens the checks is left out of many worlds.
    pub fn random(rng: &mut ChaCha20Rng) -> Self {
        let wedges = one_in(rng, 2);
        let quarrels = one_in(rng, 2);
        let drains = one_in(rng, 3);
        let skewed = one_in(rng, 2);
        let tight = one_in(rng, 5);
        let away = one_in(rng, 3);
        let revoke = one_in(rng, 4);
        let gap = match rng.next_u32() % 12 {
            0..=2 => Gap::Days,
            3 => Gap::Months,
            _ => Gap::None,
        };
        let mut upto = |max: u32| rng.next_u32() % (max + 1);
        Self {
            drop: upto(20),
            duplicate: upto(60),
            reorder: upto(60),
            crash: upto(25),
            wedge: if wedges { upto(10) } else { 0 },
            quarrel: if quarrels { 125 } else { 0 },
            drain: if drains { upto(20) } else { 0 },
            away: if gap == Gap::None && !tight && !away { 0 } else { 100 + upto(300) },
            revoke,
            skew_s_max: if skewed { u64::from(upto(6 * 3600)) } else { 0 },
            gap,
            mailbox_messages_max: tight.then(|| u64::from(3 + upto(8))),
            ..Self::NONE
        }
    }

    /// The same with some lies of the relay, or a hostile device, in a few worlds.
    pub(super) fn with_ill_will(self, rng: &mut ChaCha20Rng) -> Self {
        let mut sometimes = |of: u32, max: u32| if one_in(rng, of) { 1 + rng.next_u32() % max } else { 0 };
        let lies = sometimes(6, 1) > 0;
        let hostile = sometimes(8, 1) > 0;
        let mut lie = |max: u32| if lies { sometimes(2, max) } else { 0 };
        let (withhold, replay, shuffle, corrupt) = (lie(60), lie(60), lie(100), lie(40));
        let hostile = if hostile { 50 + sometimes(1, 700) } else { 0 };
        Self { withhold, replay, shuffle, corrupt, hostile, ..self }
    }

    /// How far a clock may be off.
    pub(super) const fn skew_max(&self) -> Duration {
        Duration::from_secs(self.skew_s_max)
    }

    /// Whether the relay lies.
    pub(super) const fn has_lies(&self) -> bool {
        self.withhold + self.replay + self.shuffle + self.corrupt + self.forward_lies > 0
    }

    /// The same without one kind of fault, for each kind that there is.
    pub(super) fn without_one(self) -> Vec<Self> {
        let all = [
            Self { drop: 0, ..self },
            Self { duplicate: 0, ..self },
            Self { reorder: 0, ..self },
            Self { crash: 0, ..self },
            Self { wedge: 0, ..self },
            Self { quarrel: 0, ..self },
            Self { drain: 0, ..self },
            Self { away: 0, ..self },
            Self { revoke: false, ..self },
            Self { skew_s_max: 0, ..self },
            Self { skew_days_max: 0, ..self },
            Self { clock_jumps: false, ..self },
            Self { gap: Gap::None, ..self },
            Self { mailbox_messages_max: None, ..self },
            Self { withhold: 0, ..self },
            Self { replay: 0, ..self },
            Self { shuffle: 0, ..self },
            Self { corrupt: 0, ..self },
            Self { forward_lies: 0, ..self },
            Self { hostile: 0, ..self },
            Self { moves: 0, ..self },
            Self { forgets: false, old_backup: false, ..self },
            Self { old_backup: false, ..self },
            Self { timer_s: 0, ..self },
        ];
        all.into_iter().filter(|fewer| *fewer != self).collect()
    }

    /// Whether a message may have expired by some device's clock, or keys been renewed.
    pub(super) fn is_long(&self) -> bool {
        self.gap == Gap::Months || self.clock_jumps
    }

    /// The faults that end when everybody comes to rest. What a world is made of stays.
    pub(super) const fn over(self) -> Self {
        Self {
            skew_s_max: self.skew_s_max,
            skew_days_max: self.skew_days_max,
            hostile: self.hostile,
            clock_jumps: self.clock_jumps,
            forgets: self.forgets,
            old_backup: self.old_backup,
            timer_s: self.timer_s,
            gap: self.gap,
            mailbox_messages_max: self.mailbox_messages_max,
            ..Self::NONE
        }
    }
}

/// Says yes in so many of a thousand cases.
pub(super) fn happens(rng: &mut ChaCha20Rng, thousandths: u32) -> bool {
    thousandths > 0 && rng.next_u32() % 1_000 < thousandths
}

/// Says yes in one of so many cases.
pub(super) fn one_in(rng: &mut ChaCha20Rng, cases: u32) -> bool {
    rng.next_u32().is_multiple_of(cases)
}

/// A number below `end`; 0 for 0.
pub(super) fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap_or(0).checked_rem(end).unwrap_or(0)
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
