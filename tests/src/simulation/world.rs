use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::engine::Input;
use undertone_protocol::testing::VerifiedOnce;
use undertone_protocol::time::Timestamp;
use undertone_relay::core::{ConnId, Input as RelayInput};
use undertone_relay::limits::Limits;

use super::checks;
use super::circle::Circle;
use super::drawn::Drawn;
use super::failed::{Check, Failed};
use super::faults::{Faults, Gap, happens, one_in};
use super::lies::Lies;
use super::listener::Listener;
use super::network::{Happening, Network, Schedule, delay};
use super::node::Node;
use super::reference::Bodies;
use super::relay::SimRelay;
use super::relays::Relays;
use super::report::Report;
use super::scenario::WorldOptions;
use super::trace::{Trace, named};
use super::trunks::Trunks;
use super::user::User;

/// 2026-01-01: any start will do.
pub(super) const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);
/// How long faults go on, time that flies not counted.
pub(super) const TROUBLE: Duration = Duration::from_secs(600);
/// How long after everybody went away time begins to fly: what was on the wires has arrived.
const SETTLED: Duration = Duration::from_secs(90);
/// No world needs so many steps: one that does runs in circles.
const STEPS_MAX: u64 = 1_000_000;
/// Tells the group's randomness from the rest.
const GROUP: u64 = 0x67_726f_7570;
/// Of so many worlds one has a group.
const GROUP_ONE_IN: u32 = 3;
/// The same where somebody cheats.
const GROUP_OF_CHEATS_ONE_IN: u32 = 2;
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two to four users with one to three devices each, and one to seven relays.
pub struct World {
    pub(super) rng: ChaCha20Rng,
    jumps: ChaCha20Rng,
    pub(super) skews: ChaCha20Rng,
    pub(super) options: WorldOptions,
    pub(super) now: Timestamp,
    pub(super) faults: Faults,
    /// Whether users make a group.
    pub(super) has_group: bool,
    /// The user whose device cheats.
    pub(super) hostile: Option<usize>,
    pub(super) lies: Lies,
    /// Whether the relay ever lies in this world.
    pub(super) lied: bool,
    pub(super) trace: Trace,
    pub(super) schedule: Schedule,
    pub(super) network: Network,
    pub(super) trunks: Trunks,
    pub(super) listener: Listener,
    pub(super) relays: Relays,
    /// Whether things happen to relays, where there are several.
    pub(super) relays_are_troubled: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) users: Vec<User>,
    pub(super) circle: Circle,
    /// What new devices show, by node.
    pub(super) codes: BTreeMap<usize, String>,
    /// Devices, by node, that count no more: at the end those that were revoked.
    pub(super) revoked: BTreeSet<usize>,
    /// What entries said before time flew: later it may be dropped.
    pub(super) bodies: Bodies,
    /// Texts whose sending was confirmed to their author, with the node that confirmed it.
    pub(super) answered: BTreeMap<String, usize>,
    pub(super) report: Report,
}

impl World {
    /// Makes a world and lets it run to its end. A panic in it is a failure like another.
    pub fn run(options: WorldOptions) -> Result<Report, Failed> {
        Self::lived(options, Trace::new(false))
    }

    /// The same, and what does not hold comes with what happened last.
    pub(super) fn traced(options: WorldOptions) -> Result<Report, Failed> {
        Self::lived(options, Trace::new(true))
    }

    /// Whether users make a group in the world of these options.
    pub fn has_group(options: WorldOptions) -> bool {
        wants_group(&options, &options.faults.unwrap_or_else(|| Drawn::of(options.seed).faults))
    }

    /// The same world with all told that the seed decides at its beginning.
    pub fn made_explicit(options: WorldOptions) -> WorldOptions {
        let Ok(world) = Self::new(options, Trace::default()) else { return options };
        WorldOptions {
            users: Some(world.users.len()),
            group: Some(world.has_group),
            devices_max: world.users.iter().map(User::devices_wanted).max(),
            trouble_s: Some(options.trouble_s.unwrap_or(TROUBLE.as_secs())),
            faults: Some(world.faults),
            ..options
        }
    }

    fn lived(options: WorldOptions, trace: Trace) -> Result<Report, Failed> {
        let _verified = VerifiedOnce::begin();
        let mut world = Self::new(options, trace)?;
        let faults = world.faults;
        let lived =
            catch_unwind(AssertUnwindSafe(|| world.go_through_trouble().and_then(|()| world.come_to_rest())));
        let lived = lived.unwrap_or_else(|panic| Err(Failed::by(Check::Panic, words(&*panic))));
        let when = world.now.since(START);
        if let Err(failed) = lived {
            return Err(failed.with(format!("after {when:?}: {faults:?}")).traced(world.trace.lines()));
        }
        Ok(world.reported())
    }

    fn reported(mut self) -> Report {
        self.report.worlds = 1;
        self.report.users = self.users.len();
        self.report.devices = self.nodes.len();
        self.report.revoked = self.revoked.len();
        self.report.dropped = self.network.dropped;
        self.report.doubled = self.network.doubled;
        self.report.reordered = self.network.reordered;
        let told = self.lies.told;
        self.report.withheld = told.withheld;
        self.report.replayed = told.replayed;
        self.report.shuffled = told.shuffled;
        self.report.corrupted = told.corrupted;
        self.report.forward_lies = told.of_forwards;
        self.report.hostile = u64::from(self.hostile.is_some());
        let troubles = self.relays.report;
        self.report.relays_lost = troubles.lost;
        self.report.relays_restored = troubles.restored;
        self.report.partitions = troubles.partitions;
        self.report.outages = troubles.outages;
        self.report.moves = troubles.changes;
        self.report
    }

    fn new(options: WorldOptions, trace: Trace) -> Result<Self, Failed> {
        let Drawn { mut rng, jumps, mut ill_will, skews, faults } = Drawn::of(options.seed);
        let several = options.relays.is_some_and(|relays| relays > 1);
        let faults = if several { Relays::with_faults(options.seed, faults) } else { faults };
        let faults = options.faults.unwrap_or(faults);
        let has_group = wants_group(&options, &faults);
        let limits = limits(&faults);
        let relay = SimRelay::new(limits.clone(), fork(&mut rng));
        let relays = Relays::new(options.seed, options.relays.unwrap_or(1), faults.forgets, relay, &limits);
        let mut world = Self {
            options,
            now: START,
            faults,
            has_group,
            hostile: None,
            lies: Lies::new(ill_will.next_u64()),
            lied: faults.has_lies(),
            trace,
            schedule: Schedule::default(),
            network: Network::default(),
            trunks: Trunks::default(),
            listener: Listener::default(),
            relays,
            relays_are_troubled: true,
            nodes: Vec::new(),
            users: Vec::new(),
            circle: Circle::default(),
            codes: BTreeMap::new(),
            revoked: BTreeSet::new(),
            bodies: Bodies::new(),
            answered: BTreeMap::new(),
            report: Report::default(),
            rng,
            jumps,
            skews,
        };
        world.populate()?;
        world.plan_relay_trouble();
        for user in 0..world.users.len() {
            world.schedule.at(START, Happening::User { user });
        }
        Ok(world)
    }

    fn go_through_trouble(&mut self) -> Result<(), Failed> {
        let bursts = match self.faults.gap {
            Gap::None => 1,
            Gap::Days | Gap::Months => 2 + self.rng.next_u32() % 2,
        };
        let trouble = self.options.trouble_s.map_or(TROUBLE, Duration::from_secs);
        for burst in 0..bursts {
            if burst > 0 {
                self.time_flies()?;
            }
            for node in 0..self.nodes.len() {
                if happens(&mut self.rng, self.faults.away) {
                    self.leave(node);
                } else {
                    self.come_back(node);
                }
            }
            if self.faults.clock_jumps {
                self.plan_jumps(trouble / bursts);
            }
            self.run_for(trouble / bursts)?;
        }
        Ok(())
    }

    /// Some clocks will be wrong for a while, and right before the end.
    fn plan_jumps(&mut self, within: Duration) {
        for node in 0..self.nodes.len() {
            if one_in(&mut self.jumps, 2) {
                continue;
            }
            let ahead = within * (self.jumps.next_u32() % 50) / 100;
            let right = ahead + within * (self.jumps.next_u32() % 40) / 100;
            self.schedule.at(self.now.after(ahead), Happening::ClockJumps { node });
            self.schedule.at(self.now.after(right), Happening::ClockIsSet { node });
        }
    }

    fn clock_jumps(&mut self, index: usize) -> Result<(), Failed> {
        let days = 30 + self.jumps.next_u32() % 300;
        if let Some(node) = self.nodes.get_mut(index) {
            checks::note_bodies(node, &mut self.bodies)?;
            node.clock_jumps(DAY * days);
            self.report.jumps += 1;
        }
        self.clock_is_looked_at(index)
    }

    fn clock_is_set(&mut self, index: usize) -> Result<(), Failed> {
        if let Some(node) = self.nodes.get_mut(index) {
            node.clock_is_set();
        }
        self.clock_is_looked_at(index)
    }

    /// A process sleeps for a while by no clock that jumps, and then looks.
    fn clock_is_looked_at(&mut self, index: usize) -> Result<(), Failed> {
        if let Some(node) = self.nodes.get_mut(index) {
            node.tick_at = None;
        }
        self.step_node(index, vec![Input::Tick])
    }

    /// Everybody goes away, for days or for months.
    fn time_flies(&mut self) -> Result<(), Failed> {
        let days = match self.faults.gap {
            Gap::None => 0,
            Gap::Days => 1 + self.rng.next_u32() % 9,
            Gap::Months => 31 + self.rng.next_u32() % 10,
        };
        self.everybody_is_away(days)
    }

    pub(super) fn everybody_is_away(&mut self, days: u32) -> Result<(), Failed> {
        for node in 0..self.nodes.len() {
            self.leave(node);
        }
        self.run_for(SETTLED)?;
        for node in &mut self.nodes {
            checks::note_bodies(node, &mut self.bodies)?;
        }
        self.now = self.now.after(DAY * days);
        self.report.gaps += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        node.stop();
        node.away = true;
        self.node_died(index);
    }

    pub(super) fn come_back(&mut self, index: usize) {
        if let Some(node) = self.nodes.get_mut(index).filter(|node| node.away) {
            node.away = false;
            let soon = self.now.after(delay(&mut self.rng));
            self.schedule.at(soon, Happening::NodeStart { node: index });
        }
    }

    fn run_for(&mut self, duration: Duration) -> Result<(), Failed> {
        let end = self.now.after(duration);
        while self.schedule.next_at().is_some_and(|at| at < end) {
            self.next()?;
        }
        self.now = end;
        Ok(())
    }

    /// The relay at an end of a connection, if it lives.
    fn relay_of(&self, conn: ConnId) -> Option<usize> {
        self.network.relay_of(conn).or_else(|| self.trunks.relay_of(conn))
    }

    /// The next thing happens.
    pub(super) fn next(&mut self) -> Result<(), Failed> {
        self.report.steps += 1;
        if self.report.steps > STEPS_MAX {
            return Err(Failed::by(Check::Circles, "it runs in circles"));
        }
        let Some((when, happening)) = self.schedule.next() else { return Ok(()) };
        self.now = self.now.max(when);
        self.trace.note(START, self.now, || described(&happening));
        match happening {
            Happening::Dialled { node, relay, link } => self.dialled(node, relay, link),
            Happening::ToRelay { conn, frame } => match self.relay_of(conn) {
                Some(relay) => self.step_relay(relay, vec![RelayInput::Frame { conn, frame }]),
                None => Ok(()),
            },
            Happening::ToNode { conn, frame } => self.reaches_node(conn, frame),
            Happening::Closed { conn } => {
                self.network.cut(conn, self.now, &mut self.rng, &mut self.schedule);
                Ok(())
            }
            Happening::NodeSeesEnd { conn, node, link } => self.node_sees_end(conn, node, link),
            Happening::RelaySeesEnd { conn, relay } => {
                self.step_relay(relay, vec![RelayInput::Disconnected { conn }])
            }
            Happening::RelayDialled { from, to } => self.relay_dialled(from, to),
            Happening::TrunkEnds { conn } => self.trunk_ends(conn),
            Happening::NodeTick { node } => self.node_tick(node),
            Happening::RelayTick { relay } => self.relay_tick(relay),
            Happening::NodeStart { node } => self.start_node(node),
            Happening::RelayStart { relay } => self.start_relay(relay),
            Happening::RelayTrouble => self.relay_trouble(),
            Happening::User { user } => self.user_acts(user),
            Happening::ClockJumps { node } => self.clock_jumps(node),
            Happening::ClockIsSet { node } => self.clock_is_set(node),
        }
    }
}

fn wants_group(options: &WorldOptions, faults: &Faults) -> bool {
    let mut group = ChaCha20Rng::seed_from_u64(options.seed ^ GROUP);
    let one_in_so_many = if faults.hostile > 0 { GROUP_OF_CHEATS_ONE_IN } else { GROUP_ONE_IN };
    options.group.unwrap_or(one_in(&mut group, one_in_so_many))
}

/// What happens, in words. Frames are named, not shown; `None`: it tells nothing.
fn described(happening: &Happening) -> Option<String> {
    match happening {
        Happening::ToRelay { conn, frame } => Some(format!("to the relay on {conn:?}: {}", named(frame)?)),
        Happening::ToNode { conn, frame } => Some(format!("from the relay on {conn:?}: {}", named(frame)?)),
        Happening::NodeTick { .. } | Happening::RelayTick { .. } | Happening::User { .. } => None,
        other => Some(format!("{other:?}")),
    }
}

/// What somebody said who panicked.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

pub(super) fn fork(rng: &mut ChaCha20Rng) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(rng.next_u64())
}

/// The relay sweeps less often than by default, to spare steps; its mailboxes may be small.
fn limits(faults: &Faults) -> Limits {
    let limits = Limits { sweep_interval_ms: 20_000, ..Limits::default() };
    match faults.mailbox_messages_max {
        None => limits,
        Some(max) => Limits {
            mailbox_class_0_messages_max: max,
            mailbox_class_1_messages_max: max,
            full_retry_after_ms: 5_000,
            ..limits
        },
    }
}
