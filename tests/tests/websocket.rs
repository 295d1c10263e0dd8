//! Real nodes and a real relay by WebSocket, and by WebSocket over TLS with a certificate that the test issues itself.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, KeyPair};
use undertone_tests::processes::{Person, Program, Relay, Stage, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const ROOTS: &str = "UNDERTONE_ROOT_CERTIFICATES";
/// What a browser begins with (RFC 6455, section 1.3).
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
type Tested = anyhow::Result<()>;

/// An operator who issues certificates, in a directory.
struct Operator {
    dir: PathBuf,
    root: Certificate,
    key: KeyPair,
}

impl Operator {
    fn new(dir: &Path, name: &str) -> anyhow::Result<Self> {
        let dir = dir.join(name);
        fs::create_dir(&dir)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key)?;
        fs::write(dir.join("root.pem"), root.pem())?;
        Ok(Self { dir, root, key })
    }

    fn root(&self) -> PathBuf {
        self.dir.join("root.pem")
    }

    /// Writes a certificate for this machine, and its key.
    fn issue(&self, to: &Path) -> Tested {
        let key = KeyPair::generate()?;
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let chain = CertificateParams::new(names)?.signed_by(&key, &self.root, &self.key)?;
        fs::write(to.join("chain.pem"), chain.pem())?;
        Ok(fs::write(to.join("key.pem"), key.serialize_pem())?)
    }
}

/// A stage whose relay listens by TLS, and the operator, whom its people trust.
fn tls_stage() -> anyhow::Result<(Stage, Operator)> {
    let dir = Stage::place()?;
    let operator = Operator::new(dir.path(), "operator")?;
    operator.issue(dir.path())?;
    let program = Program::new(PROGRAM).with(ROOTS, operator.root());
    let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
    let more =
        [OsStr::new("--certificate-chain"), chain.as_os_str(), OsStr::new("--private-key"), key.as_os_str()];
    let relay = Relay::create_at(&program, dir.path().join("relay"), "/ip4/127.0.0.1/tcp/0/tls/ws", &more)?;
    Ok((Stage::with(program, dir, relay), operator))
}

fn ws_stage() -> anyhow::Result<Stage> {
    let (program, dir) = (Program::new(PROGRAM), Stage::place()?);
    let relay = Relay::create_at(&program, dir.path().join("relay"), "/ip4/127.0.0.1/tcp/0/ws", &[])?;
    Ok(Stage::with(program, dir, relay))
}

/// One writes, and the other has it.
fn arrives(from: &Person, to: &Person, text: &str) -> Tested {
    let sent = from.send(&to.name, text)?;
    from.until_state(&to.name, &sent.id, "delivered")?;
    let came = to.history(&from.name)?;
    ensure!(came.last().is_some_and(|last| last.text == text), "{came:?}");
    Ok(())
}

/// A chat with the relay going away in between, and something that waits there.
fn chat(stage: &mut Stage) -> Tested {
    let (alice, mut bob) = stage.friends("Alice", "Bob")?;
    arrives(&alice, &bob, "by another way")?;
    arrives(&bob, &alice, &"long ".repeat(3000))?;
    bob.stop()?;
    let waits = alice.send("Bob", "for later")?;
    alice.until_state("Bob", &waits.id, "sent")?;
    stage.relay.kill()?;
    alice.until_connected(false)?;
    stage.relay.start()?;
    bob.start()?;
    alice.until_state("Bob", &waits.id, "delivered")
}

fn kill(signal: &str, process: u32) -> Tested {
    let status = Command::new("kill").args([signal, &process.to_string()]).status()?;
    ensure!(status.success(), "kill {signal} {process}: {status}");
    Ok(())
}

#[test]
fn people_chat_by_websocket() -> Tested {
    let mut stage = ws_stage()?;
    ensure!(stage.relay.address().contains("/ws/p2p/"), "{}", stage.relay.address());
    chat(&mut stage)
}

#[test]
fn people_chat_by_websocket_over_tls() -> Tested {
    let (mut stage, _) = tls_stage()?;
    ensure!(stage.relay.address().contains("/tls/ws/p2p/"), "{}", stage.relay.address());
    chat(&mut stage)
}

#[test]
fn a_name_does_as_well_as_an_address() -> Tested {
    let (stage, _) = tls_stage()?;
    let named = stage.relay.address().replace("/ip4/127.0.0.1", "/dns4/localhost").replace("/tls/ws", "/wss");
    let mut alice = Person::create(stage.program(), stage.dir(), "Alice", &named)?;
    alice.start()?;
    alice.until_connected(true)?;
    let status = alice.status()?;
    let addresses = &status.relays.first().context("no relay")?.addresses;
    ensure!(addresses.first().is_some_and(|address| address.ends_with("/tls/ws")), "{addresses:?}");
    Ok(())
}

#[test]
fn whoever_does_not_trust_the_operator_is_told_so() -> Tested {
    let (stage, _) = tls_stage()?;
    let plain = Program::new(PROGRAM);
    let mut alice = Person::create(&plain, stage.dir(), "Alice", stage.relay.address())?;
    alice.start()?;
    until("the node says why it is not connected", || {
        let status = alice.status()?;
        let relay = status.relays.first().context("no relay")?;
        ensure!(!relay.connected, "connected to a relay with a certificate of nobody's");
        let problem = relay.problem.as_deref().unwrap_or_default();
        Ok((problem.contains("TLS certificate") && problem.contains("--root-certificates")).then_some(()))
    })?;
    let none = stage.dir().join("none.pem");
    let args = ["status", "--root-certificates", none.to_str().context("a path")?];
    alice.stop()?;
    alice.command(&args)?.refused(3, &["--root-certificates", "none.pem", "can't be read"])
}

#[test]
fn a_renewed_certificate_is_taken_up_without_a_restart() -> Tested {
    let (stage, _) = tls_stage()?;
    let other = Operator::new(stage.dir(), "other")?;
    let theirs = Program::new(PROGRAM).with(ROOTS, other.root());
    let mut alice = Person::create(&theirs, stage.dir(), "Alice", stage.relay.address())?;
    other.issue(stage.dir())?;
    alice.start()?;
    until("the former certificate is refused", || {
        let status = alice.status()?;
        Ok(status.relays.iter().any(|relay| relay.problem.is_some()).then_some(()))
    })?;
    kill("-HUP", stage.relay.process_id()?)?;
    alice.until_connected(true)
}

/// Dials the port itself. Whoever reads waits no longer than a good part of the handshake time.
fn raw(relay: &Relay) -> anyhow::Result<TcpStream> {
    let port = relay.address().split('/').nth(4).context("no port")?.parse()?;
    let peer = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port)))?;
    peer.set_read_timeout(Some(Duration::from_secs(6)))?;
    Ok(peer)
}

/// Waits until the relay closes; a reset is an end, too.
fn until_closed(mut peer: TcpStream) -> Tested {
    match peer.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("the relay keeps it open"),
        _ => Ok(()),
    }
}

#[test]
fn what_is_no_websocket_hurts_nobody_else() -> Tested {
    let stage = ws_stage()?;
    let (alice, bob) = stage.friends("Alice", "Bob")?;
    for bytes in [vec![0xff; 300_000], b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut peer = raw(&stage.relay)?;
        // It may be cut off while it writes.
        let _ = peer.write_all(&bytes);
        until_closed(peer)?;
    }
    // Frames that are announced as a little too long, and as long as can be.
    for length in [256 * 1024 + 1, 1 << 40] {
        let mut peer = raw(&stage.relay)?;
        peer.write_all(UPGRADE)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        ensure!(answer.starts_with(b"HTTP/1.1 101 "), "no WebSocket");
        peer.write_all(&[&[0x82, 0xff], &u64::to_be_bytes(length)[..], &[0; 4]].concat())?;
        until_closed(peer)?;
    }
    arrives(&alice, &bob, "nothing happened")?;
    arrives(&bob, &alice, "nothing at all")
}

#[test]
fn a_handshake_that_does_not_end_is_cut() -> Tested {
    let mut stage = ws_stage()?;
    stage.relay.stop()?;
    let config = fs::read_to_string(stage.relay.config())?;
    let config = config.replace("# handshake_ms_max = 10000", "handshake_ms_max = 1000");
    fs::write(stage.relay.config(), config)?;
    stage.relay.start()?;
    let mut peer = raw(&stage.relay)?;
    peer.write_all(b"GET / HTTP/1.1\r\nHost: ")?;
    let mut got = Vec::new();
    peer.read_to_end(&mut got).context("the relay waits for the rest of the handshake")?;
    ensure!(got.is_empty(), "it answers {got:?}");
    Ok(())
}
