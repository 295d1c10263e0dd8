//! What is stored, and what is refused of it.

use automerge::Automerge;
use proptest::prelude::*;

use super::fixtures::*;
use crate::ids::{ConversationId, OperationHash};
use crate::membership::*;

const SIGNATURES_AT: usize = 65 + 4 + 4 * 96 + 4 + 4;

fn document() -> Document {
    let steps: Vec<Step> = (0..12_u8)
        .map(|number| match number % 3 {
            0 => Step::Learn { who: number % PEOPLE, from: (number / 3) % PEOPLE },
            // Roles and names: everybody stays in.
            1 => Step::Write { who: number % PEOPLE, kind: 2 + number % 2, whom: 3 },
            _ => Step::Write { who: number % PEOPLE, kind: 6, whom: 3 },
        })
        .collect();
    let all = grown(&steps);
    let mut document = Document::new(Document::group_of(&all[0]));
    all.iter().for_each(|signed| drop(take(&mut document, signed)));
    document
}

/// With the right checksum again.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = blake3::hash(&bytes[33..]);
    bytes[1..33].copy_from_slice(checksum.as_bytes());
    bytes
}

#[test]
fn what_was_saved_is_loaded() {
    let mut before = document();
    let saved = before.save();
    let mut after = Document::load(&saved).unwrap();
    assert_same(&mut before, &mut after);
    assert_eq!(after.save(), saved);
    assert_eq!(after.group(), before.group());
    assert_eq!(after.check_signatures(), Ok(()));
    // It goes on where it was, and asks for no certificate that it had.
    let next = person(1).next(&before, name("next"));
    assert!(matches!(after.take(SUPPLIER, next.signed(), unknown), Ok(Taken::Held(_))));
    take(&mut before, &next);
    assert_same(&mut before, &mut after);
}

#[test]
fn what_came_since_is_stored_behind_it() {
    let mut before = document();
    let mut parts = vec![before.save()];
    for (at, called) in (0..).zip(["one", "two", "three"]) {
        let from = before.len();
        let next = person(at % 2).next(&before, name(called));
        take(&mut before, &next);
        parts.push(before.save_since(from).unwrap());
    }
    assert!(parts[1..].iter().all(|part| part.len() < 800), "a part has one operation");
    let mut after = Document::load_parts(&parts).unwrap();
    assert_same(&mut before, &mut after);
    assert_eq!(after.save(), before.save());
    let without = |at: usize| [&parts[..at], &parts[at + 1..]].concat();
    assert!(Document::load_parts(&without(2)).is_err());
    assert!(Document::load_parts(&without(0)).is_err());
    assert!(Document::load_parts(&Vec::<Vec<u8>>::new()).is_err());
    let other = Document::new(ConversationId::new([1; 32])).save();
    assert!(Document::load_parts(&[parts[0].clone(), other]).is_err());
    assert_eq!(before.save_since(before.len() + 1), None);
}

#[test]
fn of_an_empty_one_the_group_is_saved() {
    let empty = Document::new(ConversationId::new([1; 32]));
    let loaded = Document::load(&empty.save()).unwrap();
    assert_eq!((loaded.group(), loaded.len()), (empty.group(), 0));
}

#[test]
fn what_waits_is_not_saved() {
    let mut document = document();
    let first = person(0).next(&document, name("first"));
    let mut later = document.clone();
    take(&mut later, &first);
    let second = person(0).next(&later, name("second"));
    document.take(SUPPLIER, second.signed(), known).unwrap();
    assert_eq!(document.waiting(), 1);
    assert_eq!(Document::load(&document.save()).unwrap().waiting(), 0);
}

#[test]
fn its_end_is_an_automerge_document() {
    let document = document();
    let saved = document.save();
    let chunks = &saved[SIGNATURES_AT + document.len() * 68..];
    let loaded = Automerge::load(chunks).unwrap();
    let mut heads: Vec<OperationHash> =
        loaded.get_heads().into_iter().map(|head| OperationHash::new(head.0)).collect();
    heads.sort();
    assert_eq!(heads, document.heads());
}

#[test]
fn damage_is_told() {
    let saved = document().save();
    for at in 0..saved.len() {
        let mut other = saved.clone();
        other[at] ^= 1 << (at % 8);
        assert!(Document::load(&other).is_err(), "byte {at}");
    }
    for length in (0..saved.len()).step_by(7) {
        assert!(Document::load(&saved[..length]).is_err(), "cut to {length} bytes");
    }
    assert!(Document::load(&[&saved[..], &[0]].concat()).is_err());
    let mut other = saved;
    other[0] = 3;
    assert_eq!(Document::load(&other).unwrap_err(), LoadError::Version(3));
}

#[test]
fn a_signature_that_was_changed_with_its_checksum_is_found_when_it_is_looked_for() {
    let document = document();
    let mut saved = document.save();
    saved[SIGNATURES_AT + 68] ^= 1;
    let loaded = Document::load(&sealed(saved)).unwrap();
    let second = document.since(&[]).nth(1).unwrap().0;
    assert_eq!(loaded.check_signatures(), Err(second));
}

#[test]
fn a_document_of_another_group_is_refused_with_a_right_checksum() {
    let mut saved = document().save();
    saved[33] ^= 1;
    assert!(matches!(Document::load(&sealed(saved)), Err(LoadError::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// With a right checksum nothing panics, and what is loaded holds together.
    #[test]
    fn damage_with_a_right_checksum_is_told_or_harmless(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut saved = document().save();
        for (at, byte) in edits {
            let at = at.index(saved.len());
            saved[at] = byte;
        }
        if let Some(cut) = cut {
            saved.truncate(33 + cut.index(saved.len() - 33));
        }
        saved[0] = 2;
        if let Ok(mut loaded) = Document::load(&sealed(saved)) {
            loaded.view();
            let again = Document::load(&loaded.save()).unwrap();
            prop_assert_eq!(again.heads(), loaded.heads());
        }
    }
}
