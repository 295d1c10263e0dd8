use proptest::prelude::*;

use crate::ids::{Handle, PayloadHash, PublishId, RelayId, Secret};
use crate::time::Timestamp;
use crate::token::{Proof, ProofInput, Step, TokenDenied, TokenGrant, check};
use crate::wire;

const NOW: Timestamp = Timestamp::from_ms(1_000_000);

prop_compose! {
    fn step()(handle: [u8; 8], rights: u8, classes: u8, end in prop::option::of(1u64..), per_minute: u32) -> Step {
        let not_after = end.map(Timestamp::from_ms);
        Step { handle: Handle::new(handle), rights, classes, not_after, per_minute }
    }
}

prop_compose! {
    fn input()(publish: [u8; 16], payload: [u8; 32], relay: [u8; 32], expiry: u64) -> ProofInput {
        ProofInput {
            publish_id: PublishId::new(publish),
            payload_hash: PayloadHash::of(&payload),
            relay: RelayId::new(relay),
            expiry: Timestamp::from_ms(expiry),
        }
    }
}

fn path() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=4)
}

fn issued(secret: &Secret, path: &[Step]) -> TokenGrant {
    let (first, rest) = path.split_first().unwrap();
    let first = TokenGrant::issue(secret, first.clone());
    rest.iter().fold(first, |grant, step| grant.extend(step.clone()).unwrap())
}

fn is_forged(secret: &Secret, path: &[Step], proof: &Proof, input: &ProofInput) -> bool {
    check(secret, path, proof, input, 0, NOW) == Err(TokenDenied::Proof)
}

proptest! {
    /// Steps only narrow because none can be taken away: of a path that was proved, no part verifies but the whole,
    /// be the last step dropped, the first, any prefix, or any others.
    #[test]
    fn no_part_of_a_path_verifies(secret: [u8; 32], path in path(), input in input()) {
        let secret = Secret::new(secret);
        let proof = issued(&secret, &path).prove(&input);
        prop_assert!(!is_forged(&secret, &path, &proof, &input));
        for kept in 0..(1u32 << path.len()) - 1 {
            let part: Vec<Step> =
                path.iter().enumerate().filter(|(at, _)| kept & (1 << at) != 0).map(|(_, step)| step.clone()).collect();
            prop_assert!(is_forged(&secret, &part, &proof, &input), "{} of {}", part.len(), path.len());
        }
    }

    /// Nor does what was proved for a part verify for the whole: who holds a longer token can't be taken for the
    /// holder of a shorter one.
    #[test]
    fn no_prefix_proves_the_whole(secret: [u8; 32], path in path(), input in input()) {
        let secret = Secret::new(secret);
        for length in 1..path.len() {
            let proof = issued(&secret, &path[..length]).prove(&input);
            prop_assert!(is_forged(&secret, &path, &proof, &input));
        }
    }

    /// Any other step in the place of one, steps in another order, a step more.
    #[test]
    fn no_other_path_verifies(
        secret: [u8; 32],
        path in path(),
        input in input(),
        other in step(),
        at: prop::sample::Index,
        order in any::<prop::sample::Index>(),
    ) {
        let secret = Secret::new(secret);
        let proof = issued(&secret, &path).prove(&input);
        let (at, order) = (at.index(path.len()), order.index(path.len()));
        let (mut replaced, mut swapped, mut longer) = (path.clone(), path.clone(), path.clone());
        replaced[at] = other.clone();
        swapped.swap(at, order);
        longer.insert(at, other);
        for changed in [replaced, swapped, longer] {
            prop_assert_eq!(is_forged(&secret, &changed, &proof, &input), changed != path);
        }
    }

    /// A proof is for one payload of one publish at one relay until one moment, under one epoch's secret.
    #[test]
    fn no_proof_is_used_again(secret: [u8; 32], path in path(), input in input(), other in input(), foreign: [u8; 32], bit in 0usize..256) {
        let secret = Secret::new(secret);
        let grant = issued(&secret, &path);
        let proof = grant.prove(&input);
        let mixed = [
            ProofInput { publish_id: other.publish_id, ..input },
            ProofInput { payload_hash: other.payload_hash, ..input },
            ProofInput { relay: other.relay, ..input },
            ProofInput { expiry: other.expiry, ..input },
        ];
        for mixed in mixed {
            prop_assert_eq!(is_forged(&secret, &path, &proof, &mixed), mixed != input);
        }
        let foreign = Secret::new(foreign);
        prop_assert_eq!(is_forged(&foreign, &path, &proof, &input), foreign != secret);
        let mut recipient = proof.to_recipient(crate::ids::MailboxId::new([9; 16]), 1, &path);
        let mut bytes = recipient.proof.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        recipient.proof = bytes.into();
        let (flipped, path) = Proof::from_recipient(&recipient).unwrap();
        prop_assert!(is_forged(&secret, &path, &flipped, &input));
        for length in 0..32 {
            let cut = wire::Recipient { proof: recipient.proof.slice(..length), ..recipient.clone() };
            prop_assert!(Proof::from_recipient(&cut).is_err());
        }
    }
}
