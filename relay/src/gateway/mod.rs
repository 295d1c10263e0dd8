//! Holds the connections: events of the transport become inputs of the machine, outputs of the machine
//! become frames in the queues of the transport. Nothing is parsed beyond the frame.

mod dialler;

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use undertone_protocol::ids::RelayId;
use undertone_protocol::wire::{self, Frame, GoodbyeCode, frame::Body};
use undertone_transport::{Find, FrameSender, LinkId, Protocol, SendError, ServerEvent, Weight};

pub(crate) use dialler::{DialEvent, Dialler};

use crate::core::{ConnId, Finding, Input, Output};

/// The sending ends of all live connections.
pub(crate) struct Gateway {
    links: BTreeMap<ConnId, FrameSender>,
    dialler: Dialler,
    finder: Option<mpsc::Sender<Find>>,
    slow_closed: u64,
    stopping: bool,
}

impl Gateway {
    pub(crate) fn new(dialler: Dialler, finder: Option<mpsc::Sender<Find>>) -> Self {
        Self { links: BTreeMap::new(), dialler, finder, slow_closed: 0, stopping: false }
    }

    /// What the machine is to be told; the weight is held until its input is handled.
    pub(crate) fn input(&mut self, event: ServerEvent) -> (Input, Option<Weight>) {
        match event {
            ServerEvent::Connected { link, device, protocol, sender } => {
                let conn = conn_of(link);
                self.keep(conn, sender);
                let relay = RelayId::new(*device.as_bytes());
                match protocol {
                    Protocol::Device => (Input::Connected { conn, device }, None),
                    Protocol::Federation => (Input::RelayConnected { conn, relay }, None),
                }
            }
            ServerEvent::Frame { link, frame, weight } => {
                (Input::Frame { conn: conn_of(link), frame }, Some(weight))
            }
            ServerEvent::Found { record } => (Input::Found { record }, None),
            ServerEvent::Sent { link, bytes } => (Input::Sent { conn: conn_of(link), bytes }, None),
            ServerEvent::Disconnected { link, reason } => {
                tracing::debug!(link = link.0, %reason, "disconnected");
                let conn = conn_of(link);
                self.links.remove(&conn);
                (Input::Disconnected { conn }, None)
            }
        }
    }

    /// What the machine is to be told of connections to other relays; the weight is as for [`Self::input`].
    pub(crate) fn dialled(&mut self, event: DialEvent) -> (Input, Option<Weight>) {
        match event {
            DialEvent::Up { relay, conn, sender } => {
                self.keep(conn, sender);
                (Input::Dialled { relay, conn }, None)
            }
            DialEvent::Failed { relay } => (Input::DialFailed { relay }, None),
            DialEvent::Frame { conn, frame, weight } => (Input::Frame { conn, frame }, Some(weight)),
            DialEvent::Down { conn } => {
                self.links.remove(&conn);
                (Input::Disconnected { conn }, None)
            }
        }
    }

    fn keep(&mut self, conn: ConnId, sender: FrameSender) {
        if self.stopping {
            say_goodbye(&sender);
        } else {
            self.links.insert(conn, sender);
        }
    }

    /// Hands outputs to the connections, without waiting for any of them.
    pub(crate) fn release(&mut self, outputs: impl IntoIterator<Item = Output>) {
        for output in outputs {
            match output {
                Output::Send { conn, frame } => self.send(conn, frame),
                // Dropping the sender flushes and closes.
                Output::Close { conn } => drop(self.links.remove(&conn)),
                Output::Dial { relay, addresses } if !self.stopping => {
                    self.dialler.dial(relay, &addresses);
                }
                Output::Dial { .. } => {}
                Output::Find(finding) => self.find(finding),
            }
        }
    }

    fn find(&self, finding: Finding) {
        let find = match finding {
            Finding::Known { relay, addresses } => Find::Known { relay, addresses },
            Finding::Announced { record } => Find::Announced { record },
            Finding::Sought { relay, for_device } => Find::Sought { relay, for_device },
        };
        if let Some(finder) = &self.finder {
            // What does not fit in is no loss: a relay is looked for again, and heard of again.
            let _ = finder.try_send(find);
        }
    }

    fn send(&mut self, conn: ConnId, frame: Frame) {
        let Some(sender) = self.links.get(&conn) else { return };
        match sender.try_send(frame) {
            // A closed one tells by itself that it is over.
            Ok(()) | Err(SendError::Closed) => {}
            Err(SendError::Full) => {
                sender.abort();
                self.links.remove(&conn);
                self.slow_closed += 1;
            }
            Err(error @ SendError::TooLarge(_)) => {
                tracing::error!(conn = conn.get(), %error, "a frame could not be sent");
                self.links.remove(&conn);
            }
        }
    }

    /// Says goodbye to everybody, now and from now on.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        for (_, sender) in std::mem::take(&mut self.links) {
            say_goodbye(&sender);
        }
    }

    /// Connections closed because they did not read what was sent to them.
    pub(crate) fn slow_closed(&self) -> u64 {
        self.slow_closed
    }
}

fn say_goodbye(sender: &FrameSender) {
    let goodbye = wire::Goodbye {
        code: GoodbyeCode::ShuttingDown.into(),
        text: "the relay stops; it may be back soon".to_owned(),
    };
    // Whoever does not get it sees the connection end.
    let _ = sender.try_send(Frame { request: 0, body: Some(Body::Goodbye(goodbye)) });
    sender.close();
}

fn conn_of(link: LinkId) -> ConnId {
    ConnId::new(link.0)
}
