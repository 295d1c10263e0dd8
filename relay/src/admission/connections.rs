use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::time::Timestamp;

use super::rates::{Rate, RateClock};
use crate::conn::ConnId;
use crate::limits::Limits;

/// Whom Noise proved at the other end, and what it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Device(DeviceId),
    Relay(RelayId),
}

/// What the relay knows of a live connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    /// Whether the hello came.
    pub(crate) greeted: bool,
    backlog_bytes: u64,
    pub(crate) frames: Rate,
    pub(crate) publishes: Rate,
    pub(crate) requests: Rate,
    pub(crate) fetches: Rate,
    pub(crate) forwards: Rate,
    /// What it says of answers that it has: as many as there may be forwards.
    pub(crate) taken: Rate,
    last_heard: Timestamp,
    /// Where it stands in the deadlines; moved only when it comes due.
    deadline: Timestamp,
}

impl Connection {
    /// Bytes put out and not yet taken by the socket.
    pub(crate) fn backlog_bytes(&self) -> u64 {
        self.backlog_bytes
    }
}

/// The live connections, and when each counts as silent.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    live: BTreeMap<ConnId, Connection>,
    /// One for each connection.
    deadlines: BTreeSet<(Timestamp, ConnId)>,
    /// The sum of all backlogs.
    backlog_bytes: u64,
}

impl Connections {
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// `None` when the connection is not live (any more).
    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.live.get_mut(&conn)
    }

    /// A connection is up; false if it was already known.
    pub(crate) fn add(
        &mut self,
        conn: ConnId,
        peer: Peer,
        limits: &Limits,
        clock: &RateClock,
        now: Timestamp,
    ) -> bool {
        if self.live.contains_key(&conn) {
            return false;
        }
        let connection = Connection {
            peer,
            greeted: false,
            backlog_bytes: 0,
            frames: Rate::per_minute(clock, limits.frames_per_minute),
            publishes: Rate::per_minute(clock, limits.publishes_per_minute),
            requests: Rate::per_minute(clock, limits.requests_per_minute),
            fetches: Rate::per_minute(clock, limits.bundle_fetches_per_minute),
            forwards: Rate::per_minute(clock, limits.forwards_per_minute),
            taken: Rate::per_minute(clock, limits.forwards_per_minute),
            last_heard: now,
            deadline: silent_at(now, limits),
        };
        self.deadlines.insert((connection.deadline, conn));
        self.live.insert(conn, connection);
        true
    }

    /// Frames were put out for a connection. Its backlog, in bytes; `None` when it is not live.
    pub(crate) fn put_out(&mut self, conn: ConnId, bytes: u64) -> Option<u64> {
        let connection = self.live.get_mut(&conn)?;
        connection.backlog_bytes = connection.backlog_bytes.saturating_add(bytes);
        self.backlog_bytes = self.backlog_bytes.saturating_add(bytes);
        Some(connection.backlog_bytes)
    }

    /// The socket of a connection took frames.
    pub(crate) fn taken(&mut self, conn: ConnId, bytes: u64) {
        if let Some(connection) = self.live.get_mut(&conn) {
            let bytes = bytes.min(connection.backlog_bytes);
            connection.backlog_bytes -= bytes;
            self.backlog_bytes = self.backlog_bytes.saturating_sub(bytes);
        }
    }

    /// The sum of all backlogs, in bytes.
    pub(crate) fn backlog_bytes(&self) -> u64 {
        self.backlog_bytes
    }

    /// The connection with the largest backlog. Looks at all of them: for when there is too much.
    pub(crate) fn furthest_behind(&self) -> Option<ConnId> {
        let furthest = self.live.iter().max_by_key(|(_, connection)| connection.backlog_bytes);
        furthest.map(|(conn, _)| *conn)
    }

    /// Something came from the connection.
    pub(crate) fn heard(&mut self, conn: ConnId, now: Timestamp) {
        if let Some(connection) = self.live.get_mut(&conn) {
            connection.last_heard = now;
        }
    }

    /// Forgets a connection; false if it was not live.
    pub(crate) fn remove(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.live.remove(&conn) else { return false };
        self.deadlines.remove(&(connection.deadline, conn));
        self.backlog_bytes = self.backlog_bytes.saturating_sub(connection.backlog_bytes);
        true
    }

    /// The connections that have been silent for too long; the caller removes them.
    pub(crate) fn silent(&mut self, limits: &Limits, now: Timestamp) -> Vec<ConnId> {
        let due: Vec<ConnId> =
            self.deadlines.range(..=(now, ConnId::new(u64::MAX))).map(|(_, conn)| *conn).collect();
        let mut silent = Vec::new();
        for conn in due {
            let Some(connection) = self.live.get_mut(&conn) else { continue };
            let deadline = silent_at(connection.last_heard, limits);
            if deadline <= now {
                silent.push(conn);
            } else {
                self.deadlines.remove(&(connection.deadline, conn));
                connection.deadline = deadline;
                self.deadlines.insert((deadline, conn));
            }
        }
        silent
    }

    /// The clock was set back by so much: whoever is silent from now on is found after the usual time.
    pub(crate) fn set_back(&mut self, by: Duration) {
        for connection in self.live.values_mut() {
            connection.last_heard = connection.last_heard.before(by);
            connection.deadline = connection.deadline.before(by);
        }
        self.deadlines = self.live.iter().map(|(conn, connection)| (connection.deadline, *conn)).collect();
    }

    /// When [`Self::silent`] may next find one.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }
}

fn silent_at(heard: Timestamp, limits: &Limits) -> Timestamp {
    heard.after(Duration::from_millis(limits.silence_ms_max))
}
