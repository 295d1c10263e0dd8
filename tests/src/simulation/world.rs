use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::engine::{Input, Origin};
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_relay::core::Input as RelayInput;

use super::checks;
use super::failed::Failed;
use super::faults::Faults;
use super::meeting::Meeting;
use super::network::{Happening, Network, Schedule};
use super::node::Node;
use super::person::Person;
use super::population;
use super::relay::SimRelay;

/// 2026-01-01: any start will do.
const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);
/// How long faults go on.
const TROUBLE: Duration = Duration::from_secs(600);
/// How long it may take to come to rest after that.
const REST_MAX: Duration = Duration::from_secs(3_600);
/// No world needs so many steps: one that does runs in circles.
const STEPS_MAX: u64 = 1_000_000;

/// How a world is made.
#[derive(Debug, Clone, Copy)]
pub struct WorldOptions {
    /// Decides everything.
    pub seed: u64,
    /// What goes wrong; `None`: the seed decides.
    pub faults: Option<Faults>,
    /// Use vodozemac in the place of its model. It draws its own randomness, so such a world does not
    /// repeat to the byte.
    pub real_crypto: bool,
}

/// What a world went through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Messages shown at the end, each counted once.
    pub messages: usize,
    /// Users.
    pub users: usize,
    /// Devices.
    pub devices: usize,
    /// Devices that were revoked.
    pub revoked: u64,
    /// Machine steps, each one transaction.
    pub steps: u64,
    /// Crashes of nodes and relay.
    pub crashes: u64,
    /// How often a node lost its sessions.
    pub wedged: u64,
    /// How often somebody was blocked.
    pub blocked: u64,
    /// How often a message was refused because of that.
    pub denied: u64,
    /// Frames lost, with their connections.
    pub dropped: u64,
    /// Frames that came twice.
    pub doubled: u64,
    /// Frames that overtook others.
    pub reordered: u64,
}

impl Report {
    /// Adds another one to this.
    pub(super) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.users += other.users;
        self.devices += other.devices;
        self.revoked += other.revoked;
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.wedged += other.wedged;
        self.blocked += other.blocked;
        self.denied += other.denied;
        self.dropped += other.dropped;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
    }
}

/// Two to four users with one to three devices each, one relay.
pub struct World {
    pub(super) rng: ChaCha20Rng,
    pub(super) real_crypto: bool,
    pub(super) now: Timestamp,
    pub(super) faults: Faults,
    pub(super) schedule: Schedule,
    pub(super) network: Network,
    pub(super) relay: SimRelay,
    pub(super) relay_id: RelayId,
    pub(super) nodes: Vec<Node>,
    pub(super) people: Vec<Person>,
    pub(super) meetings: Vec<Meeting>,
    /// What new devices show, by node.
    pub(super) codes: BTreeMap<usize, String>,
    /// Devices, by node, that their user revoked.
    pub(super) revoked: BTreeSet<usize>,
    /// Texts whose sending was confirmed to the user, with the node that confirmed it.
    pub(super) answered: BTreeMap<String, usize>,
    pub(super) report: Report,
}

impl World {
    /// Makes a world and lets it run to its end.
    pub fn run(options: WorldOptions) -> Result<Report, Failed> {
        let mut world = Self::new(options)?;
        world.go_through_trouble()?;
        world.come_to_rest()?;
        world.report.dropped = world.network.dropped;
        world.report.doubled = world.network.doubled;
        world.report.reordered = world.network.reordered;
        Ok(world.report)
    }

    fn new(options: WorldOptions) -> Result<Self, Failed> {
        let mut rng = ChaCha20Rng::seed_from_u64(options.seed);
        let faults = options.faults.unwrap_or_else(|| Faults::random(&mut rng));
        let relay = SimRelay::new(ChaCha20Rng::seed_from_u64(rng.next_u64()));
        let relay_id = relay.address().relay;
        let mut world = Self {
            rng,
            real_crypto: options.real_crypto,
            now: START,
            faults,
            schedule: Schedule::default(),
            network: Network::default(),
            relay,
            relay_id,
            nodes: Vec::new(),
            people: Vec::new(),
            meetings: Vec::new(),
            codes: BTreeMap::new(),
            revoked: BTreeSet::new(),
            answered: BTreeMap::new(),
            report: Report::default(),
        };
        world.relay.start();
        for name in population::NAMES.into_iter().take(population::size(&mut world.rng)) {
            let node = world.add_node(name, Origin::New)?;
            let engine = world.nodes.get(node).and_then(|node| node.engine.as_ref());
            let user = engine.ok_or_else(|| Failed::new("a node without an engine"))?.me().user.to_hex();
            world.people.push(Person::new(name, user, node));
        }
        population::plan(&mut world.people, &mut world.rng);
        world.meetings = population::meetings(&world.people, &mut world.rng);
        for person in 0..world.people.len() {
            world.schedule.at(START, Happening::User { person });
        }
        Ok(world)
    }

    /// A new device, running; gives its number.
    pub(super) fn add_node(&mut self, name: &'static str, origin: Origin) -> Result<usize, Failed> {
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        let address = self.relay.address();
        let node = Node::create(name, origin, address, rng, self.real_crypto, self.now)?;
        self.nodes.push(node);
        let index = self.nodes.len().saturating_sub(1);
        let node = self.nodes.get_mut(index).ok_or_else(|| Failed::new("no such node"))?;
        node.start(self.now)?;
        let faults = std::mem::replace(&mut self.faults, Faults::NONE);
        let stepped = self.step_node(index, vec![Input::Tick]);
        self.faults = faults;
        stepped.map(|()| index)
    }

    fn go_through_trouble(&mut self) -> Result<(), Failed> {
        let end = START.after(TROUBLE);
        while self.schedule.next_at().is_some_and(|at| at < end) {
            self.next()?;
        }
        Ok(())
    }

    fn come_to_rest(&mut self) -> Result<(), Failed> {
        self.faults = Faults::NONE;
        for person in &mut self.people {
            person.quarrels = false;
        }
        let end = self.now.after(REST_MAX);
        let mut reminded = Timestamp::ZERO;
        loop {
            self.note_revoked()?;
            let views = self.views()?;
            let pairs = self.pairs();
            if checks::is_quiet(&views, &pairs) || self.now > end {
                return self.finish(&views, &pairs);
            }
            // Everybody makes peace and reads what they have, again and again.
            if self.now > reminded.after(Duration::from_secs(30)) {
                reminded = self.now;
                self.make_peace()?;
            }
            for _ in 0..40 {
                self.next()?;
            }
        }
    }

    fn finish(&mut self, views: &[checks::View], pairs: &[(String, String)]) -> Result<(), Failed> {
        checks::relay_is_blind(&self.relay.disk, views)?;
        self.report.users = self.people.len();
        self.report.devices = self.nodes.len();
        self.report.revoked = u64::try_from(self.revoked.len()).unwrap_or(u64::MAX);
        let alive: Vec<bool> = self.nodes.iter().map(|node| node.engine.is_some()).collect();
        // What a new device sends before it is heard of can't be opened; it comes again another way.
        let may_be_shut =
            self.report.wedged + self.report.blocked > 0 || self.report.devices > self.report.users;
        let kept = self.answered.iter().filter(|(_, node)| !self.revoked.contains(node));
        let kept: BTreeSet<&String> = kept.map(|(text, _)| text).collect();
        match checks::at_the_end(views, pairs, &kept, may_be_shut) {
            Ok(messages) => {
                self.report.messages = messages;
                Ok(())
            }
            Err(failed) => Err(failed.with(format!("alive: {alive:?}"))),
        }
    }

    fn make_peace(&mut self) -> Result<(), Failed> {
        for person in 0..self.people.len() {
            for index in self.devices_of(person) {
                let (Some(person), Some(node)) = (self.people.get_mut(person), self.nodes.get_mut(index))
                else {
                    continue;
                };
                if node.engine.is_none() || node.is_linking()? {
                    continue;
                }
                for ask in person.make_peace(&mut node.disk)? {
                    self.step_node(index, vec![Input::Ask(ask)])?;
                }
            }
            self.finish_linking(person)?;
        }
        Ok(())
    }

    /// The devices of somebody that were not revoked.
    pub(super) fn devices_of(&self, person: usize) -> Vec<usize> {
        let devices = self.people.get(person).map(|person| person.devices.clone()).unwrap_or_default();
        devices.into_iter().filter(|node| !self.revoked.contains(node)).collect()
    }

    /// Who got to know whom, each pair once.
    fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.meetings.iter().map(|meeting| {
            let (a, b) = (meeting.inviter.clone(), meeting.joiner.clone());
            if a < b { (a, b) } else { (b, a) }
        });
        pairs.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What is on the devices that count.
    fn views(&mut self) -> Result<Vec<checks::View>, Failed> {
        let revoked = self.revoked.clone();
        let nodes = self.nodes.iter_mut().enumerate().filter(|(index, _)| !revoked.contains(index));
        nodes.map(|(_, node)| checks::view(&mut node.disk)).collect()
    }

    fn next(&mut self) -> Result<(), Failed> {
        self.report.steps += 1;
        if self.report.steps > STEPS_MAX {
            return Err(Failed::new("it runs in circles"));
        }
        let Some((when, happening)) = self.schedule.next() else { return Ok(()) };
        self.now = self.now.max(when);
        match happening {
            Happening::Dialled { node } => self.dialled(node),
            Happening::ToRelay { conn, frame } => {
                if self.network.reaches_relay(conn) {
                    self.step_relay(vec![RelayInput::Frame { conn, frame }])?;
                }
                Ok(())
            }
            Happening::ToNode { conn, frame } => match self.network.node_of(conn) {
                Some(node) => self.step_node(node, vec![Input::Frame { relay: self.relay_id, frame }]),
                None => Ok(()),
            },
            Happening::Closed { conn } => {
                self.network.cut(conn, self.now, &mut self.rng, &mut self.schedule);
                Ok(())
            }
            Happening::NodeSeesEnd { conn, node } => self.node_sees_end(conn, node),
            Happening::RelaySeesEnd { conn } => self.step_relay(vec![RelayInput::Disconnected { conn }]),
            Happening::NodeTick { node } => self.node_tick(node),
            Happening::RelayTick => self.relay_tick(),
            Happening::NodeStart { node } => self.start_node(node),
            Happening::RelayStart => {
                self.relay.start();
                self.step_relay(vec![RelayInput::Tick])
            }
            Happening::User { person } => self.user_acts(person),
        }
    }
}
