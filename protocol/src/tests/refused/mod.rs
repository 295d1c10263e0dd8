//! `vectors/refused.json`: bytes that every reader must refuse, and why; beside each kind of structure one that is
//! accepted. What is signed is signed rightly unless the reason says otherwise.

mod crypto;
mod delivery;
mod groups;
mod identities;
mod log;
mod reader;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{array, bytes, list, read, text};
use crate::codec::Signed;
use crate::testing::vectors::{assert_stored, hex};

/// One case: a structure, what its reader is given, and what is to be said of it.
fn case(structure: &str, why: &str, given: Value) -> Value {
    let mut case = given;
    case["structure"] = json!(structure);
    case["why"] = json!(why);
    case["accepted"] = json!(false);
    case
}

/// The one that the others of its kind were made from.
fn original(structure: &str, given: Value) -> Value {
    let mut case = case(structure, "the original", given);
    case["accepted"] = json!(true);
    case
}

fn signed(signed: &Signed) -> Value {
    json!({ "body": hex(&signed.body), "signature": hex(signed.signature) })
}

/// `{body, signature}` of a vector.
fn stored(value: &Value) -> Signed {
    Signed { body: bytes(&value["body"]).into(), signature: array(&value["signature"]) }
}

/// One bit changed, in body and in signature, another label, another key, a signature that is cut: what no signed
/// structure survives. `with` is what else its reader is given.
fn forged(structure: &str, good: &Signed, foreign: &Signed, with: &Value) -> Vec<Value> {
    let merged = |given: Value| {
        let mut case = with.clone();
        for (name, value) in given.as_object().unwrap() {
            case[name] = value.clone();
        }
        case
    };
    let mut body = good.body.to_vec();
    let last = body.len() - 1;
    body[last] ^= 1;
    let altered = Signed { body: body.into(), ..good.clone() };
    let mut signature = good.signature;
    signature[0] ^= 1;
    let resigned = Signed { signature, ..good.clone() };
    let cut = json!({ "body": hex(&good.body), "signature": hex(&good.signature[..63]) });
    vec![
        original(structure, merged(signed(good))),
        case(structure, "the last bit of the body is another", merged(signed(&altered))),
        case(structure, "a bit of the signature is another", merged(signed(&resigned))),
        case(structure, "the signature has 63 bytes", merged(cut)),
        case(structure, "signed by somebody else", merged(signed(foreign))),
    ]
}

fn computed() -> Value {
    let parts = [identities::cases(), log::cases(), groups::cases(), delivery::cases(), crypto::cases()];
    json!({ "cases": parts.concat() })
}

#[test]
fn the_stored_cases_are_what_we_compute() {
    assert_stored("refused.json", &computed());
}

#[test]
fn each_is_refused_for_its_reason_alone() {
    let stored = read("refused.json");
    let (mut accepted, mut refused, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for case in list(&stored["cases"]) {
        let structure = text(&case["structure"]);
        let is_accepted = reader::accepts(structure, case);
        if is_accepted != (case["accepted"] == true) {
            wrong.push(format!("{structure}: {}", case["why"]));
        }
        if is_accepted {
            accepted.insert(structure)
        } else {
            refused.insert(structure)
        };
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(accepted, refused, "each kind has both");
}
