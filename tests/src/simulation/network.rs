use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::LinkId;
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::Frame;
use undertone_relay::core::ConnId;

use super::faults::{Faults, happens};

/// Something that happens at some moment.
#[derive(Debug)]
pub(super) enum Happening {
    /// A dialled connection is there, or is refused when the relay is down.
    Dialled { node: usize, relay: usize, link: LinkId },
    /// A frame reaches its relay.
    ToRelay { conn: ConnId, frame: Frame },
    /// A frame reaches a node.
    ToNode { conn: ConnId, frame: Frame },
    /// A connection that was closed in order ends.
    Closed { conn: ConnId },
    /// An end of a connection learns that it is gone.
    NodeSeesEnd { conn: ConnId, node: usize, link: LinkId },
    /// A relay's call to another one is there, or is refused.
    RelayDialled { from: usize, to: RelayId },
    /// The other end of a connection between relays is gone.
    TrunkEnds { conn: ConnId },
    /// A relay learns that a connection is gone.
    RelaySeesEnd { conn: ConnId, relay: usize },
    /// A node's machine wanted to be woken.
    NodeTick { node: usize },
    /// A relay's machine wanted to be woken.
    RelayTick { relay: usize },
    /// A dead node starts again.
    NodeStart { node: usize },
    /// A dead relay starts again.
    RelayStart { relay: usize },
    /// Something happens to one of several relays.
    RelayTrouble,
    /// A user does something.
    User { user: usize },
    /// A node's clock jumps ahead.
    ClockJumps { node: usize },
    /// It is set right.
    ClockIsSet { node: usize },
}

/// What will happen, in order of time; ties in order of scheduling.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    queue: BTreeMap<(Timestamp, u64), Happening>,
    count: u64,
}

impl Schedule {
    pub(super) fn at(&mut self, when: Timestamp, happening: Happening) {
        self.count += 1;
        self.queue.insert((when, self.count), happening);
    }

    pub(super) fn next(&mut self) -> Option<(Timestamp, Happening)> {
        self.queue.pop_first().map(|((when, _), happening)| (when, happening))
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|((when, _), _)| *when)
    }
}

/// The wires: which connections there are, and when what was said last in each direction arrives.
#[derive(Debug, Default)]
pub(super) struct Network {
    conns: BTreeMap<ConnId, Wire>,
    count: u64,
    /// What happened on the wires.
    pub(super) dropped: u64,
    pub(super) doubled: u64,
    pub(super) reordered: u64,
}

#[derive(Debug)]
struct Wire {
    node: usize,
    relay: usize,
    /// Which of the node's connections to the relay it is.
    link: LinkId,
    to_relay: Timestamp,
    to_node: Timestamp,
    /// Whether the process at this end lives. What a dead one had written still arrives at the other.
    node_lives: bool,
    relay_lives: bool,
}

/// A direction on a connection, or the end that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToRelay,
    ToNode,
}

impl Network {
    /// A number that no connection has yet.
    pub(super) fn number(&mut self) -> ConnId {
        self.count += 1;
        ConnId::new(self.count)
    }

    pub(super) fn connect(&mut self, node: usize, relay: usize, link: LinkId, now: Timestamp) -> ConnId {
        let conn = self.number();
        let wire =
            Wire { node, relay, link, to_relay: now, to_node: now, node_lives: true, relay_lives: true };
        self.conns.insert(conn, wire);
        conn
    }

    /// The node at one end, if its process lives, and which of its connections it is.
    pub(super) fn node_of(&self, conn: ConnId) -> Option<(usize, LinkId)> {
        self.conns.get(&conn).filter(|wire| wire.node_lives).map(|wire| (wire.node, wire.link))
    }

    /// The relay at the other end, if its process lives.
    pub(super) fn relay_of(&self, conn: ConnId) -> Option<usize> {
        self.conns.get(&conn).filter(|wire| wire.relay_lives).map(|wire| wire.relay)
    }

    /// All connections to a relay.
    pub(super) fn all_of(&self, relay: usize) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, wire)| wire.relay == relay).map(|(conn, _)| *conn).collect()
    }

    pub(super) fn conn_of(&self, node: usize, link: &LinkId) -> Option<ConnId> {
        let is_it = |wire: &Wire| wire.node == node && wire.link == *link && wire.node_lives;
        let of_node = self.conns.iter().filter(|(_, wire)| is_it(wire));
        of_node.map(|(conn, _)| *conn).next_back()
    }

    /// All connections of a node whose process lives; to one relay only, if that is given.
    pub(super) fn all_from(&self, node: usize, relay: Option<usize>) -> Vec<ConnId> {
        let is_one = |wire: &Wire| {
            wire.node == node && wire.node_lives && relay.is_none_or(|relay| relay == wire.relay)
        };
        self.conns.iter().filter(|(_, wire)| is_one(wire)).map(|(conn, _)| *conn).collect()
    }

    /// The process at one end died: the connection ends once what it wrote has arrived.
    pub(super) fn died(
        &mut self,
        conn: ConnId,
        end: Direction,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
        schedule: &mut Schedule,
    ) {
        if let Some(wire) = self.conns.get_mut(&conn) {
            match end {
                Direction::ToNode => wire.node_lives = false,
                Direction::ToRelay => wire.relay_lives = false,
            }
        }
        self.close(conn, now, rng, schedule);
    }

    pub(super) fn all(&self) -> Vec<ConnId> {
        self.conns.keys().copied().collect()
    }

    /// Breaks a connection: what is on its way is lost. Both ends learn of it later, each on its own.
    pub(super) fn cut(
        &mut self,
        conn: ConnId,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
        schedule: &mut Schedule,
    ) {
        if let Some(wire) = self.conns.remove(&conn) {
            let Wire { node, relay, link, .. } = wire;
            schedule.at(now.after(delay(rng)), Happening::NodeSeesEnd { conn, node, link });
            schedule.at(now.after(delay(rng)), Happening::RelaySeesEnd { conn, relay });
        }
    }

    /// Closes a connection in order: what is on its way arrives first.
    pub(super) fn close(
        &mut self,
        conn: ConnId,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
        schedule: &mut Schedule,
    ) {
        if let Some(wire) = self.conns.get(&conn) {
            let last = wire.to_relay.max(wire.to_node).max(now);
            schedule.at(last.after(delay(rng)), Happening::Closed { conn });
        }
    }

    /// Carries a frame, or loses it with its connection, or carries it twice, or lets it overtake.
    #[expect(clippy::too_many_arguments, reason = "the parts of the world are borrowed apart")]
    pub(super) fn carry(
        &mut self,
        conn: ConnId,
        direction: Direction,
        frame: Frame,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
        faults: &Faults,
        schedule: &mut Schedule,
    ) {
        if happens(rng, faults.drop) {
            self.dropped += 1;
            self.cut(conn, now, rng, schedule);
            return;
        }
        let Some(wire) = self.conns.get_mut(&conn) else { return };
        let last = match direction {
            Direction::ToRelay => &mut wire.to_relay,
            Direction::ToNode => &mut wire.to_node,
        };
        let mut when = now.after(delay(rng));
        if happens(rng, faults.reorder) {
            self.reordered += u64::from(when < *last);
        } else {
            when = when.max(*last);
            *last = when;
        }
        if happens(rng, faults.duplicate) {
            self.doubled += 1;
            schedule.at(when.after(delay(rng)), arrival(conn, direction, frame.clone()));
        }
        schedule.at(when, arrival(conn, direction, frame));
    }
}

fn arrival(conn: ConnId, direction: Direction, frame: Frame) -> Happening {
    match direction {
        Direction::ToRelay => Happening::ToRelay { conn, frame },
        Direction::ToNode => Happening::ToNode { conn, frame },
    }
}

/// Mostly tens of milliseconds, sometimes seconds.
pub(super) fn delay(rng: &mut ChaCha20Rng) -> Duration {
    let slow = rng.next_u32().is_multiple_of(50);
    let ms = rng.next_u64() % if slow { 3_000 } else { 80 };
    Duration::from_millis(1 + ms)
}
