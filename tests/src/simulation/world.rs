use std::collections::BTreeSet;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::command::{Ask, Command, CommandId};
use undertone::engine::{Input, Notice, Origin};
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_relay::core::Input as RelayInput;

use super::checks;
use super::failed::Failed;
use super::faults::Faults;
use super::network::{Happening, Network, Schedule};
use super::node::{Node, Stepped};
use super::relay::SimRelay;
use super::user::User;

/// 2026-01-01: any start will do.
const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);
/// How long faults go on.
const TROUBLE: Duration = Duration::from_secs(600);
/// How long it may take to come to rest after that.
const REST_MAX: Duration = Duration::from_secs(3_600);
/// No world needs so many steps: one that does runs in circles.
const STEPS_MAX: u64 = 400_000;

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
    /// Messages shown at the end.
    pub messages: usize,
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

/// Two users, one relay.
pub struct World {
    pub(super) rng: ChaCha20Rng,
    pub(super) now: Timestamp,
    pub(super) faults: Faults,
    pub(super) schedule: Schedule,
    pub(super) network: Network,
    pub(super) relay: SimRelay,
    pub(super) relay_id: RelayId,
    pub(super) nodes: Vec<Node>,
    pub(super) users: Vec<User>,
    pub(super) link: Option<String>,
    /// Texts whose sending was confirmed to the user.
    pub(super) answered: BTreeSet<String>,
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
        let mut fork = || ChaCha20Rng::seed_from_u64(rng.next_u64());
        let relay = SimRelay::new(fork());
        let address = relay.address();
        let relay_id = address.relay;
        let nodes = vec![
            Node::create("Alice", Origin::New, address.clone(), fork(), options.real_crypto, START)?,
            Node::create("Bob", Origin::New, address, fork(), options.real_crypto, START)?,
        ];
        // In half of the worlds somebody quarrels: one of them, as two who block each other need a new link.
        let quarrelsome = usize::try_from(rng.next_u32() % 4).unwrap_or(0);
        let users = (0..nodes.len()).map(|index| User::new(5 + rng.next_u32() % 30, index == quarrelsome));
        let users = users.collect();
        let mut world = Self {
            rng,
            now: START,
            faults,
            schedule: Schedule::default(),
            network: Network::default(),
            relay,
            relay_id,
            nodes,
            users,
            link: None,
            answered: BTreeSet::new(),
            report: Report::default(),
        };
        world.relay.start();
        for node in 0..world.nodes.len() {
            world.start_node(node)?;
            world.schedule.at(START, Happening::User { node });
        }
        Ok(world)
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
        let end = self.now.after(REST_MAX);
        let mut reminded = Timestamp::ZERO;
        loop {
            let views = self.views()?;
            if checks::is_quiet(&views) || self.now > end {
                checks::relay_is_blind(&self.relay.disk, &views)?;
                self.report.messages = views.first().map_or(0, |view| view.shown.len());
                let alive: Vec<bool> = self.nodes.iter().map(|node| node.engine.is_some()).collect();
                return checks::at_the_end(
                    &views,
                    &self.answered,
                    self.report.wedged + self.report.blocked > 0,
                )
                .map_err(|failed| failed.with(format!("alive: {alive:?}, {:?}", self.statuses())));
            }
            // Everybody makes peace and reads what they have, again and again.
            if self.now > reminded.after(Duration::from_secs(30)) {
                reminded = self.now;
                for index in 0..self.nodes.len() {
                    let (Some(user), Some(node)) = (self.users.get_mut(index), self.nodes.get_mut(index))
                    else {
                        continue;
                    };
                    for ask in user.make_peace(node)? {
                        self.step_node(index, vec![Input::Ask(ask)])?;
                    }
                }
            }
            for _ in 0..20 {
                self.next()?;
            }
        }
    }

    fn views(&mut self) -> Result<Vec<checks::View>, Failed> {
        self.nodes.iter_mut().map(|node| checks::view(&mut node.disk)).collect()
    }

    /// How the nodes say that they are, for the report of a failure.
    fn statuses(&mut self) -> Vec<Notice> {
        let ask = Ask { id: CommandId(0), command: Command::Status {}, wait: Duration::ZERO };
        let now = self.now;
        let steps = self.nodes.iter_mut().map(|node| node.step(vec![Input::Ask(ask.clone())], now, None));
        let outs = steps.filter_map(|stepped| match stepped {
            Ok(Stepped::Alive(out)) => Some(out.notices),
            _ => None,
        });
        outs.flatten().collect()
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
            Happening::User { node } => self.user_acts(node),
        }
    }
}
