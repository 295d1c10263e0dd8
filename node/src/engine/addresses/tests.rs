use undertone_protocol::ids::{Handle, MailboxId, Secret};
use undertone_protocol::keys::{MailboxAddress, RelayAddress};

use super::*;

fn grant(device: u8, relay: u8, secret: u8, priority: u32) -> DeliveryGrant {
    let addresses = vec!["/ip4/127.0.0.1/tcp/1".to_owned()];
    DeliveryGrant {
        device: DeviceId::new([device; 32]),
        mailbox: MailboxAddress {
            relay: RelayAddress { relay: RelayId::new([relay; 32]), addresses },
            mailbox: MailboxId::new([relay; 16]),
            epoch: 1,
            priority,
        },
        token: TokenGrant::issue(&Secret::new([secret; 32]), Step::named(Handle::new([1; 8]))),
    }
}

/// Which devices have other tokens, and which mailboxes are gone.
fn became(
    known: &[DeliveryGrant],
    said: &[DeliveryGrant],
) -> (bool, Vec<DeviceId>, Vec<(DeviceId, RelayId)>) {
    let Changes { any, renewed, gone } = Changes::of(known, said);
    (any, renewed, gone)
}

#[test]
fn a_mailbox_that_comes_along_makes_nothing_old() {
    let known = [grant(1, 1, 1, 0), grant(2, 1, 1, 0)];
    assert_eq!(became(&known, &known), (false, vec![], vec![]));
    let more = [grant(1, 1, 1, 0), grant(1, 2, 2, 1)];
    assert_eq!(became(&known, &more), (true, vec![], vec![]));
    // It is preferred less, or is elsewhere: what is on its way gets there.
    let mut other = grant(1, 1, 1, 7);
    other.mailbox.relay.addresses = vec!["/ip4/127.0.0.1/tcp/2".to_owned()];
    assert_eq!(became(&known, &[other]), (true, vec![], vec![]));
}

#[test]
fn other_tokens_and_first_mailboxes_are_told() {
    let (one, other) = (DeviceId::new([1; 32]), DeviceId::new([2; 32]));
    let known = [grant(1, 1, 1, 0), grant(1, 2, 2, 0)];
    assert_eq!(became(&known, &[grant(1, 1, 3, 0), grant(1, 2, 2, 0)]), (true, vec![one], vec![]));
    let said = [grant(1, 1, 1, 0), grant(1, 2, 2, 0), grant(2, 1, 1, 0)];
    assert_eq!(became(&known, &said), (true, vec![other], vec![]));
}

#[test]
fn what_is_gone_is_told_of_devices_that_spoke() {
    let one = DeviceId::new([1; 32]);
    let known = [grant(1, 1, 1, 0), grant(1, 2, 2, 0), grant(2, 1, 1, 0)];
    let gone = |relay: u8| (one, RelayId::new([relay; 32]));
    assert_eq!(became(&known, &[grant(1, 2, 2, 0)]), (true, vec![], vec![gone(1)]));
    assert_eq!(became(&known, &[grant(1, 3, 3, 0)]), (true, vec![], vec![gone(1), gone(2)]));
}

#[test]
fn what_differs_in_the_last_step_alone_is_there_anew() {
    let one = DeviceId::new([1; 32]);
    let with_path = |handles: &[u8]| {
        let secret = Secret::new([1; 32]);
        let mut steps = handles.iter().map(|handle| Step::named(Handle::new([*handle; 8])));
        let first = TokenGrant::issue(&secret, steps.next().unwrap());
        let token = steps.fold(first, |token, step| token.extend(step).unwrap());
        DeliveryGrant { token, ..grant(1, 1, 1, 0) }
    };
    let anew = (true, vec![one], vec![(one, RelayId::new([1; 32]))]);
    let other = (true, vec![one], vec![]);
    for (known, said, expected) in [
        (&[1][..], &[1, 7][..], &anew),
        (&[1, 7], &[1, 8], &anew),
        (&[1, 2], &[1, 2, 7], &anew),
        (&[1], &[2], &other),
        (&[1, 7], &[2, 7], &other),
        (&[1, 7], &[1], &other),
    ] {
        let became = became(&[with_path(known)], &[with_path(said)]);
        assert_eq!(became, *expected, "{known:?}, {said:?}");
    }
    let mut elsewhere = with_path(&[1, 7]);
    elsewhere.mailbox.epoch = 2;
    assert_eq!(became(&[with_path(&[1])], &[elsewhere]), other, "a new epoch says so itself");
}
