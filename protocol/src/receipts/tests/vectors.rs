//! `vectors/receipts.json`: what another implementation can check itself against, with `spec/receipts.md`.

use serde_json::{Value, json};

use super::acknowledgements::{acknowledgement, key, part};
use super::custody::{PAYLOADS, receipt, relay};
use crate::testing::schema::signed;
use crate::testing::vectors::{assert_stored, hex};

fn computed() -> Value {
    let by = |seed: [u8; 32], public: [u8; 32], mut signed: Value| {
        signed["seed"] = json!(hex(seed));
        signed["public_key"] = json!(hex(public));
        signed
    };
    let acknowledgement = signed("Acknowledgement", &acknowledgement().signed);
    let part = signed("Acknowledgement", &part().signed);
    let mut receipt = signed("CustodyReceipt", &receipt().sign(&relay()));
    receipt["payloads"] = PAYLOADS.map(hex).to_vec().into();
    json!({
        "acknowledgement_part": by(*key().seed().expose(), *key().device().as_bytes(), part),
        "acknowledgement": by(*key().seed().expose(), *key().device().as_bytes(), acknowledgement),
        "custody_receipt": by(relay().to_bytes(), relay().verifying_key().to_bytes(), receipt),
    })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("receipts.json", &computed());
}
