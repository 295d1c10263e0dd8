//! WebSocket and TLS beside TCP.

use super::*;

fn at(kind: &str) -> Address {
    format!("/ip4/127.0.0.1/tcp/0{kind}").parse().unwrap()
}

fn options(authority: &Authority) -> ListenOptions {
    ListenOptions { certificate: Some(authority.issue("127.0.0.1", 2100)), ..OPTIONS }
}

fn trusting(authority: &Authority) -> DialOptions {
    DialOptions { roots: authority.roots(), ..DialOptions::default() }
}

async fn start(kinds: &[&str], options: ListenOptions) -> Relay {
    let identity = identity(1);
    let addresses: Vec<Address> = kinds.iter().map(|kind| at(kind)).collect();
    let (listener, events) = listen(&identity, &addresses, options).await.unwrap();
    Relay { id: identity.relay_id(), listener, events }
}

/// A frame each way over an address, the largest there is and a small one.
async fn serves(relay: &mut Relay, number: u8, address: &Address, options: DialOptions) {
    let dialled = dial(&identity(number), relay.id, std::slice::from_ref(address), options).await;
    let (to_relay, mut from_relay) = dialled.unwrap();
    let (_, sender) = relay.connected().await;
    let large = deliver(7, FRAME_BYTES_MAX - 64);
    for frame in [&large, &ping(1)] {
        to_relay.try_send(frame.clone()).unwrap();
        match relay.next_unsent().await {
            ServerEvent::Frame { frame: got, .. } => assert_eq!(got, *frame),
            other => panic!("{other:?}"),
        }
        sender.try_send(frame.clone()).unwrap();
        assert_eq!(receive(&mut from_relay).await, Ok(frame.clone()));
    }
    drop((to_relay, from_relay));
    assert_eq!(relay.disconnected().await, CloseReason::ByPeer, "{address}");
}

#[tokio::test]
async fn frames_go_both_ways_over_each_kind_at_once() {
    let authority = Authority::new();
    let mut relay = start(&["", "/ws", "/tls/ws"], options(&authority)).await;
    let addresses = relay.listener.addresses().to_vec();
    let kinds: Vec<bool> = ["", "/ws", "/tls/ws"]
        .iter()
        .map(|kind| addresses.iter().any(|a| a.to_string().ends_with(kind)))
        .collect();
    assert_eq!((addresses.len(), kinds), (3, vec![true; 3]));
    for (number, address) in (2..).zip(&addresses) {
        serves(&mut relay, number, address, trusting(&authority)).await;
    }
}

#[tokio::test]
async fn a_name_is_looked_up_and_the_certificate_is_for_it() {
    let authority = Authority::new();
    let certificate = Some(authority.issue("localhost", 2100));
    let mut relay = start(&["/ws", "/tls/ws"], ListenOptions { certificate, ..OPTIONS }).await;
    for (number, address) in (2..).zip(relay.listener.addresses().to_vec()) {
        let named = address.to_string().replace("/ip4/127.0.0.1", "/dns4/localhost").parse().unwrap();
        serves(&mut relay, number, &named, trusting(&authority)).await;
    }
}

/// Why an address of a relay with this certificate is not taken.
async fn refusal(certificate: Certificate, roots: Roots) -> String {
    let mut relay = start(&["/tls/ws"], ListenOptions { certificate: Some(certificate), ..OPTIONS }).await;
    let options = DialOptions { roots, ..DialOptions::default() };
    let error = dial(&identity(2), relay.id, relay.listener.addresses(), options).await.unwrap_err();
    assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
    assert!(relay.events.try_recv().is_err());
    error.to_string()
}

#[tokio::test]
async fn a_bad_certificate_is_refused_and_the_error_says_why() {
    let authority = Authority::new();
    let stranger = refusal(authority.issue("127.0.0.1", 2100), Roots::default()).await;
    assert!(stranger.contains("certificate") && stranger.contains("--root-certificates"), "{stranger}");
    let other = refusal(authority.issue("127.0.0.2", 2100), authority.roots()).await;
    assert!(other.contains("127.0.0.1") && other.contains("not valid for name"), "{other}");
    let old = refusal(authority.issue("127.0.0.1", 2001), authority.roots()).await;
    assert!(old.contains("certificate") && old.contains("expired"), "{old}");
    let own = refusal(authority.own(), authority.roots()).await;
    assert!(own.contains("an authority's own") && own.contains("CA:FALSE"), "{own}");
}

#[tokio::test]
async fn another_certificate_is_shown_once_its_files_are_read_again() {
    let authority = Authority::new();
    let certificate = authority.issue("127.0.0.1", 2001);
    let options = ListenOptions { certificate: Some(certificate.clone()), ..OPTIONS };
    let mut relay = start(&["/tls/ws"], options).await;
    let address = relay.listener.addresses()[0].clone();
    let dialled = dial(&identity(2), relay.id, std::slice::from_ref(&address), trusting(&authority)).await;
    assert!(dialled.is_err());

    // What can't be used changes nothing.
    authority.write("127.0.0.1", 2100);
    let key = std::fs::read(authority.path("key.pem")).unwrap();
    std::fs::write(authority.path("key.pem"), "no key").unwrap();
    let error = certificate.reload().unwrap_err().to_string();
    assert!(error.contains("key.pem") && error.contains("no private key"), "{error}");
    std::fs::write(authority.path("key.pem"), key).unwrap();
    certificate.reload().unwrap();
    serves(&mut relay, 2, &address, trusting(&authority)).await;
}

#[test]
fn files_that_can_not_be_used_are_named() {
    let authority = Authority::new();
    authority.write("127.0.0.1", 2100);
    let other = Authority::new();
    other.write("127.0.0.1", 2100);
    let (chain, key, none) = (authority.path("chain.pem"), authority.path("key.pem"), authority.path("none"));
    let said = |chain: &std::path::Path, key: &std::path::Path| {
        Certificate::load(chain, key).unwrap_err().to_string()
    };
    assert!(said(&none, &key).contains("none: it can't be read"));
    assert!(said(&key, &key).contains("key.pem: there is no certificate in it"));
    assert!(said(&chain, &chain).contains("chain.pem: there is no private key in it"));
    assert!(said(&chain, &other.path("key.pem")).contains("does not belong to the certificate in"));
    std::fs::write(&none, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    assert!(said(&none, &key).contains("none: it is no PEM file"));
    assert!(Roots::with_file(&key).unwrap_err().to_string().contains("there is no certificate in it"));
}

#[tokio::test]
async fn tls_without_a_certificate_is_refused() {
    let error = listen(&identity(1), &[at("/tls/ws")], OPTIONS).await.unwrap_err();
    assert!(error.to_string().contains("there is no certificate"), "{error}");
}

#[tokio::test]
async fn the_key_of_the_relay_is_what_counts() {
    let authority = Authority::new();
    let relay = start(&["/tls/ws"], options(&authority)).await;
    let expected = identity(9).relay_id();
    let dialled = dial(&identity(2), expected, relay.listener.addresses(), trusting(&authority)).await;
    assert!(matches!(dialled, Err(DialError::WrongRelayKey { .. })), "{dialled:?}");
}
