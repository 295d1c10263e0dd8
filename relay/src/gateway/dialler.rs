//! Connects to other relays: each attempt in a task of its own, beside those of the listener.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::RELAY_ADDRESSES_MAX;
use undertone_protocol::wire::Frame;
use undertone_transport::{Address, DialOptions, FrameSender, Identity, Protocol, QueueLimits, Roots, dial};

use crate::core::ConnId;

/// Events of all connections to other relays that wait to be handled; while they do, none is read.
const EVENTS_MAX: usize = 64;
/// What may wait to be sent to one of them: more than what may be on its way.
const QUEUE: QueueLimits = QueueLimits { frames_max: 4_096, bytes_max: 8 * 1024 * 1024 };
/// Numbers of the listener's connections begin at 0, those of these here.
const FIRST_CONN: u64 = 1 << 63;

/// What happens on connections to other relays.
pub(crate) enum DialEvent {
    Up { relay: RelayId, conn: ConnId, sender: FrameSender },
    Failed { relay: RelayId },
    Frame { conn: ConnId, frame: Frame },
    Down { conn: ConnId },
}

/// Makes connections to other relays.
pub(crate) struct Dialler {
    runtime: Handle,
    identity: Identity,
    handshake: Duration,
    events: mpsc::Sender<DialEvent>,
    next: u64,
}

impl Dialler {
    /// Its tasks run on `runtime`; what happens comes out at the receiver.
    pub(crate) fn new(
        runtime: Handle,
        identity: Identity,
        handshake: Duration,
    ) -> (Self, mpsc::Receiver<DialEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        (Self { runtime, identity, handshake, events, next: FIRST_CONN }, receiver)
    }

    /// Connects to a relay, or says that it did not.
    pub(super) fn dial(&mut self, relay: RelayId, addresses: &[String]) {
        let conn = ConnId::new(self.next);
        self.next = self.next.saturating_add(1);
        // What can't be dialled is left out; clients name what they like.
        let addresses: Vec<Address> =
            addresses.iter().filter_map(|text| text.parse().ok()).take(RELAY_ADDRESSES_MAX).collect();
        let options = DialOptions {
            protocol: Protocol::Federation,
            handshake: self.handshake,
            queue: QUEUE,
            roots: Roots::default(),
            ..DialOptions::default()
        };
        let (identity, events) = (self.identity.clone(), self.events.clone());
        self.runtime.spawn(async move {
            // An error of the channel says that the relay ends.
            let _ = link(&identity, relay, &addresses, options, conn, &events).await;
        });
    }
}

async fn link(
    identity: &Identity,
    relay: RelayId,
    addresses: &[Address],
    options: DialOptions,
    conn: ConnId,
    events: &mpsc::Sender<DialEvent>,
) -> Result<(), mpsc::error::SendError<DialEvent>> {
    let (sender, mut receiver) = match dial(identity, relay, addresses, options).await {
        Ok(link) => link,
        Err(error) => {
            tracing::info!(relay = relay.short(), %error, "another relay can't be reached");
            return events.send(DialEvent::Failed { relay }).await;
        }
    };
    events.send(DialEvent::Up { relay, conn, sender }).await?;
    loop {
        match receiver.next().await {
            Ok(frame) => events.send(DialEvent::Frame { conn, frame }).await?,
            Err(reason) => {
                tracing::debug!(relay = relay.short(), %reason, "disconnected from another relay");
                return events.send(DialEvent::Down { conn }).await;
            }
        }
    }
}
