//! Names in commands that are suggested to people.

/// A name as a shell takes it in one piece: in quotes where it has more than letters and digits. Names are made by others,
/// and what is suggested is copied.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.chars().all(is_plain) && !name.is_empty() && !name.starts_with('-') {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_has_is_one_word_to_a_shell() {
        assert_eq!(quoted("Bob-2"), "Bob-2");
        assert_eq!(quoted("Jürgen"), "Jürgen");
        assert_eq!(quoted("Book Club"), "'Book Club'");
        assert_eq!(quoted("$(rm -rf ~)"), "'$(rm -rf ~)'");
        assert_eq!(quoted("Bob's"), r"'Bob'\''s'");
        assert_eq!(quoted("--all"), "'--all'");
    }
}
