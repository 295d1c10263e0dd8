//! The end of connections, and of those that don't read.

use prost::Message;
use undertone_protocol::wire::GoodbyeCode;

use super::outgoing::goodbye;
use super::relay::Relay;
use super::types::Output;
use crate::conn::ConnId;

impl Relay {
    /// Ends a live connection.
    pub(super) fn close(&mut self, conn: ConnId, code: GoodbyeCode, text: &str, out: &mut Vec<Output>) {
        goodbye(conn, code, text, out);
        self.forget(conn);
    }

    /// Forgets a connection, if it is live.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.sessions.detach(conn);
        self.source.left(conn);
        if self.connections.remove(conn) {
            self.metrics.connections_closed += 1;
        }
    }

    /// Adds what was put out since `before` to the backlogs, and ends connections that don't read.
    pub(super) fn account(&mut self, before: usize, out: &mut Vec<Output>) {
        let mut behind = Vec::new();
        for output in out.iter().skip(before) {
            let Output::Send { conn, frame } = output else { continue };
            self.metrics.frames_out += 1;
            let bytes = u64::try_from(frame.encoded_len()).unwrap_or(u64::MAX);
            let backlog = self.connections.put_out(*conn, bytes);
            if backlog.is_some_and(|backlog| backlog > self.limits.backlog_bytes_max) {
                behind.push(*conn);
            }
        }
        for conn in behind {
            self.close_behind(conn, out);
        }
        // Each alone may be within its bound, and all of them together more than the machine has.
        while self.connections.backlog_bytes() > self.limits.backlog_total_bytes_max
            && let Some(conn) = self.connections.furthest_behind()
        {
            self.close_behind(conn, out);
        }
    }

    fn close_behind(&mut self, conn: ConnId, out: &mut Vec<Output>) {
        if self.connections.get_mut(conn).is_some() {
            self.metrics.connections_overloaded += 1;
            self.metrics.frames_out += 1;
            self.close(conn, GoodbyeCode::Overloaded, "the connection does not read", out);
        }
    }
}
