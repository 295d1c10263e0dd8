//! Frames that came in: who answers which.

use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::limits::PROTOCOL_VERSION;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, GoodbyeCode, RefusalCode, frame::Body};

use super::outgoing::send;
use super::relay::Relay;
use super::types::Output;
use crate::admission::{self, Peer, Registering, TooFast};
use crate::answer::{Failed, Refused};
use crate::bundles;
use crate::conn::ConnId;
use crate::federation::Event;
use crate::store::owner::Owner;
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
        let (peer, greeted) = (connection.peer, connection.greeted);
        let flooded = connection.frames.take().is_err();
        self.metrics.frames_in += 1;
        if flooded {
            self.metrics.connections_overloaded += 1;
            self.close(conn, GoodbyeCode::Overloaded, "too many frames", out);
            return Ok(());
        }
        self.connections.heard(conn, now);
        if let Peer::Relay(relay) = peer {
            self.source.heard(&relay, now);
        }
        match frame.body {
            Some(Body::Hello(hello)) if !greeted => {
                let greeted = self.hello(conn, frame.request, &hello, now, tx, out)?;
                if let Peer::Device(device) = peer
                    && greeted
                {
                    self.federation(Event::Greeted { conn, owner: Owner::of(&device) }, now, tx, out)?;
                }
            }
            _ if !greeted => self.broken(conn, "the first frame must be a hello", out),
            Some(Body::Goodbye(_)) => {
                self.forget(conn);
                self.federation(Event::Gone { conn }, now, tx, out)?;
                out.push(Output::Close { conn });
            }
            Some(Body::Ping(ping)) => {
                send(conn, frame.request, Body::Pong(wire::Pong { nonce: ping.nonce }), out);
            }
            Some(Body::Pong(_)) => {}
            body => {
                let request = frame.request;
                let frame = wire::Frame { request, body };
                let answer = match peer {
                    Peer::Device(device) => self.request(conn, device, frame, now, tx, out),
                    Peer::Relay(relay) => self.relay_request(conn, relay, frame, now, tx, out),
                };
                self.answer(conn, request, answer, out)?;
            }
        }
        Ok(())
    }

    /// Whether the two agree on a version.
    fn hello<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        request: u64,
        hello: &wire::Hello,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<bool, StoreError> {
        if !(hello.version_min..=hello.version_max).contains(&PROTOCOL_VERSION) {
            self.metrics.connections_incompatible += 1;
            let text = format!("this relay speaks version {PROTOCOL_VERSION}");
            self.close(conn, GoodbyeCode::Version, &text, out);
            return Ok(false);
        }
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.greeted = true;
        }
        let record = self.with_source(now, out, |source, cx| source.own_record(cx, tx))?;
        let welcome = wire::Welcome { version: PROTOCOL_VERSION, now_ms: now.as_ms(), record };
        send(conn, request, Body::Welcome(welcome), out);
        Ok(true)
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
        answer: Result<Option<Body>, Failed>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match answer {
            Ok(Some(body)) => send(conn, request, body, out),
            Ok(None) => {}
            Err(Failed::Store(error)) => return Err(error),
            // Nothing was asked that could be refused, and the two sides no longer agree on the state.
            Err(Failed::Refused(refused)) if refused.fatal && request == 0 => {
                self.broken(conn, &refused.text, out);
            }
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

    /// `None`: nothing was asked, nothing is answered.
    fn request<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        device: DeviceId,
        frame: wire::Frame,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<Option<Body>, Failed> {
        let asked = frame.request != 0;
        let body = match frame.body {
            Some(Body::Publish(publish)) => Body::Published(self.publish(conn, publish, now, tx, out)?),
            Some(Body::Ack(ack)) => {
                self.ack(conn, &ack, now, tx)?;
                return Ok(asked.then_some(Body::Done(wire::Done {})));
            }
            Some(Body::Credit(credit)) => {
                self.credit(conn, &credit)?;
                return Ok(asked.then_some(Body::Done(wire::Done {})));
            }
            Some(Body::GetBundle(get)) => Body::Bundle(self.get_bundle(conn, &get, tx)?),
            Some(Body::Forward(forward)) => {
                self.forward(conn, device, frame.request, forward, now, tx, out)?;
                return Ok(None);
            }
            Some(Body::ForwardsTaken(taken)) => {
                self.forwards_taken(conn, device, &taken, now, tx, out)?;
                return Ok(asked.then_some(Body::Done(wire::Done {})));
            }
            Some(body) => self.owner_request(conn, device, body, now, tx, out)?,
            None => return Err(Refused::unknown_request().into()),
        };
        Ok(Some(body))
    }

    /// What another relay asks.
    fn relay_request<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        relay: RelayId,
        frame: wire::Frame,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<Option<Body>, Failed> {
        match frame.body {
            Some(Body::Carry(carry)) => {
                self.carry(conn, relay, &carry, now, tx, out)?;
                Ok(None)
            }
            Some(Body::RelayAt(at)) => {
                self.take_request(conn)?;
                self.with_source(now, out, |source, cx| source.relay_at(&relay, at.record, cx, tx))?;
                Ok(None)
            }
            Some(Body::GetRoutingKey(asked)) => {
                self.take_request(conn)?;
                if !self.is_own(&asked) {
                    return Err(Refused::malformed("a relay is asked for its own key only").into());
                }
                Ok(Some(Body::RoutingKey(self.own_routing_key(now, tx)?)))
            }
            _ => Err(Refused::unknown_request().into()),
        }
    }

    fn take_request(&mut self, conn: ConnId) -> Result<(), Refused> {
        let Some(connection) = self.connections.get_mut(conn) else { return Ok(()) };
        connection.requests.take().map_err(|wait| too_fast("requests_per_minute", wait))
    }

    /// What a device asks about its own mailboxes and bundles.
    fn owner_request<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        device: DeviceId,
        body: Body,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<Body, Failed> {
        self.take_request(conn)?;
        let done = Body::Done(wire::Done {});
        Ok(match body {
            Body::Register(asked) => self.register(device, &asked, now, tx)?,
            Body::Attach(asked) => Body::Attached(self.attach(conn, device, &asked, now, tx, out)?),
            Body::PutCheckpoint(asked) => {
                self.put_checkpoint(conn, asked, tx)?;
                done
            }
            Body::GetRoutingKey(asked) => Body::RoutingKey(self.routing_key(device, asked, now, tx, out)?),
            Body::FindRelay(asked) => Body::RelayAt(self.find_relay(device, &asked, now, tx, out)?),
            Body::PutBundle(asked) => {
                bundles::put_bundle(tx, &device, &asked, &self.limits, now)?;
                self.metrics.bundles_stored += u64::from(!asked.bundle.is_empty());
                done
            }
            Body::PutPrekeys(asked) => {
                Body::PrekeysLeft(bundles::put_prekeys(tx, &device, &asked, &self.limits, now)?)
            }
            Body::PutIntroduction(asked) => {
                admission::put_introduction(tx, &device, &asked, &self.limits, now)?;
                done
            }
            Body::RevokeToken(asked) => {
                admission::revoke(tx, &device, &asked, &self.limits)?;
                done
            }
            // What only a relay sends, and a second hello.
            _ => return Err(Refused::unknown_request().into()),
        })
    }

    fn register<S: Store + ?Sized>(
        &mut self,
        device: DeviceId,
        asked: &wire::Register,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
    ) -> Result<Body, Failed> {
        let (limits, registration, rate) = (&self.limits, self.registration, &self.registrations);
        let by = Registering { limits, registration, rate, key: &self.key, now };
        let (registered, new) = admission::register(tx, &device, asked, &by, &mut *self.rng)?;
        self.metrics.registrations += u64::from(new);
        Ok(Body::Registered(registered))
    }

    fn get_bundle<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        asked: &wire::GetBundle,
        tx: &mut Overlay<'_, S>,
    ) -> Result<wire::BundleAnswer, Failed> {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.fetches.take().map_err(|wait| too_fast("bundle_fetches_per_minute", wait))?;
        }
        let fetched = bundles::get_bundle(tx, asked)?;
        self.metrics.bundles_served += 1;
        match fetched.prekey {
            Some(_) => self.metrics.prekeys_served += 1,
            None => self.metrics.prekeys_missing += 1,
        }
        Ok(wire::BundleAnswer { bundle: fetched.bundle, prekey: fetched.prekey.unwrap_or_default() })
    }
}

/// A refusal of somebody who was too fast.
pub(super) fn too_fast(limit: &str, wait: TooFast) -> Refused {
    Refused::retry_after(limit, wait.retry_after_ms)
}
