//! What goes out: frames, and the end of a connection.

use undertone_protocol::wire::{self, GoodbyeCode, frame::Body};

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
