//! `vectors/federation.json`: what another implementation can check itself against, with `spec/federation.md`.

use prost::Message;
use serde_json::{Value, json};

use super::circuits::{FORWARD, NOW, outgoing, receipt, relay, relay_id, routing_key, secret};
use super::records::record;
use crate::federation::*;
use crate::testing::Given;
use crate::testing::schema::{fields, signed};
use crate::testing::vectors::{assert_stored, hex};
use crate::wire;

/// The randomness of the encapsulation, and the answer's salt.
const RANDOM: [u8; 32] = [7; 32];
const SALT: [u8; 16] = [8; 16];

fn computed() -> Value {
    let mut circuit = Circuit::set_up(&routing_key(), &mut Given(RANDOM.to_vec())).unwrap();
    let (bytes, answer_key) = circuit.seal(outgoing()).unwrap();
    let parcel = Parcel::read(&bytes).unwrap();
    let keys = CircuitKeys::receive(&secret(), &relay_id(), &parcel.enc).unwrap();
    let answer = keys.seal_answer(&parcel, &receipt().sign(&relay()), &mut Given(SALT.to_vec())).unwrap();
    assert_eq!(answer_key.open(&answer), Ok(receipt()));
    let routes = outgoing().items.into_iter().map(|item| wire::OpenRoute { recipients: item.recipients });
    let route = wire::ParcelRoute { routes: routes.collect() }.encode_to_vec();
    json!({
        "relay_seed": hex(relay().to_bytes()),
        "relay": relay_id().to_hex(),
        "routing_secret": hex(secret().secret().expose()),
        "routing_key_id": hex(secret().id()),
        "routing_key": signed("RoutingKey", &routing_key().signed),
        "relay_record": signed("RelayRecord", &record().signed),
        "encapsulation_seed": hex(RANDOM),
        "circuit_answer_key": hex(answer_key.key.expose()),
        "route": { "bytes": hex(&route), "fields": fields("ParcelRoute", &route) },
        "parcel": { "bytes": hex(&bytes), "fields": fields("Parcel", &bytes) },
        "place": hex(parcel.place()),
        "receipt": signed("CustodyReceipt", &receipt().sign(&relay())),
        "forwarded": { "bytes": hex(answer.encode_to_vec()), "fields": fields("Forwarded", answer.encode_to_vec()) },
        "waiting": signed("WaitingNotice", &Waiting { forward_id: FORWARD, until: NOW }.sign(&relay())),
        "dead_letter": signed("DeadLetterNotice",
            &DeadLetter { forward_id: FORWARD, reason: DeadLetterReason::Expired }.sign(&relay())),
    })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("federation.json", &computed());
}
