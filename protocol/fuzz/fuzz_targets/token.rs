//! Delivery tokens: the bytes as a grant, and as a recipient with a path and a proof.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use undertone_fuzz::same;
use undertone_protocol::ids::{Handle, MailboxId, PayloadHash, PublishId, RelayId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{Proof, ProofInput, Step, TokenGrant, check};
use undertone_protocol::wire;

const SECRET: Secret = Secret::new([3; 32]);
const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fuzz_target!(|data: &[u8]| {
    let data = Bytes::copy_from_slice(data);
    if let Ok(grant) = wire::TokenGrant::decode(data.clone()) {
        held(&grant);
    }
    if let Ok(recipient) = wire::Recipient::decode(data) {
        presented(&recipient);
    }
});

fn held(grant: &wire::TokenGrant) {
    let Ok(grant) = TokenGrant::from_wire(grant) else { return };
    same(&grant, TokenGrant::from_wire(&grant.to_wire()));
    if let Some(longer) = grant.extend(Step::named(Handle::new([1; 8]))) {
        same(&longer, TokenGrant::from_wire(&longer.to_wire()));
    }
}

fn presented(recipient: &wire::Recipient) {
    let Ok((proof, path)) = Proof::from_recipient(recipient) else { return };
    let input = ProofInput {
        publish_id: PublishId::new([1; 16]),
        payload_hash: PayloadHash::of(b"payload"),
        relay: RelayId::new([2; 32]),
        expiry: NOW,
    };
    let _ = check(&SECRET, &path, &proof, &input, 0, NOW);
    // The same path as its owner would have issued it: only the proof of its last key holds.
    let mut steps = path.iter().cloned();
    let Some(first) = steps.next() else { return };
    let grant = steps.try_fold(TokenGrant::issue(&SECRET, first), |grant, step| grant.extend(step));
    let grant = grant.expect("a path that was accepted is no longer than a token may be");
    let valid = grant.prove(&input);
    let refused = check(&SECRET, &path, &valid, &input, 0, NOW);
    assert_ne!(refused, Err(undertone_protocol::token::TokenDenied::Proof));
    if proof != valid {
        assert!(check(&SECRET, &path, &proof, &input, 0, NOW).is_err());
    }
    let again = valid.to_recipient(MailboxId::new([9; 16]), 1, &path);
    same(&(valid, path), Proof::from_recipient(&again));
}
