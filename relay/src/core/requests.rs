//! Frames that came in: who answers which.

use undertone_protocol::limits::PROTOCOL_VERSION;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, GoodbyeCode, RefusalCode, frame::Body};

use super::outgoing::send;
use super::relay::Relay;
use super::types::Output;
use crate::answer::{Failed, Refused};
use crate::conn::ConnId;
use crate::store::{Overlay, Store, StoreError};

impl Relay {
    pub(super) fn frame<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        frame: wire::Frame,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(connection) = self.connections.get_mut(conn) else { return Ok(()) };
        let (greeted, flooded) = (connection.greeted, connection.frames.take().is_err());
        self.metrics.frames_in += 1;
        if flooded {
            self.metrics.connections_overloaded += 1;
            self.close(conn, GoodbyeCode::Overloaded, "too many frames", out);
            return Ok(());
        }
        self.connections.heard(conn, now);
        match frame.body {
            Some(Body::Hello(hello)) if !greeted => self.hello(conn, frame.request, &hello, now, out),
            _ if !greeted => self.broken(conn, "the first frame must be a hello", out),
            Some(Body::Goodbye(_)) => {
                self.forget(conn);
                out.push(Output::Close { conn });
            }
            Some(Body::Ping(ping)) => {
                send(conn, frame.request, Body::Pong(wire::Pong { nonce: ping.nonce }), out);
            }
            Some(Body::Pong(_)) => {}
            body => {
                let answer = self.request(conn, body, now, tx);
                self.answer(conn, frame.request, answer, out)?;
            }
        }
        Ok(())
    }

    fn hello(
        &mut self,
        conn: ConnId,
        request: u64,
        hello: &wire::Hello,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if !(hello.version_min..=hello.version_max).contains(&PROTOCOL_VERSION) {
            let text = format!("this relay speaks version {PROTOCOL_VERSION}");
            return self.close(conn, GoodbyeCode::Version, &text, out);
        }
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.greeted = true;
        }
        let welcome = wire::Welcome { version: PROTOCOL_VERSION, now_ms: now.as_ms() };
        send(conn, request, Body::Welcome(welcome), out);
    }

    /// Ends a connection whose client breaks the format where no request can be refused.
    fn broken(&mut self, conn: ConnId, text: &str, out: &mut Vec<Output>) {
        self.metrics.connections_malformed += 1;
        self.close(conn, GoodbyeCode::Malformed, text, out);
    }

    fn answer(
        &mut self,
        conn: ConnId,
        request: u64,
        answer: Result<Body, Failed>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match answer {
            Ok(body) => send(conn, request, body, out),
            Err(Failed::Store(error)) => return Err(error),
            Err(Failed::Refused(refused)) => {
                self.metrics.refusals += 1;
                if refused.code == RefusalCode::RetryAfter {
                    self.metrics.rate_limited += 1;
                }
                send(conn, request, Body::Refusal(refused.to_wire()), out);
            }
        }
        Ok(())
    }

    fn request<S: Store + ?Sized>(
        &mut self,
        _conn: ConnId,
        _body: Option<Body>,
        _now: Timestamp,
        _tx: &mut Overlay<'_, S>,
    ) -> Result<Body, Failed> {
        Err(Refused::malformed("this relay does not know such a request").into())
    }
}
