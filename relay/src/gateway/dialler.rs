//! Connects to other relays: each attempt in a task of its own, beside those of the listener.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::RELAY_ADDRESSES_MAX;
use undertone_protocol::wire::Frame;
use undertone_transport::{
    Address, Budget, DialOptions, FrameSender, Identity, Protocol, QueueLimits, Roots, Weight, dial,
};

use crate::core::ConnId;

/// Events of all connections to other relays that wait to be handled; while they do, none is read.
const EVENTS_MAX: usize = 64;
/// Bytes of the frames of all these connections that wait to be handled, beside the one that each is reading.
const INBOX_BYTES: usize = 8 * 1024 * 1024;
/// What may wait to be sent to one of them: more than the machine has on its way at one time.
const QUEUE: QueueLimits = QueueLimits { frames_max: 4_096, bytes_max: 3 * 1024 * 1024 };
/// The longest that a handshake may take, whatever devices are given: the machine waits no longer for a connection.
const HANDSHAKE_MAX: Duration = Duration::from_secs(40);
/// Numbers of the listener's connections begin at 0, those of these here.
const FIRST_CONN: u64 = 1 << 63;

/// What happens on connections to other relays.
pub(crate) enum DialEvent {
    Up {
        relay: RelayId,
        conn: ConnId,
        sender: FrameSender,
    },
    Failed {
        relay: RelayId,
    },
    /// The weight is to be held until the frame is handled.
    Frame {
        conn: ConnId,
        frame: Frame,
        weight: Weight,
    },
    Down {
        conn: ConnId,
    },
}

/// Makes connections to other relays.
pub(crate) struct Dialler {
    runtime: Handle,
    identity: Identity,
    handshake: Duration,
    events: mpsc::Sender<DialEvent>,
    inbox: Budget,
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
        let (handshake, inbox) = (handshake.min(HANDSHAKE_MAX), Budget::new(INBOX_BYTES));
        (Self { runtime, identity, handshake, events, inbox, next: FIRST_CONN }, receiver)
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
            inbox: self.inbox.clone(),
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
        match receiver.next_weighed().await {
            Ok((frame, weight)) => events.send(DialEvent::Frame { conn, frame, weight }).await?,
            Err(reason) => {
                tracing::debug!(relay = relay.short(), %reason, "disconnected from another relay");
                return events.send(DialEvent::Down { conn }).await;
            }
        }
    }
}
