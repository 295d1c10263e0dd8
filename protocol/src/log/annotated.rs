use std::collections::BTreeMap;

use super::order::OrderKey;
use crate::entry::{Act, ActKind, Annotation, Content, EntryHeader, SignedEntry, Text};
use crate::ids::{DeviceId, UserId};
use crate::limits::ANNOTATIONS_MAX;

/// An annotation with who made it, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// The user whose device made it.
    pub user: UserId,
    /// Its place in the log.
    pub place: OrderKey,
    /// Its entry's header.
    pub header: &'a EntryHeader,
    /// What it says.
    pub annotation: &'a Annotation,
}

impl<'a> Made<'a> {
    /// An entry as an annotation; `None` if it is none.
    pub fn of(entry: &'a SignedEntry, user: UserId, place: OrderKey) -> Option<Self> {
        match &entry.body.content {
            Content::Annotation(annotation) => Some(Self { user, place, header: &entry.header, annotation }),
            _ => None,
        }
    }
}

/// Who may do to others' entries what only their author may else: a group's policy plugs in here. Judged by the
/// annotation alone, never by when it came.
pub trait Authority {
    /// Whether the maker may delete somebody else's entry for everyone.
    fn deletes_others(&self, made: &Made<'_>) -> bool;
    /// Whether the maker may pin entries, and take pins off.
    fn pins(&self, made: &Made<'_>) -> bool;
}

/// A direct conversation: only authors delete, and both users pin.
#[derive(Debug, Clone, Copy)]
pub struct Equals;

impl Authority for Equals {
    fn deletes_others(&self, _: &Made<'_>) -> bool {
        false
    }

    fn pins(&self, _: &Made<'_>) -> bool {
        true
    }
}

/// Whether somebody may annotate an entry of `author` so.
pub fn may_annotate(made: &Made<'_>, author: &UserId, authority: &dyn Authority) -> bool {
    match made.annotation.act {
        Act::Reaction(_) => true,
        Act::Edit(_) => made.user == *author,
        Act::Delete => made.user == *author || authority.deletes_others(made),
        Act::Pin(_) => authority.pins(made),
        Act::Unknown => false,
    }
}

/// A text as it shows, with all that was said of it: a function of the set of annotations (`spec/messages.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotated {
    /// The text; `None`: it was deleted for everyone, and nothing else is said of it.
    pub text: Option<Text>,
    /// Whether its author changed it.
    pub edited: bool,
    /// Each user's reaction; none of them is empty.
    pub reactions: BTreeMap<UserId, String>,
    /// Whether it is pinned.
    pub pinned: bool,
}

impl Annotated {
    /// What was deleted for everyone.
    pub const fn deleted() -> Self {
        Self { text: None, edited: false, reactions: BTreeMap::new(), pinned: false }
    }

    /// What a text of `author` has become by annotations, in any order. Those that are of other entries, or beyond a
    /// cut, must be left out.
    pub fn of<'a>(
        text: &Text,
        author: &UserId,
        made: impl IntoIterator<Item = Made<'a>>,
        authority: &dyn Authority,
    ) -> Self {
        let made = counting(made);
        let made: Vec<_> = made.iter().filter(|made| may_annotate(made, author, authority)).collect();
        if made.iter().any(|made| made.annotation.act == Act::Delete) {
            return Self::deleted();
        }
        let mut shown =
            Self { text: Some(text.clone()), edited: false, reactions: BTreeMap::new(), pinned: false };
        for made in made {
            shown.apply(made);
        }
        shown.reactions.retain(|_, reaction| !reaction.is_empty());
        shown
    }

    /// Applies an annotation that stands behind all that were applied before.
    fn apply(&mut self, made: &Made<'_>) {
        match &made.annotation.act {
            Act::Reaction(reaction) => {
                self.reactions.insert(made.user, reaction.clone());
            }
            Act::Edit(edit) => {
                if let Some(text) = &mut self.text {
                    text.text.clone_from(&edit.text);
                    text.mentions.clone_from(&edit.mentions);
                    self.edited = true;
                }
            }
            Act::Pin(pin) => self.pinned = *pin,
            Act::Delete | Act::Unknown => {}
        }
    }

    /// Whether it was deleted for everyone.
    pub const fn is_deleted(&self) -> bool {
        self.text.is_none()
    }
}

/// Those that count: of each device and kind the one with the highest number, of deletions the one with the lowest (a
/// deletion is not taken back by a later one that is not allowed); of all these the first [`ANNOTATIONS_MAX`] by kind,
/// then device. In the order of the log.
fn counting<'a>(made: impl IntoIterator<Item = Made<'a>>) -> Vec<Made<'a>> {
    let mut counting: BTreeMap<(ActKind, DeviceId), Made<'a>> = BTreeMap::new();
    for made in made {
        let Some(kind) = made.annotation.act.kind() else { continue };
        let place = |made: &Made<'_>| (made.header.seq, made.place.entry);
        counting
            .entry((kind, made.header.device))
            .and_modify(|known| {
                let is_before = place(&made) < place(known);
                if is_before == (kind == ActKind::Delete) {
                    *known = made;
                }
            })
            .or_insert(made);
    }
    let mut counting: Vec<_> = counting.into_values().take(ANNOTATIONS_MAX).collect();
    counting.sort_by_key(|made| made.place);
    counting
}
