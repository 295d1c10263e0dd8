//! Relays that find each other over a third one.

use ed25519_dalek::SigningKey;
use tokio::time::timeout;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
/// So long an answer may take; then it is asked again.
const ANSWER: Duration = Duration::from_millis(500);

struct Taking {
    key: SigningKey,
    listener: Listener,
    events: Receiver<ServerEvent>,
}

impl Taking {
    async fn start(number: u8) -> Self {
        let finder = Some(FinderOptions { now: || NOW });
        let local = ["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let (listener, events) =
            listen(&identity(number), &local, ListenOptions { finder, ..OPTIONS }).await.unwrap();
        Self { key: SigningKey::from_bytes(&[number; 32]), listener, events }
    }

    fn id(&self) -> RelayId {
        RelayId::new(self.key.verifying_key().to_bytes())
    }

    fn addresses(&self) -> Vec<String> {
        self.listener.addresses().iter().map(ToString::to_string).collect()
    }

    async fn tell(&self, find: Find) {
        self.listener.finder().unwrap().send(find).await.unwrap();
    }

    async fn knows(&self, other: &Self) {
        self.tell(Find::Known { relay: other.id(), addresses: other.addresses() }).await;
    }

    async fn announces(&self, issued: Timestamp) -> wire::Signed {
        let record = RelayRecord::issue(&self.key, self.addresses(), issued).unwrap().signed.to_wire();
        self.tell(Find::Announced { record: record.clone() }).await;
        record
    }

    /// Looks until this is found.
    async fn finds(&mut self, relay: RelayId, wanted: &wire::Signed) {
        loop {
            self.tell(Find::Sought { relay, for_device: false }).await;
            while let Ok(event) = timeout(ANSWER, self.events.recv()).await {
                let Some(ServerEvent::Found { record }) = event else { continue };
                let read = RelayRecord::verify(Signed::from_wire(record.clone()).unwrap()).unwrap();
                assert_eq!(read.address.relay, relay);
                if record == *wanted {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_relay_is_found_over_another_one_and_its_newest_word_counts() {
    let (mut a, b, c) = (Taking::start(31).await, Taking::start(32).await, Taking::start(33).await);
    a.knows(&b).await;
    c.knows(&b).await;
    let first = c.announces(NOW).await;
    timeout(HANG, a.finds(c.id(), &first)).await.expect("it is found");
    let second = c.announces(NOW.after(Duration::from_secs(1))).await;
    timeout(HANG, a.finds(c.id(), &second)).await.expect("and where it moved to");
}

/// Whoever has a relay dial them was let in by no gate: they get no stream on that connection.
#[tokio::test]
async fn one_that_is_dialled_to_find_others_gets_no_stream() {
    let mut relay = Taking::start(31).await;
    let rogue = identity(32);
    let mut swarm = swarm::build(swarm::Setup {
        identity: &rogue,
        behaviour: behaviour::Behaviour::rogue(Protocol::Device, OPTIONS.gate, HANG),
        dns: false,
        handshake: HANG,
        listen_backlog: 16,
        certificate: None,
        roots: Roots::default(),
    })
    .unwrap();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let opened = timeout(HANG, async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    let addresses = vec![address.to_string()];
                    relay.tell(Find::Known { relay: rogue.relay_id(), addresses }).await;
                    relay.tell(Find::Sought { relay: identity(33).relay_id(), for_device: false }).await;
                }
                SwarmEvent::Behaviour(behaviour::Event::Opened { stream, .. }) => break stream,
                SwarmEvent::Behaviour(behaviour::Event::Refused { error, .. }) => panic!("{error}"),
                _ => {}
            }
        }
    });
    let mut stream = opened.await.expect("it is dialled");
    let driver = tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let mut byte = [0];
    let read = timeout(HANG, stream.read(&mut byte)).await.expect("the stream stays open");
    assert!(!matches!(read, Ok(1)), "{read:?}");
    assert!(timeout(QUIET, relay.events.recv()).await.is_err(), "a link came of it");
    driver.abort();
}

#[tokio::test]
async fn a_listener_that_does_not_take_part_answers_nothing() {
    let relay = Relay::start(OPTIONS).await;
    assert!(relay.listener.finder().is_none());
}
