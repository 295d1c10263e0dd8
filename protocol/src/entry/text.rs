use bytes::Bytes;

use crate::codec::Malformed;
use crate::ids::{EntryId, UserId};
use crate::limits::{MENTIONS_MAX, TEXT_BYTES_MAX};
use crate::wire;

/// A text message: what it says, and how it stands to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// What it says: 1 to [`TEXT_BYTES_MAX`] bytes.
    pub text: String,
    /// The entry of the conversation that it answers, held or not.
    pub reply_to: Option<EntryId>,
    /// Whether somebody else wrote it, or it was said elsewhere.
    pub forwarded: bool,
    /// Whom it mentions: ascending, at most [`MENTIONS_MAX`]. That they are members is not checked.
    pub mentions: Vec<UserId>,
}

impl Text {
    /// A text that answers nothing and mentions nobody.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// Checks the limits, for what is made here.
    pub(super) fn check(&self) -> Result<(), Malformed> {
        check_text(&self.text)?;
        check_mentions(&self.mentions)
    }

    /// For the wire.
    pub(super) fn to_wire(&self) -> wire::Text {
        wire::Text {
            text: self.text.clone(),
            reply_to: self.reply_to.map_or_else(Bytes::new, |entry| entry.to_wire()),
            forwarded: self.forwarded,
            mentions: self.mentions.iter().map(UserId::to_wire).collect(),
        }
    }

    pub(super) fn from_wire(text: wire::Text) -> Result<Self, Malformed> {
        check_text(&text.text)?;
        if text.mentions.len() > MENTIONS_MAX {
            return Err(Malformed::new("text", "more than 64 mentions"));
        }
        let mentions =
            text.mentions.iter().map(|user| UserId::from_slice(user)).collect::<Result<Vec<_>, _>>()?;
        check_mentions(&mentions)?;
        let reply_to =
            (!text.reply_to.is_empty()).then(|| EntryId::from_slice(&text.reply_to)).transpose()?;
        Ok(Self { text: text.text, reply_to, forwarded: text.forwarded, mentions })
    }
}

fn check_mentions(mentions: &[UserId]) -> Result<(), Malformed> {
    if mentions.len() > MENTIONS_MAX {
        return Err(Malformed::new("text", "more than 64 mentions"));
    }
    if !mentions.is_sorted_by(|before, after| before < after) {
        return Err(Malformed::new("text", "mentions must ascend"));
    }
    Ok(())
}

/// Checks that a text fits a message: not empty, at most [`TEXT_BYTES_MAX`] bytes.
pub fn check_text(text: &str) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed::new("text", "it is empty"));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Malformed::new(
            "text",
            format!("{} bytes, at most {TEXT_BYTES_MAX} are allowed in one message", text.len()),
        ));
    }
    Ok(())
}
