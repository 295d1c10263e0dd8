use super::text::Text;
use crate::codec::Malformed;
use crate::ids::EntryId;
use crate::limits::{HIDDEN_MAX, REACTION_BYTES_MAX};
use crate::wire::{self, annotation::Act as WireAct};

/// What somebody says of another entry of the conversation (`spec/messages.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The entry, held or not.
    pub entry: EntryId,
    /// What is done to it.
    pub act: Act,
}

/// What is done to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The user's reaction, in the place of an earlier one; at most [`REACTION_BYTES_MAX`] bytes, empty: taken back.
    Reaction(String),
    /// Another text and other mentions in the place of those that it had.
    Edit(Text),
    /// It is deleted for everyone.
    Delete,
    /// It is pinned, or taken off.
    Pin(bool),
    /// Of an edit: what it says is dropped, as the text is deleted that it changed.
    Drop,
    /// Something that a later version does: kept, and shown nowhere.
    Unknown,
}

/// Kinds of annotations: of each kind one of a device counts. In the order in which they count where there are
/// too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActKind {
    /// [`Act::Delete`]
    Delete,
    /// [`Act::Edit`]
    Edit,
    /// [`Act::Pin`]
    Pin,
    /// [`Act::Reaction`]
    Reaction,
    /// [`Act::Drop`]
    Drop,
}

impl Act {
    /// Which kind it is; `None` for what is unknown.
    pub const fn kind(&self) -> Option<ActKind> {
        Some(match self {
            Self::Reaction(_) => ActKind::Reaction,
            Self::Edit(_) => ActKind::Edit,
            Self::Delete => ActKind::Delete,
            Self::Pin(_) => ActKind::Pin,
            Self::Drop => ActKind::Drop,
            Self::Unknown => return None,
        })
    }
}

impl Annotation {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        match &self.act {
            Act::Reaction(reaction) => check_reaction(reaction),
            Act::Edit(text) => check_edit(text),
            Act::Delete | Act::Pin(_) | Act::Drop => Ok(()),
            Act::Unknown => Err(Malformed::new("annotation", "nothing to say")),
        }
    }

    pub(super) fn to_wire(&self) -> wire::Annotation {
        let act = match &self.act {
            Act::Reaction(reaction) => Some(WireAct::Reaction(reaction.clone())),
            Act::Edit(text) => Some(WireAct::Edit(text.to_wire())),
            Act::Delete => Some(WireAct::Delete(wire::Empty {})),
            Act::Pin(pin) => Some(WireAct::Pin(*pin)),
            Act::Drop => Some(WireAct::Drop(wire::Empty {})),
            Act::Unknown => None,
        };
        wire::Annotation { entry: self.entry.to_wire(), act }
    }

    pub(super) fn from_wire(annotation: wire::Annotation) -> Result<Self, Malformed> {
        let entry = EntryId::from_slice(&annotation.entry)?;
        let act = match annotation.act {
            Some(WireAct::Reaction(reaction)) => {
                check_reaction(&reaction)?;
                Act::Reaction(reaction)
            }
            Some(WireAct::Edit(text)) => {
                let text = Text::from_wire(text)?;
                check_edit(&text)?;
                Act::Edit(text)
            }
            Some(WireAct::Delete(_)) => Act::Delete,
            Some(WireAct::Pin(pin)) => Act::Pin(pin),
            Some(WireAct::Drop(_)) => Act::Drop,
            None => Act::Unknown,
        };
        Ok(Self { entry, act })
    }
}

/// Checks that a reaction is at most [`REACTION_BYTES_MAX`] bytes.
pub fn check_reaction(reaction: &str) -> Result<(), Malformed> {
    if reaction.len() > REACTION_BYTES_MAX {
        let why = format!("{} bytes, at most {REACTION_BYTES_MAX} are allowed", reaction.len());
        return Err(Malformed::new("reaction", why));
    }
    Ok(())
}

/// What a message answers, and whether it was forwarded, stays as it was.
fn check_edit(text: &Text) -> Result<(), Malformed> {
    text.check()?;
    if text.reply_to.is_some() || text.forwarded {
        return Err(Malformed::new("edit", "it answers nothing and is not forwarded"));
    }
    Ok(())
}

pub(super) fn hidden_to_wire(entries: &[EntryId]) -> Result<wire::Hidden, Malformed> {
    check_hidden(entries.len())?;
    Ok(wire::Hidden { entries: entries.iter().map(EntryId::to_wire).collect() })
}

pub(super) fn hidden_from_wire(hidden: &wire::Hidden) -> Result<Vec<EntryId>, Malformed> {
    check_hidden(hidden.entries.len())?;
    Ok(hidden.entries.iter().map(|entry| EntryId::from_slice(entry)).collect::<Result<_, _>>()?)
}

fn check_hidden(entries: usize) -> Result<(), Malformed> {
    if entries == 0 || entries > HIDDEN_MAX {
        return Err(Malformed::new("hidden", format!("{entries} entries; 1 to {HIDDEN_MAX} are allowed")));
    }
    Ok(())
}
