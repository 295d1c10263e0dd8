use std::fmt;

use crate::codec::Malformed;
use crate::limits::NAME_BYTES_MAX;

/// The name of a user or a device: 1 to [`NAME_BYTES_MAX`] bytes of UTF-8, without control characters
/// and without spaces at its ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Checks a name. Spaces at the ends are trimmed.
    pub fn new(name: &str) -> Result<Self, Malformed> {
        let name = name.trim();
        let bad = |why: &str| Err(Malformed::new("name", why));
        if name.is_empty() {
            return bad("it is empty");
        }
        if name.len() > NAME_BYTES_MAX {
            return bad(&format!("{} bytes, at most {NAME_BYTES_MAX} are allowed", name.len()));
        }
        if name.chars().any(is_unprintable) {
            return bad("it has control or direction characters");
        }
        Ok(Self(name.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, those that turn the direction of writing, break lines or show nothing: they would
/// let a name pose as another.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
