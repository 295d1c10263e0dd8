//! The same machines without faults, led step by step: things happen when a test says so, and time passes
//! as it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::LinkId;
use undertone::command::{Ask, Command, CommandError, CommandId, Response};
use undertone::engine::{DownReason, Input, NetOutput, Notice, Origin, Outputs};
use undertone::event::Event;
use undertone::store::MemoryStore;
use undertone_protocol::ids::DeviceId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::Frame;
use undertone_relay::core::{ConnId, Input as RelayInput, Output as RelayOutput, Relay};
use undertone_relay::limits::Limits;

use super::failed::Failed;
use super::node::{Node, Skew, Stepped};
use super::relay::SimRelay;

mod relay;

/// 2026-01-01: any start will do.
const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);
/// How long a command may wait for the network.
const WAIT: Duration = Duration::from_secs(10);
/// No stage needs so many steps at one time.
const STEPS_MAX: usize = 200_000;

/// Some users and one relay.
pub struct Stage {
    now: Timestamp,
    relay: SimRelay,
    nodes: Vec<Node>,
    /// Whose connections, and which of theirs.
    conns: BTreeMap<ConnId, (usize, LinkId)>,
    unplugged: BTreeSet<usize>,
    /// What does not reach a node.
    held: Option<Held>,
    /// A node of which the relay refuses all publishes, and what it says when, in milliseconds.
    refusing: Option<(usize, u64)>,
    refused: usize,
    queue: VecDeque<Happening>,
    replies: Vec<Result<Response, CommandError>>,
    events: Vec<Vec<Event>>,
    count: u64,
    rng: ChaCha20Rng,
    real_crypto: bool,
}

/// What the relay sends to a node, and does not get there.
struct Held {
    node: usize,
    /// What is not of its mailbox as well.
    all: bool,
    frames: Vec<(LinkId, Frame)>,
}

enum Happening {
    Dialled { node: usize, link: LinkId },
    ToRelay { conn: ConnId, frame: Frame },
    ToNode { conn: ConnId, frame: Frame },
    Closed { conn: ConnId },
}

impl Stage {
    /// Users of these names, all running.
    pub fn new(names: &[&'static str], real_crypto: bool) -> Result<Self, Failed> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut fork = || ChaCha20Rng::seed_from_u64(rng.next_u64());
        let mut relay = SimRelay::new(Limits::default(), fork());
        relay.start();
        let address = relay.address();
        let nodes = names.iter().map(|name| {
            Node::create(name, Origin::New, vec![address.clone()], fork(), real_crypto, Skew::NONE, START)
        });
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        let mut stage = Self {
            now: START,
            relay,
            events: nodes.iter().map(|_| Vec::new()).collect(),
            nodes,
            conns: BTreeMap::new(),
            unplugged: BTreeSet::new(),
            held: None,
            refusing: None,
            refused: 0,
            queue: VecDeque::new(),
            replies: Vec::new(),
            count: 0,
            rng: fork(),
            real_crypto,
        };
        for node in 0..names.len() {
            stage.start(node)?;
        }
        Ok(stage)
    }

    /// One more device, running: a new one of some user, or that of a user who starts anew. Gives its number.
    pub fn add(&mut self, name: &'static str, origin: Origin) -> Result<usize, Failed> {
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        let homes = vec![self.relay.address()];
        self.nodes.push(Node::create(name, origin, homes, rng, self.real_crypto, Skew::NONE, self.now)?);
        self.events.push(Vec::new());
        let node = self.nodes.len().saturating_sub(1);
        self.start(node)?;
        Ok(node)
    }

    /// The words that a user was shown when their account was made.
    pub fn phrase(&mut self, node: usize) -> Result<String, Failed> {
        self.node(node)?.phrase.clone().ok_or_else(|| Failed::new("it is no new user's"))
    }

    /// A copy of a device's disk as it is goes into another device's place.
    pub fn copy_disk(&mut self, from: usize, to: usize) -> Result<(), Failed> {
        let disk = self.node(from)?.disk.clone();
        self.node(to)?.disk = disk;
        Ok(())
    }

    /// From now on a node's clock is so far ahead.
    pub fn put_ahead(&mut self, node: usize, by: Duration) -> Result<(), Failed> {
        self.node(node)?.skew = Skew::Ahead(by);
        Ok(())
    }

    /// A node's clock is set, so far ahead of the right time, and the node wakes.
    pub fn set_clock(&mut self, node: usize, ahead: Duration) -> Result<(), Failed> {
        self.put_ahead(node, ahead)?;
        self.step_node(node, Input::Tick)?;
        self.run(Duration::from_secs(1))
    }

    /// The time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Asks a node, and lets the world run until it answered and nothing moves.
    pub fn ask(&mut self, node: usize, command: Command) -> Result<Result<Response, CommandError>, Failed> {
        self.replies.clear();
        self.run(Duration::from_millis(1))?;
        self.step_node(node, Input::Ask(Ask { id: CommandId(1), command, wait: WAIT }))?;
        self.run(Duration::ZERO)?;
        if self.replies.is_empty() {
            self.run(WAIT)?;
        }
        self.run(Duration::from_secs(1))?;
        self.replies.pop().ok_or_else(|| Failed::new("a command was never answered"))
    }

    /// Lets the world run for so long.
    pub fn run(&mut self, duration: Duration) -> Result<(), Failed> {
        let end = self.now.after(duration);
        for _ in 0..STEPS_MAX {
            if let Some(happening) = self.queue.pop_front() {
                self.happen(happening)?;
                continue;
            }
            let Some(next) = self.next_deadline().filter(|at| *at <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(next);
            self.tick()?;
        }
        Err(Failed::new("it runs in circles"))
    }

    /// All machines sleep for so long, and wake.
    pub fn sleep(&mut self, duration: Duration) -> Result<(), Failed> {
        self.now = self.now.after(duration);
        self.tick()?;
        self.run(Duration::from_secs(120))
    }

    /// Ends a node's process.
    pub fn stop(&mut self, node: usize) -> Result<(), Failed> {
        self.hang_up_all(node)?;
        if let Some(node) = self.nodes.get_mut(node) {
            node.engine = None;
        }
        self.run(Duration::ZERO)
    }

    /// Starts a node's process again.
    pub fn start(&mut self, node: usize) -> Result<(), Failed> {
        let now = self.now;
        self.node(node)?.start(now)?;
        self.step_node(node, Input::Tick)?;
        self.run(Duration::from_secs(1))
    }

    /// Takes a node's network away.
    pub fn unplug(&mut self, node: usize) -> Result<(), Failed> {
        self.unplugged.insert(node);
        for link in self.hang_up_all(node)? {
            self.down(node, link)?;
        }
        self.run(Duration::ZERO)
    }

    /// Gives it back.
    pub fn plug(&mut self, node: usize) -> Result<(), Failed> {
        self.plug_for(node, Duration::from_secs(120))
    }

    /// Gives it back, and lets so much time pass.
    pub fn plug_for(&mut self, node: usize, duration: Duration) -> Result<(), Failed> {
        self.unplugged.remove(&node);
        self.run(duration)
    }

    /// What was told at a node since this was last asked.
    pub fn events(&mut self, node: usize) -> Vec<Event> {
        self.events.get_mut(node).map(std::mem::take).unwrap_or_default()
    }

    /// A node's disk.
    pub fn disk(&mut self, node: usize) -> Result<&mut MemoryStore, Failed> {
        Ok(&mut self.node(node)?.disk)
    }

    fn node(&mut self, node: usize) -> Result<&mut Node, Failed> {
        self.nodes.get_mut(node).ok_or_else(|| Failed::new("there is no such node"))
    }

    fn conn_of(&self, node: usize, link: LinkId) -> Option<ConnId> {
        self.conns.iter().filter(|(_, of)| **of == (node, link)).map(|(conn, _)| *conn).next_back()
    }

    /// A node's connection for what is of its mailbox.
    fn home(&self) -> LinkId {
        LinkId::home(self.relay.address().relay)
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let nodes = self.nodes.iter().filter_map(Node::wakes_at);
        nodes.chain(self.relay.machine.as_ref().and_then(Relay::next_tick)).min()
    }

    fn tick(&mut self) -> Result<(), Failed> {
        let now = self.now;
        for node in 0..self.nodes.len() {
            if self.nodes.get(node).and_then(Node::wakes_at).is_some_and(|at| at <= now) {
                self.step_node(node, Input::Tick)?;
            }
        }
        let relay = self.relay.machine.as_ref().and_then(Relay::next_tick);
        if relay.is_some_and(|at| at <= now) { self.step_relay(RelayInput::Tick) } else { Ok(()) }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Failed> {
        match happening {
            Happening::Dialled { node, link } => self.dialled(node, link),
            Happening::ToRelay { conn, frame } if self.conns.contains_key(&conn) => {
                match self.answer_instead(conn, &frame) {
                    Some(frame) => self.happen(Happening::ToNode { conn, frame }),
                    None => self.step_relay(RelayInput::Frame { conn, frame }),
                }
            }
            Happening::ToNode { conn, frame } => match (self.conns.get(&conn), &mut self.held) {
                (Some((node, link)), Some(held)) if *node == held.node && (held.all || !link.hidden) => {
                    held.frames.push((*link, frame));
                    Ok(())
                }
                (Some((node, link)), _) => self.step_node(*node, Input::Frame { link: *link, frame }),
                (None, _) => Ok(()),
            },
            Happening::Closed { conn } => match self.conns.remove(&conn) {
                Some((node, link)) => self.down(node, link),
                None => Ok(()),
            },
            Happening::ToRelay { .. } => Ok(()),
        }
    }

    fn dialled(&mut self, node: usize, link: LinkId) -> Result<(), Failed> {
        self.hang_up(node, link)?;
        if self.unplugged.contains(&node) {
            return self.down(node, link);
        }
        let Some(engine) = self.nodes.get(node).and_then(|node| node.engine.as_ref()) else { return Ok(()) };
        // A key that is drawn for this connection alone.
        let device = if link.hidden { DeviceId::random(&mut self.rng) } else { engine.me().device };
        self.count += 1;
        let conn = ConnId::new(self.count);
        self.conns.insert(conn, (node, link));
        self.step_relay(RelayInput::Connected { conn, device })?;
        self.step_node(node, Input::LinkUp { link })
    }

    /// All connections of a node end: which.
    fn hang_up_all(&mut self, node: usize) -> Result<BTreeSet<LinkId>, Failed> {
        let links: BTreeSet<LinkId> =
            self.conns.values().filter(|(of, _)| *of == node).map(|(_, link)| *link).collect();
        for link in &links {
            self.hang_up(node, *link)?;
        }
        Ok(links)
    }

    fn hang_up(&mut self, node: usize, link: LinkId) -> Result<(), Failed> {
        while let Some(conn) = self.conn_of(node, link) {
            self.conns.remove(&conn);
            self.step_relay(RelayInput::Disconnected { conn })?;
        }
        Ok(())
    }

    fn down(&mut self, node: usize, link: LinkId) -> Result<(), Failed> {
        let reason = DownReason("the connection ended".to_owned());
        self.step_node(node, Input::LinkDown { link, reason })
    }

    fn step_node(&mut self, index: usize, input: Input) -> Result<(), Failed> {
        let now = self.now;
        match self.node(index)?.step(vec![input], now, None)? {
            Stepped::Alive(out) => self.carry_out(index, out),
            Stepped::Died(_) => Ok(()),
        }
    }

    fn carry_out(&mut self, node: usize, out: Outputs) -> Result<(), Failed> {
        for output in out.net {
            match output {
                NetOutput::Connect { link, .. } => self.queue.push_back(Happening::Dialled { node, link }),
                NetOutput::Disconnect(link) => self.hang_up(node, link)?,
                NetOutput::Send { link, frame } => {
                    if let Some(conn) = self.conn_of(node, link) {
                        self.queue.push_back(Happening::ToRelay { conn, frame });
                    }
                }
            }
        }
        for notice in out.notices {
            match notice {
                Notice::Reply { result, .. } => self.replies.push(*result),
                Notice::Event(event) => {
                    if let Some(events) = self.events.get_mut(node) {
                        events.push(event);
                    }
                }
            }
        }
        Ok(())
    }

    fn step_relay(&mut self, input: RelayInput) -> Result<(), Failed> {
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            let out = self.relay.step(std::mem::take(&mut inputs), self.now, None)?;
            for output in out.unwrap_or_default() {
                match output {
                    RelayOutput::Send { conn, frame } => {
                        let bytes = u64::try_from(prost::Message::encoded_len(&frame)).unwrap_or(u64::MAX);
                        inputs.push(RelayInput::Sent { conn, bytes });
                        self.queue.push_back(Happening::ToNode { conn, frame });
                    }
                    // This world has one relay.
                    RelayOutput::Dial { relay, .. } => inputs.push(RelayInput::DialFailed { relay }),
                    RelayOutput::Find(_) => {}
                    RelayOutput::Close { conn } => self.queue.push_back(Happening::Closed { conn }),
                }
            }
        }
        Ok(())
    }
}
