//! The relay's program, and a device that speaks the protocol by hand.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command as TokioCommand};
use tokio::time::timeout;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId, PayloadHash, PublishId, RelayId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::frame::Body;
use undertone_protocol::wire::{self, Frame};
use undertone_transport::{
    CloseReason, DialOptions, FrameSender, Identity, LinkReceiver, RelayAddress, dial,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-relay");
/// Longer than any step may take; only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);
pub(super) const MAILBOX: MailboxId = MailboxId::new([5; 16]);
const SECRET: [u8; 32] = [6; 32];

/// The program's command line, run to its end.
pub(super) fn program(dir: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM).current_dir(dir).args(args).output().unwrap()
}

pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub(super) fn init(dir: &Path) {
    init_at(dir, 0);
}

/// One whose port stays when it is started anew.
pub(super) fn init_at(dir: &Path, port: u16) {
    let made = program(dir, &["init", "--listen", &format!("/ip4/127.0.0.1/tcp/{port}")]);
    assert!(made.status.success(), "{}", text(&made.stderr));
}

/// A running relay; killed when it is dropped.
pub(super) struct Relay {
    child: Child,
    pub(super) address: RelayAddress,
}

impl Relay {
    pub(super) async fn start(dir: &Path) -> Self {
        match Self::try_start(dir).await {
            Ok(relay) => relay,
            Err(ended) => panic!("the relay ended: {}", text(&ended.stderr)),
        }
    }

    /// Starts a relay; what it said, if it ended instead.
    pub(super) async fn try_start(dir: &Path) -> Result<Self, Output> {
        let mut child = TokioCommand::new(PROGRAM)
            .current_dir(dir)
            .args(["run", "--config", "relay.toml", "--log", "info"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(line) = timeout(HANG, lines.next_line()).await.unwrap().unwrap() else {
            return Err(timeout(HANG, child.wait_with_output()).await.unwrap().unwrap());
        };
        let address = line.strip_prefix("listening on ").expect("an address");
        let file = fs::read_to_string(dir.join("data/listen")).unwrap();
        assert_eq!(file, format!("{address}\n"));
        Ok(Self { child, address: address.parse().unwrap() })
    }

    /// Waits until it ends by itself; what it said.
    pub(super) async fn end(self) -> Output {
        timeout(HANG, self.child.wait_with_output()).await.unwrap().unwrap()
    }

    /// Nobody reads what it says from here on.
    pub(super) fn read_no_more(&mut self) {
        drop(self.child.stderr.take());
    }

    pub(super) fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub(super) async fn exit_code(&mut self) -> Option<i32> {
        timeout(HANG, self.child.wait()).await.unwrap().unwrap().code()
    }
}

/// A device that speaks the protocol by hand.
pub(super) struct Device {
    sender: FrameSender,
    receiver: LinkReceiver,
    relay: RelayAddress,
    requests: u64,
    now: Timestamp,
}

impl Device {
    pub(super) async fn connect(relay: &RelayAddress, number: u8) -> Self {
        Self::try_connect(relay, number).await.expect("a relay that answers")
    }

    /// `None` when the relay goes meanwhile.
    pub(super) async fn try_connect(relay: &RelayAddress, number: u8) -> Option<Self> {
        let identity = Identity::from_secret(&Secret::new([number; 32]));
        assert_eq!(identity.device_id(), DeviceId::new(*identity.relay_id().as_bytes()));
        let addresses = [relay.address.clone()];
        let (sender, receiver) =
            dial(&identity, relay.relay, &addresses, DialOptions::default()).await.ok()?;
        let mut device = Self { sender, receiver, relay: relay.clone(), requests: 0, now: Timestamp::ZERO };
        let hello = wire::Hello { version_min: 1, version_max: 1 };
        let Body::Welcome(welcome) = device.try_ask(Body::Hello(hello)).await? else { panic!("no welcome") };
        device.now = Timestamp::from_ms(welcome.now_ms);
        Some(device)
    }

    pub(super) async fn ask(&mut self, body: Body) -> Body {
        self.try_ask(body).await.expect("an answer")
    }

    /// `None` when the relay says goodbye or goes.
    async fn try_ask(&mut self, body: Body) -> Option<Body> {
        let request = self.tell(body);
        let answer = self.next().await.ok()?;
        if matches!(answer.body, Some(Body::Goodbye(_))) {
            return None;
        }
        assert_eq!(answer.request, request, "{answer:?}");
        answer.body
    }

    /// Sends without waiting for what comes; the request's number.
    pub(super) fn tell(&mut self, body: Body) -> u64 {
        self.requests += 1;
        // An error says that the relay is gone: the next frame says so too.
        let _ = self.sender.try_send(Frame { request: self.requests, body: Some(body) });
        self.requests
    }

    /// Sends what asks nothing.
    pub(super) fn tell_nothing(&mut self, body: Body) {
        let _ = self.sender.try_send(Frame { request: 0, body: Some(body) });
    }

    pub(super) const fn relay_id(&self) -> RelayId {
        self.relay.relay
    }

    /// The relay's clock, as its welcome said.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) async fn next(&mut self) -> Result<Frame, CloseReason> {
        timeout(HANG, self.receiver.next()).await.unwrap()
    }

    /// Takes the mailbox.
    pub(super) async fn register(&mut self) {
        self.register_as(MAILBOX).await;
    }

    /// Asks for a mailbox, with what the operator gave.
    pub(super) async fn ask_mailbox(&mut self, mailbox: MailboxId, invitation: Bytes) -> Body {
        let secret = Bytes::from_static(&SECRET);
        let register = wire::Register { mailbox: mailbox.to_wire(), secret, epoch: 1, invitation };
        self.ask(Body::Register(register)).await
    }

    pub(super) async fn register_as(&mut self, mailbox: MailboxId) {
        let answer = self.ask_mailbox(mailbox, Bytes::new()).await;
        assert!(matches!(answer, Body::Registered(_)), "{answer:?}");
    }

    /// Publishes a payload of class 0 to the mailbox and returns the result's code.
    pub(super) async fn publish(&mut self, payload: impl Into<Bytes>) -> wire::ResultCode {
        self.publish_to(MAILBOX, payload.into()).await
    }

    pub(super) async fn publish_to(&mut self, mailbox: MailboxId, payload: Bytes) -> wire::ResultCode {
        let expiry = self.now.after(Duration::from_secs(3600));
        let publish_id = PublishId::new([7; 16]);
        let token = TokenGrant::issue(&Secret::new(SECRET), Step::named(Handle::new([8; 8])));
        let payload_hash = PayloadHash::of(&payload);
        let proof = token.prove(&ProofInput { publish_id, payload_hash, relay: self.relay.relay, expiry });
        let recipients = vec![proof.to_recipient(mailbox, 1, token.path())];
        let route = wire::Route { kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients })) };
        let item = wire::PublishItem { payload, class: 0, expiry_ms: expiry.as_ms(), route: Some(route) };
        let publish = wire::Publish { publish_id: publish_id.to_wire(), items: vec![item] };
        let answer = self.ask(Body::Publish(publish)).await;
        let Body::Published(wire::Published { receipt: Some(receipt) }) = answer else {
            panic!("{answer:?}")
        };
        let receipt = <wire::CustodyReceipt as prost::Message>::decode(receipt.body).unwrap();
        receipt.items[0].recipients[0].code()
    }

    /// Attaches the mailbox, with credit for all that may be in it.
    pub(super) async fn attach(&mut self) {
        self.attach_as(MAILBOX).await;
    }

    pub(super) async fn attach_as(&mut self, mailbox: MailboxId) {
        self.try_attach(mailbox).await.expect("an answer");
    }

    /// `None` when the relay says goodbye or goes.
    pub(super) async fn try_attach(&mut self, mailbox: MailboxId) -> Option<()> {
        let attach = wire::Attach {
            mailbox: mailbox.to_wire(),
            generation: Bytes::new(),
            acks: Vec::new(),
            credits: vec![wire::Credit { class: 0, messages: u64::MAX, bytes: u64::MAX }],
        };
        let answer = self.try_ask(Body::Attach(attach)).await?;
        assert!(matches!(answer, Body::Attached(_)), "{answer:?}");
        Some(())
    }

    pub(super) async fn delivery(&mut self) -> Bytes {
        match self.next().await {
            Ok(Frame { body: Some(Body::Deliver(deliver)), .. }) => deliver.payload,
            other => panic!("{other:?}"),
        }
    }

    /// The next delivery, acknowledged with all before it; `None` when the relay says goodbye or goes.
    pub(super) async fn take_delivery(&mut self) -> Option<Bytes> {
        let Ok(Frame { body: Some(Body::Deliver(deliver)), .. }) = self.next().await else { return None };
        let ack = wire::Ack { class: deliver.class, through: deliver.seq, ranges: Vec::new() };
        // An error says that the relay is gone: the next call sees it too.
        let _ = self.sender.try_send(Frame { request: 0, body: Some(Body::Ack(ack)) });
        Some(deliver.payload)
    }
}
