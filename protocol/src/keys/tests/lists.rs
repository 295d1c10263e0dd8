use std::cmp::Ordering;

use proptest::prelude::*;

use super::fixtures::{certificate, device, identity, list};
use crate::codec::{Label, sign};
use crate::keys::*;
use crate::limits::DEVICES_PER_USER_MAX;
use crate::testing::hostile::{altered, assert_only_original, mutated};
use crate::wire;

/// The lists of one user, each with one device more.
fn chain(length: u8) -> Vec<DeviceList> {
    let key = identity(1);
    let mut lists: Vec<DeviceList> = Vec::new();
    for n in 1..=length {
        let seeds: Vec<u8> = (1..=n).collect();
        lists.push(list(&key, lists.last(), &seeds));
    }
    lists
}

#[test]
fn a_list_says_what_was_listed() {
    let key = identity(1);
    let first = list(&key, None, &[1, 2]);
    let devices = [(1, true), (2, false)];
    let devices =
        devices.map(|(seed, revoked)| ListedDevice { certificate: certificate(&key, seed), revoked });
    let second = DeviceList::issue(&key, Some(&first), devices.to_vec());
    let read = DeviceList::verify(second.signed.clone()).unwrap();
    assert_eq!(read, second);
    assert_eq!((read.user, read.number, read.prev), (key.user(), 2, Some(first.hash())));
    assert_eq!(read.active_device(&device(1).device()), None, "it was revoked");
    assert_eq!(read.device(&device(1).device()), Some(&certificate(&key, 1)));
    assert_eq!(read.active().collect::<Vec<_>>(), [&certificate(&key, 2)]);
}

#[test]
fn a_list_holds_as_signed_only() {
    let signed = chain(2).remove(1).signed;
    assert_only_original(&signed, |signed| DeviceList::verify(signed).is_ok());
    let other = sign(Label::Certificate, identity(1).signing_key(), signed.body.clone());
    assert!(matches!(DeviceList::verify(other), Err(KeysError::BadSignature(_))), "another label");
    let other = sign(Label::DeviceList, identity(2).signing_key(), signed.body);
    assert!(matches!(DeviceList::verify(other), Err(KeysError::BadSignature(_))), "another user's signature");
}

#[test]
fn an_ill_formed_list_is_refused_though_signed() {
    type Change = fn(&mut wire::DeviceList);
    let changes: [(&str, Change); 9] = [
        ("version", |body| body.version = 0),
        ("suite", |body| body.suite = 2),
        ("number 0", |body| body.number = 0),
        ("number 1 with a predecessor", |body| body.number = 1),
        ("number 2 without one", |body| body.prev = Vec::new().into()),
        ("predecessor", |body| body.prev = vec![1; 31].into()),
        ("no device", |body| body.devices.clear()),
        ("a device twice", |body| body.devices.extend(body.devices.clone())),
        ("a device without certificate", |body| body.devices[0].certificate = None),
    ];
    let key = identity(1);
    let signed = chain(2).remove(1).signed;
    for (what, change) in changes {
        let other = altered(Label::DeviceList, key.signing_key(), &signed, change);
        assert!(matches!(DeviceList::verify(other), Err(KeysError::Malformed(_))), "{what}");
    }
}

#[test]
fn devices_are_bounded() {
    let key = identity(1);
    let count = u8::try_from(DEVICES_PER_USER_MAX).unwrap();
    let full: Vec<u8> = (1..=count).collect();
    let over: Vec<u8> = (1..=count + 1).collect();
    assert!(DeviceList::verify(list(&key, None, &full).signed).is_ok());
    assert!(DeviceList::verify(list(&key, None, &over).signed).is_err());
}

#[test]
fn another_users_device_is_refused() {
    let foreign = ListedDevice { certificate: certificate(&identity(2), 1), revoked: false };
    let list = DeviceList::issue(&identity(1), None, vec![foreign]);
    assert_eq!(DeviceList::verify(list.signed), Err(KeysError::WrongUser));
}

#[test]
fn a_first_list_beside_a_known_one_is_a_reset() {
    let known = chain(3).remove(2);
    let reinstalled = list(&identity(1), None, &[9]);
    assert_eq!(reinstalled.judge(None), ListVerdict::Newer);
    assert_eq!(reinstalled.judge(Some(&known)), ListVerdict::Reset);
    assert_eq!(chain(1)[0].judge(Some(&known)), ListVerdict::Older, "all its devices are known");
}

#[test]
fn two_lists_in_one_place_are_a_conflict() {
    let key = identity(1);
    let lists = chain(3);
    let same_number = list(&key, Some(&lists[0]), &[1, 9]);
    assert_eq!(same_number.judge(Some(&lists[1])), ListVerdict::Conflict);
    let on_another = list(&key, Some(&same_number), &[1, 9]);
    assert_eq!(
        on_another.judge(Some(&lists[1])),
        ListVerdict::Conflict,
        "the next number, another predecessor"
    );
    assert_eq!(on_another.judge(Some(&lists[0])), ListVerdict::Newer, "what lies between was missed");
}

proptest! {
    #[test]
    fn a_chain_is_followed_with_gaps(at in 1u8..8, known in 1u8..8) {
        let lists = chain(8);
        let verdict = lists[usize::from(at)].judge(Some(&lists[usize::from(known)]));
        prop_assert_eq!(verdict, match at.cmp(&known) {
            Ordering::Less => ListVerdict::Older,
            Ordering::Equal => ListVerdict::Same,
            Ordering::Greater => ListVerdict::Newer,
        });
    }

    #[test]
    fn the_highest_stays_in_any_order(order in proptest::collection::vec(1usize..8, 1..20)) {
        let lists = chain(8);
        let mut known: Option<&DeviceList> = None;
        for at in &order {
            if lists[*at].judge(known) == ListVerdict::Newer {
                known = Some(&lists[*at]);
            }
        }
        let highest = order.iter().max().map(|at| &lists[*at]);
        prop_assert_eq!(known, highest);
    }

    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>, edits: Vec<(usize, u8)>) {
        let key = identity(1);
        prop_assert!(DeviceList::verify(sign(Label::DeviceList, key.signing_key(), body)).is_err());
        let signed = mutated(Label::DeviceList, key.signing_key(), &chain(2)[1].signed, &edits);
        if let Ok(read) = DeviceList::verify(signed) {
            prop_assert_eq!(read.user, key.user());
            prop_assert!(read.number > 0 && !read.devices.is_empty());
        }
    }
}
