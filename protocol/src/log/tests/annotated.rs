use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use crate::entry::{Act, Annotation, Content, EntryBody, EntryHeader, Text};
use crate::ids::{ConversationId, DeviceId, EntryId, UserId};
use crate::limits::ANNOTATIONS_MAX;
use crate::log::{Annotated, Authority, Equals, Made, OrderKey};
use crate::testing::schema::fields;
use crate::testing::vectors::{assert_stored, hex};
use crate::time::Timestamp;

const TARGET: EntryId = EntryId::new([1; 32]);
const AUTHOR: UserId = UserId::new([0; 32]);

/// Some user's device's entry with a number, an effective time, and what it does.
#[derive(Debug, Clone)]
struct One {
    user: u8,
    device: u8,
    seq: u64,
    effective: u64,
    act: Act,
}

/// What is made of it.
struct Kept {
    user: UserId,
    place: OrderKey,
    header: EntryHeader,
    annotation: Annotation,
}

fn kept(one: &One) -> Kept {
    // A user has several devices: a device is of one user.
    let device = DeviceId::new([one.user * 16 + one.device; 32]);
    let entry = EntryId::new(*blake3::hash(format!("{one:?}").as_bytes()).as_bytes());
    Kept {
        user: UserId::new([one.user; 32]),
        place: OrderKey { effective: Timestamp::from_ms(one.effective), device, entry },
        header: EntryHeader {
            conversation: ConversationId::new([3; 32]),
            device,
            seq: one.seq,
            prev: (one.seq > 1).then_some(TARGET),
            heads: Vec::new(),
            claimed: Timestamp::from_ms(one.effective),
            membership_heads: Vec::new(),
            body_hash: [0; 32],
            expires: None,
        },
        annotation: Annotation { entry: TARGET, act: one.act.clone() },
    }
}

fn original() -> Text {
    Text { reply_to: Some(EntryId::new([7; 32])), forwarded: true, ..Text::plain("original") }
}

fn resolved(made: &[Kept], authority: &dyn Authority) -> Annotated {
    let made = made.iter().map(|kept| Made {
        user: kept.user,
        place: kept.place,
        header: &kept.header,
        annotation: &kept.annotation,
    });
    Annotated::of(&original(), &AUTHOR, made, authority)
}

fn shown(made: &[One]) -> Annotated {
    resolved(&made.iter().map(kept).collect::<Vec<_>>(), &Equals)
}

fn one(user: u8, device: u8, seq: u64, act: Act) -> One {
    One { user, device, seq, effective: seq, act }
}

fn edit(text: &str) -> Act {
    Act::Edit(Text::plain(text))
}

fn text(shown: &Annotated) -> Option<&str> {
    shown.text.as_ref().map(|text| text.text.as_str())
}

/// User 1 administrates.
struct Admins;

impl Authority for Admins {
    fn deletes_others(&self, made: &Made<'_>) -> bool {
        made.user == UserId::new([1; 32])
    }

    fn pins(&self, made: &Made<'_>) -> bool {
        self.deletes_others(made)
    }
}

#[test]
fn the_last_edit_of_the_author_counts() {
    let edits = [one(0, 0, 1, edit("first")), one(0, 1, 5, edit("last")), one(0, 0, 4, edit("second"))];
    let shown = shown(&edits);
    assert_eq!((text(&shown), shown.edited), (Some("last"), true));
    let text = shown.text.unwrap();
    assert_eq!((text.reply_to, text.forwarded), (original().reply_to, true), "these stay");
}

#[test]
fn only_the_author_edits_and_deletes() {
    let shown = shown(&[one(1, 0, 1, edit("forged")), one(1, 0, 2, Act::Delete)]);
    assert_eq!((text(&shown), shown.edited), (Some("original"), false));
}

#[test]
fn a_policy_lets_others_delete() {
    let made = [kept(&one(2, 0, 1, Act::Delete))];
    assert!(!resolved(&made, &Admins).is_deleted(), "not of the admins");
    let made = [kept(&one(1, 0, 1, Act::Delete)), kept(&one(0, 0, 1, Act::Pin(true)))];
    assert!(resolved(&made, &Admins).is_deleted());
    assert!(!resolved(&made, &Equals).is_deleted());
    let pins = [kept(&one(0, 0, 1, Act::Pin(true)))];
    assert_eq!((resolved(&pins, &Admins).pinned, resolved(&pins, &Equals).pinned), (false, true));
}

#[test]
fn what_was_deleted_stays_so() {
    let made = [
        one(0, 0, 1, Act::Delete),
        one(0, 0, 2, edit("again")),
        one(0, 1, 9, Act::Pin(true)),
        one(1, 0, 9, Act::Reaction("+".to_owned())),
    ];
    let shown = shown(&made);
    assert!(shown.is_deleted() && shown.reactions.is_empty() && !shown.pinned && !shown.edited);
}

#[test]
fn each_user_has_one_reaction() {
    let reaction =
        |user, device, seq, reaction: &str| one(user, device, seq, Act::Reaction(reaction.to_owned()));
    let made =
        [reaction(0, 0, 1, "a"), reaction(0, 1, 2, "b"), reaction(1, 0, 1, "c"), reaction(2, 0, 1, "d")];
    let all = shown(&made).reactions;
    assert_eq!(all.values().collect::<Vec<_>>(), ["b", "c", "d"]);
    let taken_back = [&made[..], &[reaction(0, 0, 7, "")]].concat();
    assert_eq!(shown(&taken_back).reactions.values().collect::<Vec<_>>(), ["c", "d"]);
}

#[test]
fn of_one_device_the_highest_number_counts_whatever_its_clock() {
    let made = [
        One { effective: 90, ..one(0, 0, 1, edit("first")) },
        One { effective: 10, ..one(0, 0, 2, edit("second")) },
    ];
    assert_eq!(text(&shown(&made)), Some("second"));
}

#[test]
fn a_deletion_that_is_not_allowed_any_more_takes_back_none() {
    struct Early;
    impl Authority for Early {
        fn deletes_others(&self, made: &Made<'_>) -> bool {
            made.header.seq < 5
        }
        fn pins(&self, _: &Made<'_>) -> bool {
            true
        }
    }
    let made = [kept(&one(1, 0, 4, Act::Delete)), kept(&one(1, 0, 6, Act::Delete))];
    assert!(resolved(&made, &Early).is_deleted());
}

/// A device's flood displaces nobody else's, and of too many devices all choose the same.
#[test]
fn a_flood_is_bounded() {
    let flood = (1..=10_000).map(|seq| one(1, 0, seq, Act::Reaction(seq.to_string())));
    let made: Vec<_> = flood.chain([one(0, 0, 1, edit("edited"))]).collect();
    let shown = shown(&made);
    assert_eq!((text(&shown), shown.reactions.len()), (Some("edited"), 1));
    let many = (0..ANNOTATIONS_MAX + 10).map(|n| {
        let id = blake3::hash(&n.to_be_bytes());
        let mut kept = kept(&one(2, 0, 1, Act::Reaction("x".to_owned())));
        kept.header.device = DeviceId::new(*id.as_bytes());
        kept.user = UserId::new(*id.as_bytes());
        kept
    });
    let mut many: Vec<_> = many.chain([kept(&one(0, 0, 1, Act::Delete))]).collect();
    assert!(resolved(&many, &Equals).is_deleted(), "deletions count first");
    many.pop();
    let first = resolved(&many, &Equals);
    many.reverse();
    assert_eq!((first.reactions.len(), resolved(&many, &Equals)), (ANNOTATIONS_MAX, first));
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        "[a-c]?".prop_map(Act::Reaction),
        "[a-d]".prop_map(|text| edit(&text)),
        any::<bool>().prop_map(Act::Pin),
        Just(Act::Drop),
        Just(Act::Unknown),
    ]
}

fn made(act: impl Strategy<Value = Act>) -> impl Strategy<Value = Vec<One>> {
    let one = (0u8..3, 0u8..2, 1u64..6, 0u64..9, act);
    proptest::collection::vec(
        one.prop_map(|(user, device, seq, effective, act)| One { user, device, seq, effective, act }),
        0..12,
    )
}

proptest! {
    #[test]
    fn the_order_of_arrival_decides_nothing(
        set in made(prop_oneof![4 => act(), 1 => Just(Act::Delete)]),
        order in any::<u64>(),
    ) {
        let mut other = set.clone();
        // Some other order, with some of them twice.
        other.sort_by_key(|one| blake3::hash(format!("{order} {one:?}").as_bytes()).to_hex().to_string());
        other.extend(set.iter().take(3).cloned());
        for authority in [&Equals as &dyn Authority, &Admins] {
            let [set, other]: [Vec<_>; 2] = [&set, &other].map(|made| made.iter().map(kept).collect());
            prop_assert_eq!(resolved(&set, authority), resolved(&other, authority));
        }
    }

    /// What a store keeps back, because a later one of the same device stands in its place, changes nothing.
    #[test]
    fn one_of_a_device_and_kind_is_enough(set in made(act())) {
        let is_last = |one: &One| {
            let same = |other: &One| {
                (other.user, other.device, other.act.kind()) == (one.user, one.device, one.act.kind())
            };
            let key = |one: &One| (one.seq, kept(one).place.entry);
            set.iter().filter(|other| same(other)).all(|other| key(other) <= key(one))
        };
        let few: Vec<One> = set.iter().filter(|one| is_last(one)).cloned().collect();
        prop_assert_eq!(shown(&few), shown(&set));
    }

    #[test]
    fn a_deletion_by_the_author_wins(set in made(act()), seq in 1u64..6) {
        let mut set = set;
        set.push(one(0, 1, seq, Act::Delete));
        prop_assert!(shown(&set).is_deleted());
    }

    #[test]
    fn any_annotation_round_trips(act in act(), entry: [u8; 32]) {
        prop_assume!(act != Act::Unknown);
        let content = Content::Annotation(Annotation { entry: EntryId::new(entry), act });
        let body = EntryBody::new(content, &mut ChaCha20Rng::from_seed([8; 32])).unwrap();
        prop_assert_eq!(EntryBody::from_bytes(body.bytes.clone()), Ok(body));
    }
}

/// Sets of annotations of one text, as entries of three users' devices, and what they come to.
fn computed() -> Value {
    let reaction = |text: &str| Act::Reaction(text.to_owned());
    let mentioning = Text { mentions: vec![UserId::new([2; 32])], ..Text::plain("edited later") };
    let worlds = [
        (
            "edits and reactions",
            vec![
                one(0, 0, 2, edit("edited")),
                one(0, 1, 3, Act::Edit(mentioning)),
                one(1, 0, 4, edit("not by its author")),
                one(1, 0, 5, reaction("👍")),
                one(1, 1, 6, reaction("🎉")),
                one(2, 0, 7, reaction("👍")),
                one(2, 0, 8, reaction("")),
                one(2, 1, 9, Act::Pin(true)),
            ],
        ),
        (
            "one device with a clock that was set back",
            vec![
                One { effective: 90, ..one(0, 0, 1, edit("first")) },
                One { effective: 10, ..one(0, 0, 2, edit("second")) },
            ],
        ),
        ("deleted, then edited", vec![one(0, 0, 1, Act::Delete), one(0, 1, 2, edit("again"))]),
        ("deleted by somebody else", vec![one(1, 0, 1, Act::Delete)]),
    ];
    let worlds = worlds.map(|(title, made)| {
        let shown = shown(&made);
        let made: Vec<Value> = made.iter().map(described).collect();
        let reactions: Vec<Value> =
            shown.reactions.iter().map(|(user, text)| json!({ "user": user.to_hex(), "reaction": text })).collect();
        json!({
            "title": title,
            "annotations": made,
            "shown": {
                "deleted": shown.is_deleted(),
                "text": text(&shown),
                "mentions": shown.text.iter().flat_map(|text| &text.mentions).map(UserId::to_hex).collect::<Vec<_>>(),
                "edited": shown.edited,
                "pinned": shown.pinned,
                "reactions": reactions,
            },
        })
    });
    json!({ "entry": TARGET.to_hex(), "author": AUTHOR.to_hex(), "text": original().text, "worlds": worlds })
}

fn described(one: &One) -> Value {
    let Kept { user, place, header, annotation } = kept(one);
    let content = Content::Annotation(annotation);
    let body = EntryBody::new(content, &mut ChaCha20Rng::from_seed([8; 32])).unwrap().bytes;
    json!({
        "user": user.to_hex(),
        "device": header.device.to_hex(),
        "seq": header.seq,
        "effective_ms": place.effective.as_ms(),
        "id": place.entry.to_hex(),
        "body": hex(&body),
        "body_fields": fields("EntryBody", &body),
    })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("annotations.json", &computed());
}
