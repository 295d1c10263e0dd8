use super::file::known_keys;
use super::*;
use crate::limits::Registration;

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// The template with all of its defaults switched on.
fn uncommented() -> String {
    let is_key = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let line = |line: &'static str| match line.strip_prefix("# ") {
        Some(key) if is_key(key) => key,
        _ => line,
    };
    TEMPLATE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_template_shows_every_key_with_its_default() {
    assert_eq!(parse(TEMPLATE).unwrap(), Config::default());
    let text = uncommented();
    assert_eq!(parse(&text).unwrap(), Config::default());
    for key in known_keys() {
        let name = key.rsplit('.').next().unwrap();
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{name} = ")) || line == format!("[{name}]")),
            "the template lacks `{key}`"
        );
    }
}

#[test]
fn an_empty_file_is_all_defaults() {
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn a_typing_error_is_named_with_the_nearest_key() {
    let error = refused("[limits]\nmailboxs_max = 5");
    assert!(error.contains("`limits.mailboxs_max`") && error.contains("`limits.mailboxes_max`"), "{error}");
    let error = refused("listn = []");
    assert!(error.contains("`listn`") && error.contains("`listen`"), "{error}");
    // A right name in the wrong place.
    let error = refused("mailboxes_max = 5");
    assert!(error.contains("`limits.mailboxes_max`"), "{error}");
}

#[test]
fn a_number_out_of_range_is_named_with_its_unit() {
    let error = refused("[limits]\npayload_bytes_max = 70000");
    assert_eq!(error, "`limits.payload_bytes_max` is 70000, but must be from 1 to 65536 bytes");
    let error = refused("[limits]\nsilence_ms_max = 0");
    assert_eq!(error, "`limits.silence_ms_max` is 0, but must be at least 1 milliseconds");
    assert!(refused("[limits]\ndisk_class_1_percent = 101").contains("from 1 to 100 percent"));
}

#[test]
fn wrong_types_and_broken_text_name_the_line() {
    assert!(refused("[limits]\nmailboxes_max = -1").contains("mailboxes_max"));
    assert!(refused("store = \"floppy\"").contains("floppy"));
    assert!(refused("listen = [").contains("line 1"));
}

#[test]
fn addresses_are_checked() {
    assert!(refused("listen = []").contains("at least one address"));
    assert!(refused("listen = [\"0.0.0.0:4001\"]").contains("/ip4/"));
    assert!(refused("listen = [\"/dns4/relay.example.org/tcp/4001\"]").contains("IP addresses"));
    assert!(refused("listen = [\"/ip4/0.0.0.0/udp/4001/quic-v1\"]").contains("TCP, not UDP"));
    assert!(parse("listen = [\"/ip4/127.0.0.1/tcp/8001/ws\"]").is_ok());
}

#[test]
fn tls_needs_a_certificate_and_its_key() {
    let listen = "listen = [\"/ip6/::/tcp/443/tls/ws\"]";
    assert!(refused(listen).contains("/ip6/::/tcp/443/tls/ws needs a certificate"));
    let half = "[tls]\nprivate_key = \"key.pem\"";
    assert!(refused(half).contains("name both files"));
    assert!(refused(&format!("{listen}\n{half}")).contains("needs a certificate"));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    std::fs::write(&path, format!("{listen}\n{half}\ncertificate_chain = \"/etc/chain.pem\"")).unwrap();
    let (chain, key) = ("/etc/chain.pem".into(), dir.path().join("key.pem"));
    assert_eq!(load(&path).unwrap().tls, Tls { certificate_chain: chain, private_key: key });
}

#[test]
fn who_may_open_a_mailbox_is_said_in_either_form() {
    let policy = |text: &str| parse(text).unwrap().registration.policy;
    assert_eq!(policy(""), Registration::Open);
    assert_eq!(policy("registration = \"closed\""), Registration::Closed);
    assert_eq!(policy("[registration]\npolicy = \"invite\""), Registration::Invite);
    assert_eq!(policy("[registration]"), Registration::Open);
    assert!(refused("[registration]\npolicy = \"some\"").contains("some"));
    assert!(refused("registration = \"some\"").contains("some"));
    let error = refused("[registration]\npolcy = \"invite\"");
    assert!(error.contains("`registration.polcy`") && error.contains("`registration.policy`"), "{error}");
}

#[test]
fn a_list_of_relays_says_what_it_is_for() {
    let relays = "relays = [\"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN\"]";
    for policy in ["", "policy = \"open\""] {
        let error = refused(&format!("[federation]\n{policy}\n{relays}"));
        assert!(error.contains("policy = \"allow\"") && error.contains("policy = \"deny\""), "{error}");
    }
    for policy in ["allow", "deny"] {
        let config = parse(&format!("[federation]\npolicy = \"{policy}\"\n{relays}")).unwrap();
        assert_eq!(config.federation.policy().unwrap().relays.len(), 1);
    }
    assert!(refused("[federation]\npolicy = \"allow\"\nrelays = [\"B\"]").contains("`B` is no relay's key"));
}

#[test]
fn a_relative_data_directory_starts_at_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    std::fs::write(&path, "data_dir = \"there\"").unwrap();
    assert_eq!(load(&path).unwrap().data_dir, dir.path().join("there"));
    let error = load(&dir.path().join("none.toml")).unwrap_err().to_string();
    assert!(error.contains("undertone-relay init"), "{error}");
}

#[test]
fn addresses_to_be_told_are_such_that_others_reach() {
    let text = "addresses = [\"/dns4/relay.example/tcp/4001\", \"/ip4/192.0.2.1/tcp/443/tls/ws\"]";
    assert_eq!(parse(text).unwrap().addresses.len(), 2);
    for (address, why) in [
        ("/ip4/0.0.0.0/tcp/4001", "reach this relay"),
        ("/ip4/192.0.2.1/tcp/0", "reach this relay"),
        ("relay.example:4001", "multiaddr"),
    ] {
        let error = refused(&format!("addresses = [\"{address}\"]"));
        assert!(error.starts_with("`addresses`") && error.contains(why), "{error}");
    }
    let nine = (1..10).map(|port| format!("\"/ip4/192.0.2.1/tcp/{port}\"")).collect::<Vec<_>>().join(", ");
    assert!(refused(&format!("addresses = [{nine}]")).contains("at most 8"));
}

#[test]
fn peers_are_named_with_their_keys() {
    let key = "12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcRzQ4FENEemvpg";
    let named = |peer: &str| format!("[federation]\npeers = [\"{peer}\"]");
    let config = parse(&named(&format!("/dns4/relay.example/tcp/4001/p2p/{key}"))).unwrap();
    assert_eq!(config.federation.peers().unwrap()[0].addresses, ["/dns4/relay.example/tcp/4001"]);
    assert!(refused(&named("/dns4/relay.example/tcp/4001")).contains("add /p2p/KEY"));
}
