//! One device's connection.

use anyhow::{Context, bail};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use undertone_protocol::ids::{Handle, MailboxId, PayloadHash, Secret};
use undertone_protocol::keys::{Checkpoint, DeviceKey};
use undertone_protocol::limits::PROTOCOL_VERSION;
use undertone_protocol::token::{Step, TokenGrant};
use undertone_protocol::wire::{self, Frame, frame::Body};
use undertone_transport::{DialOptions, FrameSender, Identity, LinkReceiver, RelayAddress, dial};

/// Handshakes that go on at the same time.
const CONNECTING_MAX: usize = 32;

/// What a device is known by. Everything follows from its number: nothing here guards a secret.
#[derive(Debug, Clone)]
pub(super) struct Device {
    identity: Identity,
    key: DeviceKey,
    mailbox: MailboxId,
    secret: Secret,
}

impl Device {
    /// The device with this number.
    pub(super) fn new(number: u32) -> Self {
        let seed = |what: &str| *PayloadHash::of(format!("{what} {number}").as_bytes()).as_bytes();
        let mut mailbox = [0; MailboxId::LEN];
        mailbox.iter_mut().zip(seed("mailbox")).for_each(|(to, from)| *to = from);
        Self {
            identity: Identity::from_secret(&Secret::new(seed("device"))),
            key: DeviceKey::from_seed(&Secret::new(seed("device"))),
            mailbox: MailboxId::new(mailbox),
            secret: Secret::new(seed("secret")),
        }
    }

    /// The devices with these numbers.
    pub(super) fn many(numbers: std::ops::Range<u32>) -> Vec<Self> {
        numbers.map(Self::new).collect()
    }

    /// The right to deliver to its mailbox.
    pub(super) fn grant(&self) -> TokenGrant {
        TokenGrant::issue(&self.secret, Step::named(Handle::new([1; Handle::LEN])))
    }

    /// Says that its next envelope has this number.
    pub(super) fn checkpoint(&self, next: u64) -> Body {
        let checkpoint = Checkpoint::issue(&self.key, next);
        Body::PutCheckpoint(wire::PutCheckpoint { checkpoint: Some(checkpoint.signed.to_wire()) })
    }

    /// Its mailbox.
    pub(super) fn mailbox(&self) -> MailboxId {
        self.mailbox
    }
}

/// A connection that has said hello.
pub(super) struct Client {
    sender: FrameSender,
    receiver: LinkReceiver,
}

impl Client {
    /// Connects a device.
    pub(super) async fn connect(device: &Device, relay: &RelayAddress) -> anyhow::Result<Self> {
        let addresses = std::slice::from_ref(&relay.address);
        let dialled = dial(&device.identity, relay.relay, addresses, DialOptions::default()).await;
        let (sender, receiver) = dialled?;
        let mut client = Self { sender, receiver };
        let hello = wire::Hello { version_min: PROTOCOL_VERSION, version_max: PROTOCOL_VERSION };
        match client.ask(Body::Hello(hello)).await? {
            Body::Welcome(_) => Ok(client),
            other => bail!("no welcome but {other:?}"),
        }
    }

    /// Connects many devices, some at a time; `register` makes their mailboxes too.
    pub(super) async fn connect_all(
        devices: &[Device],
        relay: &RelayAddress,
        register: bool,
    ) -> anyhow::Result<Vec<Self>> {
        let connecting = devices.iter().map(|device| async move {
            let mut client = Self::connect(device, relay).await?;
            if register {
                client.register(device).await?;
            }
            Ok(client)
        });
        stream::iter(connecting).buffered(CONNECTING_MAX).try_collect().await
    }

    async fn register(&mut self, device: &Device) -> anyhow::Result<()> {
        let secret = Bytes::copy_from_slice(device.secret.expose());
        let register =
            wire::Register { mailbox: device.mailbox.to_wire(), secret, epoch: 1, invitation: Bytes::new() };
        match self.ask(Body::Register(register)).await? {
            Body::Registered(_) => Ok(()),
            other => bail!("not registered but {other:?}"),
        }
    }

    /// Attaches to the device's mailbox, without credit.
    pub(super) async fn attach(&mut self, device: &Device) -> anyhow::Result<()> {
        let (mailbox, generation) = (device.mailbox.to_wire(), Bytes::new());
        let attach = wire::Attach { mailbox, generation, acks: Vec::new(), credits: Vec::new() };
        match self.ask(Body::Attach(attach)).await? {
            Body::Attached(_) => Ok(()),
            other => bail!("not attached but {other:?}"),
        }
    }

    /// Attaches many devices.
    pub(super) async fn attach_all(clients: &mut [Self], devices: &[Device]) -> anyhow::Result<()> {
        for (client, device) in clients.iter_mut().zip(devices) {
            client.attach(device).await?;
        }
        Ok(())
    }

    /// Asks while nothing else is under way.
    pub(super) async fn ask(&mut self, body: Body) -> anyhow::Result<Body> {
        self.send(1, body)?;
        let frame = self.next().await?;
        frame.body.filter(|_| frame.request == 1).context("an answer to nothing that was asked")
    }

    /// Sends a frame.
    pub(super) fn send(&self, request: u64, body: Body) -> anyhow::Result<()> {
        Ok(self.sender.try_send(Frame { request, body: Some(body) })?)
    }

    /// The next frame.
    pub(super) async fn next(&mut self) -> anyhow::Result<Frame> {
        Ok(self.receiver.next().await?)
    }

    /// The next frame, if one has come already.
    pub(super) fn next_now(&mut self) -> anyhow::Result<Option<Frame>> {
        Ok(self.receiver.next().now_or_never().transpose()?)
    }
}
