use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::*;
use crate::ids::{Handle, MailboxId, PayloadHash, PublishId, RelayId, Secret};
use crate::testing::schema::fields;
use crate::testing::vectors::{assert_stored, hex};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_ms(1_000_000);

const PAYLOAD: &[u8] = b"payload";

fn input() -> ProofInput {
    ProofInput {
        publish_id: PublishId::new([1; 16]),
        payload_hash: PayloadHash::of(PAYLOAD),
        relay: RelayId::new([2; 32]),
        expiry: Timestamp::from_ms(2_000_000),
    }
}

fn step(byte: u8) -> Step {
    Step::named(Handle::new([byte; 8]))
}

#[test]
fn a_holder_may_extend_and_prove() {
    let secret = Secret::new([3; 32]);
    let mut grant = TokenGrant::issue(&secret, step(1));
    for byte in 2..=4 {
        grant = grant.extend(step(byte)).unwrap();
        assert_eq!(check(&secret, grant.path(), &grant.prove(&input()), &input(), 0, NOW), Ok(()));
    }
    assert_eq!(grant.extend(step(5)), None);
}

#[test]
fn a_step_can_not_be_taken_away() {
    let secret = Secret::new([3; 32]);
    let grant = TokenGrant::issue(&secret, step(1)).extend(step(2)).unwrap();
    let proof = grant.prove(&input());
    assert_eq!(check(&secret, &grant.path()[..1], &proof, &input(), 0, NOW), Err(TokenDenied::Proof));
}

#[test]
fn the_narrowest_step_decides() {
    let secret = Secret::new([3; 32]);
    let ended = Step { not_after: Some(Timestamp::from_ms(999_999)), ..step(2) };
    let grant = TokenGrant::issue(&secret, step(1)).extend(ended).unwrap();
    let proof = grant.prove(&input());
    assert_eq!(check(&secret, grant.path(), &proof, &input(), 0, NOW), Err(TokenDenied::Expired));

    let class_0 = Step { classes: CLASS_0, ..step(2) };
    let grant = TokenGrant::issue(&secret, class_0);
    let proof = grant.prove(&input());
    assert_eq!(check(&secret, grant.path(), &proof, &input(), 0, NOW), Ok(()));
    assert_eq!(check(&secret, grant.path(), &proof, &input(), 1, NOW), Err(TokenDenied::Rights));
    assert_eq!(check(&secret, grant.path(), &proof, &input(), 200, NOW), Err(TokenDenied::Rights));
}

proptest! {
    #[test]
    fn any_other_input_is_refused(flip in 0usize..64, which in 0u8..4) {
        let secret = Secret::new([3; 32]);
        let grant = TokenGrant::issue(&secret, step(1));
        let proof = grant.prove(&input());
        let mut other = input();
        match which {
            0 => other.publish_id = PublishId::new([u8::try_from(flip).unwrap().wrapping_add(2); 16]),
            1 => other.payload_hash = PayloadHash::of(&[u8::try_from(flip).unwrap()]),
            2 => other.relay = RelayId::new([u8::try_from(flip).unwrap().wrapping_add(3); 32]),
            _ => other.expiry = Timestamp::from_ms(2_000_001 + u64::try_from(flip).unwrap()),
        }
        prop_assert_eq!(check(&secret, grant.path(), &proof, &other, 0, NOW), Err(TokenDenied::Proof));
    }

    #[test]
    fn grants_round_trip(handle in any::<[u8; 8]>(), rights in any::<u8>(), classes in any::<u8>(), rate in any::<u32>()) {
        let step = Step { handle: Handle::new(handle), rights, classes, not_after: None, per_minute: rate };
        let grant = TokenGrant::issue(&Secret::new([1; 32]), step);
        prop_assert_eq!(TokenGrant::from_wire(&grant.to_wire()), Ok(grant));
    }
}

/// `vectors/tokens.json`: what another implementation can check itself against, with `spec/tokens.md`.
#[test]
fn the_stored_vectors_are_what_we_compute() {
    let secret = Secret::new([3; 32]);
    let end = Some(Timestamp::from_ms(1_700_000_000_000));
    let narrow =
        Step { rights: DELIVER, classes: CLASS_0 | CLASS_1, not_after: end, per_minute: 60, ..step(2) };
    let steps = [step(1), narrow, step(4)];
    let mut grant: Option<TokenGrant> = None;
    let mut chain = Vec::new();
    for step in steps {
        let longer = match &grant {
            None => TokenGrant::issue(&secret, step.clone()),
            Some(grant) => grant.extend(step.clone()).unwrap(),
        };
        chain.push(json!({ "step": hex(step.to_hashed()), "key": hex(&longer.to_wire().key) }));
        grant = Some(longer);
    }
    let grant = grant.unwrap();
    let input = input();
    let recipient = grant.prove(&input).to_recipient(MailboxId::new([9; 16]), 1, grant.path());
    let computed = json!({
        "mailbox_secret": hex(secret.expose()),
        "chain": chain,
        "publish_id": input.publish_id.to_hex(),
        "payload": hex(PAYLOAD),
        "payload_hash": input.payload_hash.to_hex(),
        "relay": input.relay.to_hex(),
        "expiry_ms": input.expiry.as_ms(),
        "proof": hex(&recipient.proof),
        "recipient": hex(recipient.encode_to_vec()),
        "recipient_fields": fields("Recipient", recipient.encode_to_vec()),
    });
    assert_stored("tokens.json", &computed);
}
