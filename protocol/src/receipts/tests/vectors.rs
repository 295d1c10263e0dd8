//! `vectors/receipts.json`: what another implementation can check itself against, with `spec/receipts.md`.

use serde_json::{Value, json};

use super::acknowledgements::{acknowledgement, key};
use super::custody::{receipt, relay};
use crate::codec::Signed;
use crate::testing::vectors::{assert_stored, hex};

fn computed() -> Value {
    let of = |seed: &[u8; 32], public: [u8; 32], signed: &Signed| {
        json!({
            "seed": hex(seed),
            "public_key": hex(public),
            "body": hex(&signed.body),
            "signature": hex(signed.signature),
        })
    };
    json!({
        "acknowledgement": of(key().seed().expose(), *key().device().as_bytes(), &acknowledgement().signed),
        "custody_receipt": of(
            &relay().to_bytes(),
            relay().verifying_key().to_bytes(),
            &receipt().sign(&relay()),
        ),
    })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("receipts.json", &computed());
}
