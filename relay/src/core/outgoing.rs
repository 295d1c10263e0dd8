//! What goes out: frames, their accounting, and the end of a connection.

use prost::Message;
use undertone_protocol::wire::{self, GoodbyeCode, frame::Body};

use super::relay::Relay;
use super::types::Output;
use crate::conn::ConnId;

/// A frame for one connection.
pub(super) fn send(conn: ConnId, request: u64, body: Body, out: &mut Vec<Output>) {
    out.push(Output::Send { conn, frame: wire::Frame { request, body: Some(body) } });
}

/// The last frame for a connection, and its end.
pub(super) fn goodbye(conn: ConnId, code: GoodbyeCode, text: &str, out: &mut Vec<Output>) {
    let body = Body::Goodbye(wire::Goodbye { code: code.into(), text: text.to_owned() });
    send(conn, 0, body, out);
    out.push(Output::Close { conn });
}

impl Relay {
    /// Ends a live connection.
    pub(super) fn close(&mut self, conn: ConnId, code: GoodbyeCode, text: &str, out: &mut Vec<Output>) {
        goodbye(conn, code, text, out);
        self.forget(conn);
    }

    /// Forgets a connection, if it is live.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.sessions.detach(conn);
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
            let Some(connection) = self.connections.get_mut(*conn) else { continue };
            connection.backlog_bytes = connection
                .backlog_bytes
                .saturating_add(u64::try_from(frame.encoded_len()).unwrap_or(u64::MAX));
            if connection.backlog_bytes > self.limits.backlog_bytes_max {
                behind.push(*conn);
            }
        }
        for conn in behind {
            if self.connections.get_mut(conn).is_some() {
                self.metrics.connections_overloaded += 1;
                self.metrics.frames_out += 1;
                self.close(conn, GoodbyeCode::Overloaded, "the connection does not read", out);
            }
        }
    }
}
