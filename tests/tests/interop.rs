//! A client that shares no line with this project: `tests/interop`, written from the specification in JavaScript, on
//! js-libp2p. It goes through what a relay is for, and prints what it was answered.
//!
//! Without node or its packages the tests say so and pass, unless `UNDERTONE_INTEROP=required`, as `./check` sets it
//! where it has installed them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use undertone_protocol::codec::Signed;
use undertone_protocol::receipts::{CustodyReceipt, Outcome};
use undertone_protocol::wire;
use undertone_tests::processes::{Finished, Program, Relay, Stage};
use undertone_tests::report;
use undertone_transport::RelayAddress;

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
const VARIABLE: &str = "UNDERTONE_INTEROP";
const NODE_MAJOR_MIN: u32 = 20;
const LICENCES: [&str; 5] = ["MIT", "Apache-2.0", "Apache-2.0 OR MIT", "BSD-3-Clause", "ISC"];
type Tested = anyhow::Result<()>;

fn client() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// Whether the client can run here; an error says what is missing.
fn able(node: &Program) -> Tested {
    let version = node.run(&["--version"]).context("node can't be started")?.succeeded()?.stdout;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    let major: u32 = major.with_context(|| format!("node says that it is `{version}`"))?;
    ensure!(major >= NODE_MAJOR_MIN, "node {} is too old, {NODE_MAJOR_MIN} is needed", version.trim());
    ensure!(
        client().join("node_modules").is_dir(),
        "its packages are missing: run `npm ci` in tests/interop"
    );
    Ok(())
}

/// How the client fared at a relay that listens at `listen`, and that relay's address.
fn talk(listen: &str) -> anyhow::Result<Option<(RelayAddress, Finished)>> {
    let node = Program::new("node");
    if let Err(why) = able(&node) {
        ensure!(
            std::env::var_os(VARIABLE).is_none_or(|how| how != "required"),
            "{VARIABLE}=required: {why:#}"
        );
        report::line(format_args!("a client in JavaScript, {listen}: SKIPPED, not tried: {why:#}"))?;
        return Ok(None);
    }
    let dir = Stage::place()?;
    let relay = Relay::create_at(&Program::new(PROGRAM), dir.path().join("relay"), listen, &[])?;
    let script = client().join("main.js");
    let client = node.run(&[script.as_os_str(), OsStr::new(relay.address())])?;
    Ok(Some((relay.address().parse()?, client)))
}

/// Takes a field with bytes out of a line.
fn take(line: &mut Value, field: &str) -> anyhow::Result<Vec<u8>> {
    let value = line.as_object_mut().and_then(|fields| fields.remove(field));
    let text = value.as_ref().and_then(Value::as_str).with_context(|| format!("no {field} in {line}"))?;
    Ok(HEXLOWER.decode(text.as_bytes())?)
}

/// What the client takes for the relay's key and receipt is so, by this project's own reader.
fn same_to_us(relay: &RelayAddress, lines: &mut [Value]) -> Tested {
    let mut devices = Vec::new();
    for line in lines.iter_mut().filter(|line| line["step"] == "welcome") {
        ensure!(take(line, "relay")? == relay.relay.as_bytes(), "another relay");
        devices.push(take(line, "device")?);
    }
    ensure!(
        devices.iter().all(|device| device.len() == 32) && devices.first() != devices.last(),
        "{devices:?}"
    );
    let line = lines.iter_mut().find(|line| line["step"] == "published").context("nothing published")?;
    let (body, signature) = (take(line, "body")?.into(), take(line, "signature")?.into());
    let signed = Signed::from_wire(wire::Signed { body, signature })?;
    let receipt = CustodyReceipt::verify(&signed, &relay.relay)?;
    let outcomes: Vec<_> = receipt.items.iter().map(|item| item.recipients.as_slice()).collect();
    ensure!(matches!(outcomes.as_slice(), [[Outcome::Stored { .. }]]), "{receipt:?}");
    Ok(())
}

/// What it must have been answered, but for keys and signatures.
fn expected() -> Vec<Value> {
    let token = |what: &str, reason: &str| {
        json!({
            "step": "token", "what": what, "code": "RESULT_CODE_DENIED", "reason": format!("DENIAL_REASON_{reason}")
        })
    };
    let refused = |what: &str, code: &str| {
        json!({
            "step": "refused", "what": what, "code": format!("REFUSAL_CODE_{code}")
        })
    };
    vec![
        json!({ "step": "welcome", "version": 1 }),
        json!({ "step": "welcome", "version": 1 }),
        json!({ "step": "attached", "generation": 8, "same": true, "checkpoint": false }),
        json!({ "step": "published", "code": "RESULT_CODE_STORED", "held": true }),
        json!({
            "step": "signed", "by the relay": true, "by the owner": false, "as something else": false,
            "with a field more": false
        }),
        json!({ "step": "again", "code": "RESULT_CODE_DUPLICATE", "held": true }),
        json!({ "step": "delivered", "class": 0, "seq": 1, "payload": "only the two of them know what this means" }),
        json!({ "step": "acknowledged", "code": "RESULT_CODE_DUPLICATE", "held": false }),
        token("another mailbox", "UNKNOWN_MAILBOX"),
        token("another epoch", "EPOCH"),
        token("another key", "PROOF"),
        token("a step widened", "PROOF"),
        token("taken back", "REVOKED"),
        token("its time is over", "EXPIRED"),
        token("for presence only", "RIGHTS"),
        token("for another class", "RIGHTS"),
        token("an invitation as it is", "RIGHTS"),
        json!({ "step": "token", "what": "whoever answers an invitation", "code": "RESULT_CODE_STORED", "held": true }),
        token("the next one", "USED_UP"),
        json!({ "step": "put", "left": 1, "batch": 1 }),
        json!({ "step": "fetched", "bundle": "stands for a bundle", "prekey": true }),
        json!({ "step": "fetched again", "prekey": 0 }),
        refused("a mailbox of 15 bytes", "MALFORMED"),
        refused("a frame without a body", "MALFORMED"),
        refused("the mailbox of somebody else", "NOT_OWNER"),
        refused("another secret for the same epoch", "EPOCH"),
        refused("a locator that nobody wrote", "UNKNOWN"),
        json!({ "step": "pong", "nonce": 5 }),
        json!({ "step": "end" }),
    ]
}

fn served(listen: &str) -> Tested {
    let Some((relay, client)) = talk(listen)? else { return Ok(()) };
    let mut lines = client.stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let same = same_to_us(&relay, &mut lines);
    let expected = expected();
    for (line, expected) in lines.iter().zip(&expected) {
        ensure!(line == expected, "{line}, not {expected}");
    }
    client.succeeded()?;
    ensure!(lines.len() == expected.len(), "{} lines, not {}", lines.len(), expected.len());
    same
}

#[test]
fn a_client_written_from_the_specification_is_served() -> Tested {
    served("/ip4/127.0.0.1/tcp/0")
}

#[test]
fn and_by_websocket() -> Tested {
    served("/ip4/127.0.0.1/tcp/0/ws")
}

/// The lock names versions and hashes, no host, and licences that this project may use.
#[test]
fn its_packages_are_pinned_and_free() -> Tested {
    let lock: Value = serde_json::from_str(&fs::read_to_string(client().join("package-lock.json"))?)?;
    let packages = lock["packages"].as_object().context("no packages")?;
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        ensure!(package["resolved"].is_null(), "{name} says where it comes from");
        ensure!(package["integrity"].is_string(), "{name} has no hash");
        let licence = package["license"].as_str().unwrap_or("none");
        ensure!(LICENCES.contains(&licence), "{name}: {licence}");
    }
    let Some(wanted) = lock["packages"][""]["dependencies"].as_object() else { bail!("no dependencies") };
    for (name, version) in wanted {
        let exact =
            version.as_str().is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()));
        ensure!(exact, "{name} {version} is no exact version");
    }
    Ok(())
}
