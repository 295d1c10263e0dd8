//! How the world does what the machines want, and lets them die where the seed says so.

use undertone::LinkId;
use undertone::engine::{DownReason, Input, NetOutput, Notice, Outputs};
use undertone_protocol::ids::DeviceId;
use undertone_protocol::wire::{Frame, frame::Body};
use undertone_relay::core::{ConnId, Input as RelayInput, Output as RelayOutput, Relay};
use undertone_relay::store::Store;

use super::failed::{Check, Failed};
use super::faults;
use super::network::{Direction, Happening, delay};
use super::node::{Node, Stepped};
use super::relay::SimRelay;
use super::waiting;
use super::watch::{self, Around};
use super::world::{START, World};

impl World {
    pub(super) fn step_node(&mut self, index: usize, inputs: Vec<Input>) -> Result<(), Failed> {
        let crash = faults::crash(&mut self.rng, &self.faults);
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.engine.is_some()) else {
            return Ok(());
        };
        match node.step(inputs, self.now, crash)? {
            Stepped::Alive(out) => {
                self.watch(index, &out.notices, false)?;
                self.send_node(index, out)?;
                self.wake_node(index);
            }
            Stepped::Died(out) => {
                self.report.crashes += 1;
                self.trace.note(START, self.now, || Some(format!("node {index} dies, {crash:?}")));
                if let Some(out) = out {
                    self.send_node(index, out)?;
                }
                self.node_died(index);
                let again = self.now.after(delay(&mut self.rng) * 20);
                self.schedule.at(again, Happening::NodeStart { node: index });
            }
        }
        Ok(())
    }

    /// First the net, then the notices: as the contract says.
    fn send_node(&mut self, index: usize, out: Outputs) -> Result<(), Failed> {
        for output in out.net {
            match output {
                NetOutput::Connect { link, .. } => {
                    if let Some(relay) = self.relays.index(&link.relay) {
                        let at = self.now.after(delay(&mut self.rng));
                        self.schedule.at(at, Happening::Dialled { node: index, relay, link });
                    }
                }
                NetOutput::Disconnect(link) => {
                    if let Some(conn) = self.network.conn_of(index, &link) {
                        self.network.close(conn, self.now, &mut self.rng, &mut self.schedule);
                    }
                }
                NetOutput::Send { link, frame } => {
                    self.listener.hear(&link, &frame)?;
                    if let Some(conn) = self.network.conn_of(index, &link) {
                        self.carry(conn, Direction::ToRelay, frame);
                    }
                }
            }
        }
        self.told(index, out.notices)
    }

    /// A node's process is gone, with its connections.
    pub(super) fn node_died(&mut self, index: usize) {
        for conn in self.network.all_from(index, None) {
            self.network.died(conn, Direction::ToNode, self.now, &mut self.rng, &mut self.schedule);
        }
    }

    pub(super) fn reaches_node(&mut self, conn: ConnId, frame: Frame) -> Result<(), Failed> {
        let Some((node, link)) = self.network.node_of(conn) else { return Ok(()) };
        self.step_node(node, vec![Input::Frame { link, frame }])
    }

    fn watch(&mut self, index: usize, notices: &[Notice], started: bool) -> Result<(), Failed> {
        let hostile = self.hostile.and_then(|hostile| self.users.get(hostile)).map(|user| user.id);
        let vouched = self.lied.then_some(&self.lies.vouched);
        let vanishing = (self.has_group && self.faults.timer_s > 0).then_some(self.now);
        watch::after_step(&mut self.nodes, index, notices, started, Around { hostile, vouched, vanishing })
    }

    fn carry(&mut self, conn: ConnId, direction: Direction, frame: Frame) {
        self.network.carry(conn, direction, frame, self.now, &mut self.rng, &self.faults, &mut self.schedule);
    }

    /// Schedules the engine's next deadline, unless an earlier tick is on its way.
    fn wake_node(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        let Some(at) = node.wakes_at() else { return };
        let at = at.max(self.now);
        if node.tick_at.is_none_or(|pending| pending > at) {
            node.tick_at = Some(at);
            self.schedule.at(at, Happening::NodeTick { node: index });
        }
    }

    pub(super) fn node_tick(&mut self, index: usize) -> Result<(), Failed> {
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        // Later ticks that were scheduled before this one are stale.
        if node.tick_at.is_none_or(|at| at > self.now) {
            return Ok(());
        }
        node.tick_at = None;
        self.step_node(index, vec![Input::Tick])
    }

    pub(super) fn start_node(&mut self, index: usize) -> Result<(), Failed> {
        let here = |node: &&mut Node| !node.away && node.engine.is_none();
        let Some(node) = self.nodes.get_mut(index).filter(here) else { return Ok(()) };
        node.start(self.now)?;
        self.watch(index, &[], true)?;
        self.step_node(index, vec![Input::Tick])
    }

    pub(super) fn dialled(&mut self, index: usize, relay: usize, link: LinkId) -> Result<(), Failed> {
        let alive = self.nodes.get(index).filter(|node| node.engine.is_some());
        let Some(device) = alive.map(|node| node.device) else { return Ok(()) };
        if !self.relays.answers(index, relay, self.now) {
            let reason = DownReason("connection refused".to_owned());
            return self.step_node(index, vec![Input::LinkDown { link, reason }]);
        }
        if let Some(old) = self.network.conn_of(index, &link) {
            self.network.cut(old, self.now, &mut self.rng, &mut self.schedule);
        }
        let conn = self.network.connect(index, relay, link, self.now);
        // A key that is drawn for this connection alone.
        let device = if link.hidden { DeviceId::random(&mut self.relays.rng) } else { device };
        self.step_relay(relay, vec![RelayInput::Connected { conn, device }])?;
        if self.network.node_of(conn).is_some() {
            self.step_node(index, vec![Input::LinkUp { link }])?;
        }
        Ok(())
    }

    pub(super) fn node_sees_end(&mut self, conn: ConnId, index: usize, link: LinkId) -> Result<(), Failed> {
        // A newer connection is there already: what ended is no news.
        if self.network.conn_of(index, &link).is_some_and(|current| current != conn) {
            return Ok(());
        }
        let reason = DownReason("the connection ended".to_owned());
        self.step_node(index, vec![Input::LinkDown { link, reason }])
    }

    pub(super) fn step_relay(&mut self, index: usize, inputs: Vec<RelayInput>) -> Result<(), Failed> {
        let crash = faults::crash(&mut self.rng, &self.faults);
        let Some(relay) = self.relays.all.get_mut(index).filter(|relay| relay.machine.is_some()) else {
            return Ok(());
        };
        let out = relay.step(inputs, self.now, crash)?;
        self.send_relay(index, out.unwrap_or_default())?;
        if self.relays.all.get(index).is_some_and(|relay| relay.machine.is_none()) {
            self.report.crashes += 1;
            self.hang_up_all_of(index);
            let again = self.now.after(delay(&mut self.rng) * 20);
            self.schedule.at(again, Happening::RelayStart { relay: index });
        } else {
            self.wake_relay(index);
        }
        Ok(())
    }

    fn send_relay(&mut self, index: usize, out: Vec<RelayOutput>) -> Result<(), Failed> {
        let mut sent = Vec::new();
        for output in out {
            match output {
                RelayOutput::Send { conn, frame } => {
                    let bytes = u64::try_from(prost::Message::encoded_len(&frame)).unwrap_or(u64::MAX);
                    sent.push(RelayInput::Sent { conn, bytes });
                    self.relay_says(index, conn, frame);
                }
                RelayOutput::Dial { relay, .. } => self.relay_dials(index, relay),
                // Nobody looks for relays in this world.
                RelayOutput::Find(_) => {}
                RelayOutput::Close { conn } => {
                    self.network.close(conn, self.now, &mut self.rng, &mut self.schedule);
                    self.trunks.end(conn, self.now, &mut self.relays.rng, &mut self.schedule);
                }
            }
        }
        // The sockets of this world take everything at once.
        let lives = self.relays.all.get(index).is_some_and(|relay| relay.machine.is_some());
        if lives && !sent.is_empty() { self.step_relay(index, sent) } else { Ok(()) }
    }

    /// What a relay's machine sends goes out, if the relay behaves.
    fn relay_says(&mut self, index: usize, conn: ConnId, frame: Frame) {
        if let Some(relay) = self.relays.id(index) {
            self.lies.witness(&relay, &frame);
        }
        if let Some(other) = self.trunks.other(conn) {
            let (now, late) = self.lies.instead_of_forward(conn, frame, &self.faults);
            let (rng, schedule) = (&mut self.relays.rng, &mut self.schedule);
            for (after, frame) in late {
                schedule.at(self.now.after(after), Happening::ToRelay { conn: other, frame });
            }
            if let Some(frame) = now {
                self.trunks.carry(conn, frame, self.now, rng, &self.faults, schedule);
            }
            return;
        }
        self.report.forwarded += u64::from(matches!(frame.body, Some(Body::Forwarded(_))));
        let (now, late) = self.lies.instead(conn, frame, &self.faults);
        if let Some(frame) = now {
            self.carry(conn, Direction::ToNode, frame);
        }
        for (after, frame) in late {
            self.schedule.at(self.now.after(after), Happening::ToNode { conn, frame });
        }
    }

    fn wake_relay(&mut self, index: usize) {
        let Some(relay) = self.relays.all.get_mut(index) else { return };
        let Some(at) = relay.machine.as_ref().and_then(Relay::next_tick) else { return };
        let at = at.max(self.now);
        if relay.tick_at.is_none_or(|pending| pending > at) {
            relay.tick_at = Some(at);
            self.schedule.at(at, Happening::RelayTick { relay: index });
        }
    }

    pub(super) fn relay_tick(&mut self, index: usize) -> Result<(), Failed> {
        let Some(relay) = self.relays.all.get_mut(index) else { return Ok(()) };
        if relay.tick_at.is_none_or(|at| at > self.now) {
            return Ok(());
        }
        relay.tick_at = None;
        self.step_relay(index, vec![RelayInput::Tick])
    }

    /// What nodes believe to be in custody at the relays that have their disks is; what lost devices wait for, or should, is
    /// nobody's care.
    pub(super) fn custody_is_true(&mut self) -> Result<(), Failed> {
        let lost = self.lost()?;
        for relay in self.relays.all.iter().filter(|relay| !relay.is_lost && !relay.has_forgotten) {
            let held = (relay.address().relay, &relay.disk as &dyn Store);
            watch::custody_is_true(&mut self.nodes, &lost, &self.lies.spoilt, held, self.now)?;
        }
        self.what_waits_is_held(Check::Custody)
    }

    /// What relays said that they hold for others they do, until its device has taken what came of it. Those that lost their
    /// disks are asked at rest, when their devices should have noticed.
    pub(super) fn what_waits_is_held(&mut self, check: Check) -> Result<(), Failed> {
        let lost = self.lost()?;
        for relay in self.relays.all.iter().filter(|relay| !relay.is_lost) {
            if check == Check::Custody && relay.has_forgotten {
                continue;
            }
            let held = (relay.address().relay, &relay.disk as &dyn Store);
            let missing = waiting::in_vain(&mut self.nodes, &lost, held, self.now)?;
            if let Some(what) = missing {
                return Err(Failed::by(check, what));
            }
        }
        Ok(())
    }

    /// A relay starts that is not lost. Of several one may be up already.
    pub(super) fn start_relay(&mut self, index: usize) -> Result<(), Failed> {
        let several = self.relays.are_several();
        let is_down = |relay: &&mut SimRelay| !relay.is_lost && (relay.machine.is_none() || !several);
        let Some(relay) = self.relays.all.get_mut(index).filter(is_down) else { return Ok(()) };
        relay.start();
        self.custody_is_true()?;
        self.step_relay(index, vec![RelayInput::Tick])
    }
}
