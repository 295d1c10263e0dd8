//! The real program: started, used, stopped and killed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy spares only the functions that are marked as tests"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::process::{Child, Command as TokioCommand};
use tokio::time::{Instant, timeout};
use undertone_protocol::ids::{DeviceId, Handle, MailboxId, PayloadHash, PublishId, Secret};
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
const MAILBOX: MailboxId = MailboxId::new([5; 16]);
const SECRET: [u8; 32] = [6; 32];

fn program(dir: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM).current_dir(dir).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn init(dir: &Path) {
    let made = program(dir, &["init", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
}

/// A running relay; killed when it is dropped.
struct Relay {
    child: Child,
    address: RelayAddress,
}

impl Relay {
    async fn start(dir: &Path) -> Self {
        let child = TokioCommand::new(PROGRAM)
            .current_dir(dir)
            .args(["run", "--config", "relay.toml", "--log", "warn"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut relay = Self { child, address: nowhere() };
        let stdout = relay.child.stdout.take().unwrap();
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
        let line = timeout(HANG, lines.next_line()).await.unwrap().unwrap().expect("the relay ended");
        let address = line.strip_prefix("listening on ").expect("an address");
        let file = std::fs::read_to_string(dir.join("data/listen")).unwrap();
        assert_eq!(file, format!("{address}\n"));
        relay.address = address.parse().unwrap();
        relay
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    async fn exit_code(&mut self) -> Option<i32> {
        timeout(HANG, self.child.wait()).await.unwrap().unwrap().code()
    }
}

fn nowhere() -> RelayAddress {
    let identity = Identity::from_secret(&Secret::new([1; 32]));
    RelayAddress { relay: identity.relay_id(), address: "/ip4/127.0.0.1/tcp/1".parse().unwrap() }
}

/// A device that speaks the protocol by hand.
struct Device {
    sender: FrameSender,
    receiver: LinkReceiver,
    relay: RelayAddress,
    requests: u64,
    now: Timestamp,
}

impl Device {
    async fn connect(relay: &RelayAddress, number: u8) -> Self {
        let identity = Identity::from_secret(&Secret::new([number; 32]));
        assert_eq!(identity.device_id(), DeviceId::new(*identity.relay_id().as_bytes()));
        let addresses = [relay.address.clone()];
        let (sender, receiver) =
            dial(&identity, relay.relay, &addresses, DialOptions::default()).await.unwrap();
        let mut device = Self { sender, receiver, relay: relay.clone(), requests: 0, now: Timestamp::ZERO };
        let hello = wire::Hello { version_min: 1, version_max: 1 };
        let Body::Welcome(welcome) = device.ask(Body::Hello(hello)).await else { panic!("no welcome") };
        device.now = Timestamp::from_ms(welcome.now_ms);
        device
    }

    async fn ask(&mut self, body: Body) -> Body {
        self.requests += 1;
        self.sender.try_send(Frame { request: self.requests, body: Some(body) }).unwrap();
        let answer = self.next().await.unwrap();
        assert_eq!(answer.request, self.requests, "{answer:?}");
        answer.body.unwrap()
    }

    async fn next(&mut self) -> Result<Frame, CloseReason> {
        timeout(HANG, self.receiver.next()).await.unwrap()
    }

    async fn register(&mut self) {
        let register =
            wire::Register { mailbox: MAILBOX.to_wire(), secret: Bytes::from_static(&SECRET), epoch: 1 };
        let answer = self.ask(Body::Register(register)).await;
        assert!(matches!(answer, Body::Registered(_)), "{answer:?}");
    }

    /// Publishes a payload of class 0 to the mailbox and returns the result's code.
    async fn publish(&mut self, payload: &'static [u8]) -> wire::ResultCode {
        let expiry = self.now.after(Duration::from_secs(3600));
        let publish_id = PublishId::new([7; 16]);
        let token = TokenGrant::issue(&Secret::new(SECRET), Step::named(Handle::new([8; 8])));
        let payload_hash = PayloadHash::of(payload);
        let proof = token.prove(&ProofInput { publish_id, payload_hash, relay: self.relay.relay, expiry });
        let recipients = vec![proof.to_recipient(MAILBOX, 1, token.path())];
        let route = wire::Route { kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients })) };
        let item = wire::PublishItem {
            payload: Bytes::from_static(payload),
            class: 0,
            expiry_ms: expiry.as_ms(),
            route: Some(route),
        };
        let publish = wire::Publish { publish_id: publish_id.to_wire(), items: vec![item] };
        let answer = self.ask(Body::Publish(publish)).await;
        let Body::Published(wire::Published { receipt: Some(receipt) }) = answer else {
            panic!("{answer:?}")
        };
        let receipt = <wire::CustodyReceipt as prost::Message>::decode(receipt.body).unwrap();
        receipt.items[0].recipients[0].code()
    }

    async fn attach(&mut self) {
        let attach = wire::Attach {
            mailbox: MAILBOX.to_wire(),
            generation: Bytes::new(),
            acks: Vec::new(),
            credits: vec![wire::Credit { class: 0, messages: 10, bytes: 1 << 20 }],
        };
        let answer = self.ask(Body::Attach(attach)).await;
        assert!(matches!(answer, Body::Attached(_)), "{answer:?}");
    }

    async fn delivery(&mut self) -> Bytes {
        match self.next().await {
            Ok(Frame { body: Some(Body::Deliver(deliver)), .. }) => deliver.payload,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_signed_for_survives_kill_9_and_sigterm_is_graceful() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());

    let mut relay = Relay::start(dir.path()).await;
    let mut owner = Device::connect(&relay.address, 20).await;
    owner.register().await;
    let mut sender = Device::connect(&relay.address, 21).await;
    assert_eq!(sender.publish(b"first").await, wire::ResultCode::Stored);
    relay.signal("-KILL");
    assert_eq!(relay.exit_code().await, None);
    assert!(matches!(owner.next().await, Err(CloseReason::ByPeer | CloseReason::Lost(_))));

    let mut relay = Relay::start(dir.path()).await;
    let mut sender = Device::connect(&relay.address, 21).await;
    assert_eq!(sender.publish(b"first").await, wire::ResultCode::Duplicate);
    let mut owner = Device::connect(&relay.address, 20).await;
    owner.attach().await;
    assert_eq!(owner.delivery().await, b"first".as_slice());
    assert_eq!(sender.publish(b"second").await, wire::ResultCode::Stored);
    assert_eq!(owner.delivery().await, b"second".as_slice());

    let asked = program(dir.path(), &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(status["connections"], 2);
    assert_eq!(status["mailboxes"], 1);
    assert_eq!(status["addresses"][0], relay.address.to_string());
    assert!(status["counters"]["commits"].as_u64().unwrap() >= 1);
    let asked = program(dir.path(), &["status"]);
    assert!(text(&asked.stdout).contains(&relay.address.to_string()));

    let second = program(dir.path(), &["run"]);
    assert!(!second.status.success());
    assert!(text(&second.stderr).contains("in use"), "{}", text(&second.stderr));

    let stopping = Instant::now();
    relay.signal("-TERM");
    let goodbye = owner.next().await.unwrap();
    let Some(Body::Goodbye(goodbye)) = goodbye.body else { panic!("{goodbye:?}") };
    assert_eq!(goodbye.code(), wire::GoodbyeCode::ShuttingDown);
    assert_eq!(relay.exit_code().await, Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(30));
    assert!(!dir.path().join("data/listen").exists());
}

#[test]
fn init_refuses_to_overwrite_and_keeps_the_key_private() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let key = dir.path().join("data/relay.key");
    let before = std::fs::read(&key).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let again = program(dir.path(), &["init"]);
    assert!(!again.status.success());
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
    assert_eq!(std::fs::read(&key).unwrap(), before);

    let blocked = program(dir.path(), &["init", "--dir", "other", "--config", "relay.toml/relay.toml"]);
    assert!(!blocked.status.success(), "a file is in the way");
    assert!(!dir.path().join("other/data/relay.key").exists(), "no key without a configuration");
    let elsewhere = program(dir.path(), &["init", "--dir", "other", "--config", "conf/relay.toml"]);
    assert!(elsewhere.status.success(), "{}", text(&elsewhere.stderr));
    let config = undertone_relay::config::load(&dir.path().join("conf/relay.toml")).unwrap();
    assert_eq!(config.data_dir, dir.path().join("other/data").canonicalize().unwrap());
}

#[test]
fn mistakes_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let no_config = program(dir.path(), &["run"]);
    assert!(!no_config.status.success());
    let said = text(&no_config.stderr);
    assert!(said.contains("undertone-relay init"), "{said}");
    assert_eq!(said.matches("relay.toml").count(), 1, "the file is named once: {said}");

    init(dir.path());
    let not_running = program(dir.path(), &["status"]);
    assert!(!not_running.status.success());
    assert!(text(&not_running.stderr).contains("undertone-relay run"), "{}", text(&not_running.stderr));

    let config = dir.path().join("relay.toml");
    let typo = std::fs::read_to_string(&config).unwrap().replace("registration", "registraton");
    std::fs::write(&config, typo).unwrap();
    let refused = program(dir.path(), &["run"]);
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("the nearest known one is `registration`"), "{said}");

    let version = program(dir.path(), &["--version"]);
    assert!(text(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
}
