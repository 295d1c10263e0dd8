use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rand_chacha::ChaCha20Rng;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use undertone_protocol::ids::{RelayId, Secret};
use undertone_protocol::limits::HOME_RELAYS_MAX;
use undertone_protocol::wire::Frame;
use undertone_transport::{
    Address, CloseReason, DialError, DialOptions, FrameSender, Identity, LinkReceiver, SendError, dial,
};

use crate::LinkId;

/// What the network may hold.
#[derive(Debug, Clone)]
pub struct NetLimits {
    /// Links that are up or being dialled.
    pub links_max: usize,
    /// Commands that wait to be carried out.
    pub commands_max: usize,
    /// Events that wait to be taken; while they do, no link is read.
    pub events_max: usize,
    /// How each link is opened and what it may hold.
    pub dial: DialOptions,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            links_max: 8 * HOME_RELAYS_MAX,
            commands_max: 256,
            events_max: 64,
            dial: DialOptions::default(),
        }
    }
}

/// What the network is told to do.
#[derive(Debug)]
pub enum NetCommand {
    /// Dial a relay, under this device's own key or one that is drawn for the link. Answered by one `Up` or one `Down`; nothing happens if it is up or being dialled.
    Connect {
        /// Which.
        link: LinkId,
        /// Where it may be.
        addresses: Vec<Address>,
    },
    /// Send a frame. If the link can't take it, the link goes down; without a link it is lost, and a `Down` was sent.
    Send {
        /// On which.
        link: LinkId,
        /// The frame.
        frame: Frame,
    },
    /// End a link, after what was sent; or stop dialling. Answered by a `Down`, if there was anything.
    Disconnect {
        /// Which.
        link: LinkId,
    },
}

/// What happened.
#[derive(Debug, PartialEq)]
pub enum NetEvent {
    /// A link is up; frames may be sent.
    Up {
        /// Which.
        link: LinkId,
    },
    /// A frame came.
    Frame {
        /// On which.
        link: LinkId,
        /// The frame.
        frame: Frame,
    },
    /// A link is over, or did not come up.
    Down {
        /// Which.
        link: LinkId,
        /// Why.
        reason: Down,
    },
}

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// It never came up.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It came up and is over.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// A frame could not be sent on it.
    #[error("a frame could not be sent: {0}")]
    Send(#[from] SendError),
    /// The engine wanted it so.
    #[error("disconnected by this device")]
    Disconnected,
    /// There are as many links as there may be.
    #[error("the limit of {0} links is reached")]
    TooMany(usize),
}

/// The network is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network is shut down")]
pub struct NetStopped;

/// The running network. Dropped, it ends all links.
#[derive(Debug)]
pub struct Network {
    commands: mpsc::Sender<NetCommand>,
    task: tokio::task::JoinHandle<()>,
}

impl Network {
    /// Starts without any link, as the device with this key; keys for hidden links are drawn from `rng`. Needs a Tokio runtime.
    pub fn start(
        identity: Identity,
        limits: NetLimits,
        rng: ChaCha20Rng,
    ) -> (Self, mpsc::Receiver<NetEvent>) {
        let (commands, receiver) = mpsc::channel(limits.commands_max.max(1));
        let (events, taken) = mpsc::channel(limits.events_max.max(1));
        let links = Links { identity, limits, rng, events, live: BTreeMap::new(), tasks: JoinSet::new() };
        let task = tokio::spawn(links.run(receiver));
        (Self { commands, task }, taken)
    }

    /// Hands over a command; waits while too many do.
    pub async fn command(&self, command: NetCommand) -> Result<(), NetStopped> {
        self.commands.send(command).await.map_err(|_| NetStopped)
    }

    /// Ends all links, after what was sent, and waits until they are over. Events must be taken meanwhile.
    pub async fn shutdown(self) {
        drop(self.commands);
        // A task that failed is over as well.
        let _ = self.task.await;
    }
}

/// The task that knows all links. Each link has a task of its own.
struct Links {
    identity: Identity,
    limits: NetLimits,
    rng: ChaCha20Rng,
    events: mpsc::Sender<NetEvent>,
    live: BTreeMap<LinkId, Arc<Link>>,
    tasks: JoinSet<()>,
}

/// What the command side and a link's own task share.
#[derive(Default)]
struct Link {
    /// Set once the link is up, before `Up` is told.
    sender: OnceLock<FrameSender>,
    /// Why this side ended it, if it did.
    ended: OnceLock<Down>,
    stop_dialling: Notify,
    /// Set before `Down` is told: from then on the relay may be dialled anew.
    over: AtomicBool,
}

impl Link {
    fn end(&self, why: Down) {
        // The first reason is the true one.
        let _ = self.ended.set(why);
        self.stop_dialling.notify_one();
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

impl Links {
    async fn run(mut self, mut commands: mpsc::Receiver<NetCommand>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                Some(_) = self.tasks.join_next() => self.live.retain(|_, link| !link.is_over()),
            }
        }
        for id in self.live.keys().copied().collect::<Vec<_>>() {
            self.disconnect(&id);
        }
        while self.tasks.join_next().await.is_some() {}
    }

    async fn command(&mut self, command: NetCommand) {
        match command {
            NetCommand::Connect { link, addresses } => self.connect(link, addresses).await,
            NetCommand::Send { link, frame } => self.send(&link, frame),
            NetCommand::Disconnect { link } => self.disconnect(&link),
        }
    }

    async fn connect(&mut self, id: LinkId, addresses: Vec<Address>) {
        self.live.retain(|_, link| !link.is_over());
        if self.live.contains_key(&id) {
            return;
        }
        if self.live.len() >= self.limits.links_max {
            let reason = Down::TooMany(self.limits.links_max);
            // An error says that nobody takes events any more.
            let _ = self.events.send(NetEvent::Down { link: id, reason }).await;
            return;
        }
        let link = Arc::<Link>::default();
        self.live.insert(id, Arc::clone(&link));
        let identity = match id.hidden {
            true => Identity::from_secret(&Secret::random(&mut self.rng)),
            false => self.identity.clone(),
        };
        let (events, options) = (self.events.clone(), self.limits.dial.clone());
        self.tasks.spawn(async move {
            let reason = match bring_up(&identity, id.relay, &addresses, options, &link).await {
                Ok(receiver) => forward(id, receiver, &events, &link).await,
                Err(reason) => reason,
            };
            let reason = link.ended.get().cloned().unwrap_or(reason);
            link.over.store(true, Ordering::Release);
            // An error says that nobody takes events any more.
            let _ = events.send(NetEvent::Down { link: id, reason }).await;
        });
    }

    fn send(&self, id: &LinkId, frame: Frame) {
        let Some(link) = self.live.get(id) else { return };
        let Some(sender) = link.sender.get() else { return };
        match sender.try_send(frame) {
            // A closed link tells by itself that it is over.
            Ok(()) | Err(SendError::Closed) => {}
            Err(error) => {
                link.end(error.into());
                sender.abort();
            }
        }
    }

    fn disconnect(&self, id: &LinkId) {
        let Some(link) = self.live.get(id) else { return };
        link.end(Down::Disconnected);
        if let Some(sender) = link.sender.get() {
            sender.close();
        }
    }
}

async fn bring_up(
    identity: &Identity,
    relay: RelayId,
    addresses: &[Address],
    options: DialOptions,
    link: &Link,
) -> Result<LinkReceiver, Down> {
    let (sender, receiver) = tokio::select! {
        biased;
        () = link.stop_dialling.notified() => return Err(Down::Disconnected),
        dialled = dial(identity, relay, addresses, options) => dialled?,
    };
    let sender = link.sender.get_or_init(|| sender);
    if link.ended.get().is_some() {
        sender.close();
    }
    Ok(receiver)
}

/// Passes frames on until the link is over; then says why.
async fn forward(
    id: LinkId,
    mut receiver: LinkReceiver,
    events: &mpsc::Sender<NetEvent>,
    link: &Link,
) -> Down {
    let mut event = NetEvent::Up { link: id };
    loop {
        if events.send(event).await.is_err() {
            link.end(Down::Disconnected);
            return Down::Disconnected;
        }
        event = match receiver.next().await {
            Ok(frame) => NetEvent::Frame { link: id, frame },
            Err(reason) => return reason.into(),
        };
    }
}
