//! Started, used, stopped, killed, and asked for the wrong thing.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use undertone_protocol::ids::MailboxId;
use undertone_protocol::wire;
use undertone_protocol::wire::frame::Body;
use undertone_transport::CloseReason;

use super::sides::{Device, Relay, init, program, text};

#[tokio::test]
async fn what_was_signed_for_survives_kill_9_and_sigterm_is_graceful() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());

    let mut relay = Relay::start(dir.path()).await;
    let mut owner = Device::connect(&relay.address, 20).await;
    owner.register().await;
    let mut sender = Device::connect(&relay.address, 21).await;
    assert_eq!(sender.publish(&b"first"[..]).await, wire::ResultCode::Stored);
    relay.signal("-KILL");
    assert_eq!(relay.exit_code().await, None);
    assert!(matches!(owner.next().await, Err(CloseReason::ByPeer | CloseReason::Lost(_))));

    let mut relay = Relay::start(dir.path()).await;
    let mut sender = Device::connect(&relay.address, 21).await;
    assert_eq!(sender.publish(&b"first"[..]).await, wire::ResultCode::Duplicate);
    let mut owner = Device::connect(&relay.address, 20).await;
    owner.attach().await;
    assert_eq!(owner.delivery().await, b"first".as_slice());
    assert_eq!(sender.publish(&b"second"[..]).await, wire::ResultCode::Stored);
    assert_eq!(owner.delivery().await, b"second".as_slice());

    let asked = program(dir.path(), &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(status["connections"], 2);
    assert_eq!((&status["mailboxes"], &status["mailboxes_max"]), (&1.into(), &1_000_000.into()));
    let (stored, stored_max) = (&status["stored_bytes"], &status["stored_bytes_max"]);
    assert_eq!((stored, stored_max), (&3_915.into(), &10_737_418_240_u64.into()), "as the quota counts them");
    assert!(status["backlog_bytes"].is_u64());
    assert_eq!(status["addresses"][0], relay.address.to_string());
    assert!(status["counters"]["commits"].as_u64().unwrap() >= 1);
    let asked = program(dir.path(), &["status"]);
    assert!(text(&asked.stdout).contains(&relay.address.to_string()));
    assert!(text(&asked.stdout).contains(" of 10737418240 bytes"), "{}", text(&asked.stdout));

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

/// Whoever keeps its log may be restarted.
#[tokio::test]
async fn a_relay_whose_log_nobody_reads_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let mut relay = Relay::start(dir.path()).await;
    relay.read_no_more();
    relay.signal("-HUP");
    let mut device = Device::connect(&relay.address, 20).await;
    device.register().await;
    relay.signal("-TERM");
    assert_eq!(relay.exit_code().await, Some(0));
}

/// An invitation is made while the relay runs, and what was used of it is durable.
#[tokio::test]
async fn a_relay_for_whoever_is_invited() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let unneeded = program(dir.path(), &["invite"]);
    assert!(text(&unneeded.stderr).contains("policy = \"invite\""), "{}", text(&unneeded.stderr));
    let config = dir.path().join("relay.toml");
    let invites =
        std::fs::read_to_string(&config).unwrap().replacen("# policy = \"open\"", "policy = \"invite\"", 1);
    std::fs::write(&config, invites).unwrap();

    let mut relay = Relay::start(dir.path()).await;
    let made = program(dir.path(), &["invite", "--uses", "2", "--days", "7"]);
    assert!(made.status.success() && made.stderr.is_empty(), "{}", text(&made.stderr));
    let invitation = data_encoding::BASE64URL_NOPAD.decode(made.stdout.trim_ascii()).unwrap();
    let invitation = Bytes::from(invitation);
    let mut device = Device::connect(&relay.address, 20).await;
    let mailbox = |number| MailboxId::new([number; 16]);
    let is_refused = |answer: Body| matches!(answer, Body::Refusal(refusal) if refusal.code() == wire::RefusalCode::Invitation);
    assert!(is_refused(device.ask_mailbox(mailbox(1), Bytes::new()).await));
    assert!(!is_refused(device.ask_mailbox(mailbox(1), invitation.clone()).await));
    relay.signal("-KILL");
    relay.exit_code().await;

    let relay = Relay::start(dir.path()).await;
    let mut device = Device::connect(&relay.address, 20).await;
    assert!(!is_refused(device.ask_mailbox(mailbox(1), Bytes::new()).await), "it is there");
    assert!(!is_refused(device.ask_mailbox(mailbox(2), invitation.clone()).await));
    assert!(is_refused(device.ask_mailbox(mailbox(3), invitation).await), "it was for two");
    let none = program(dir.path(), &["invite", "--uses", "0"]);
    assert_eq!(none.status.code(), Some(2));
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
    std::fs::write(&config, &typo).unwrap();
    let refused = program(dir.path(), &["run"]);
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("the nearest known one is `registration`"), "{said}");

    let unlike = typo.replace("registraton", "registration") + "\nbogus = 1\n";
    std::fs::write(&config, unlike).unwrap();
    let refused = program(dir.path(), &["run"]);
    let said = text(&refused.stderr);
    assert!(said.contains("bogus`: leave it out") && !said.contains("nearest"), "{said}");
    let refused = program(dir.path(), &["run", "--log", "=,="]);
    assert!(text(&refused.stderr).contains("give error, warn, info"), "{}", text(&refused.stderr));

    let version = program(dir.path(), &["--version"]);
    assert!(text(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
}

/// Devices that come back after a restart find what waits for them, all at once and through real connections.
#[tokio::test]
async fn many_connections_survive_a_restart() {
    const DEVICES: u8 = 100;
    let mailbox = |number: u8| MailboxId::new([number; 16]);
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let mut relay = Relay::start(dir.path()).await;
    let mut devices = Vec::new();
    for number in 1..=DEVICES {
        let mut device = Device::connect(&relay.address, number).await;
        device.register_as(mailbox(number)).await;
        device.attach_as(mailbox(number)).await;
        devices.push(device);
    }
    let mut sender = Device::connect(&relay.address, 200).await;
    for number in 1..=DEVICES {
        assert_eq!(
            sender.publish_to(mailbox(number), vec![number; 100].into()).await,
            wire::ResultCode::Stored
        );
    }
    relay.signal("-TERM");
    assert_eq!(relay.exit_code().await, Some(0), "with everybody connected");
    drop(devices);

    let relay = Relay::start(dir.path()).await;
    let mut devices = Vec::new();
    for number in 1..=DEVICES {
        let mut device = Device::connect(&relay.address, number).await;
        device.attach_as(mailbox(number)).await;
        devices.push((number, device));
    }
    for (number, device) in &mut devices {
        assert_eq!(device.delivery().await, vec![*number; 100]);
    }
    let asked = program(dir.path(), &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!((&status["connections"], &status["attached"]), (&100.into(), &100.into()));
}
