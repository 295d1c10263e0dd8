//! What must be so in the end.

use std::fs;
use std::path::Path;

use anyhow::Context;
use undertone::command::MessageView;

/// How two histories compare with what was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    /// Messages that were written.
    pub sent: usize,
    /// Of these, such that arrived, as their author sees it.
    pub delivered: usize,
    /// Of these, such that were read, as their author sees it.
    pub read: usize,
    /// Messages that one of the two does not show.
    pub lost: usize,
    /// Messages that are shown once too often.
    pub duplicates: usize,
    /// Both sides show the same order, and each person's messages in the order in which they wrote them.
    pub same_order: bool,
}

/// Compares both histories with what the two wrote.
pub fn compare(alice: &[MessageView], bob: &[MessageView], [by_alice, by_bob]: [&[String]; 2]) -> Compared {
    let mut compared = Compared { sent: 0, delivered: 0, read: 0, lost: 0, duplicates: 0, same_order: true };
    for (texts, own, other) in [(by_alice, alice, bob), (by_bob, bob, alice)] {
        compared.sent += texts.len();
        for text in texts {
            for (history, mine) in [(own, true), (other, false)] {
                let times = history.iter().filter(|m| m.mine == mine && m.text == *text).count();
                compared.lost += usize::from(times == 0);
                compared.duplicates += times.saturating_sub(1);
            }
        }
        let mine = || own.iter().filter(|message| message.mine);
        compared.delivered += mine().filter(|m| m.state == "delivered" || m.state == "read").count();
        compared.read += mine().filter(|m| m.state == "read").count();
        compared.same_order &= mine().map(|message| &message.text).eq(texts);
    }
    let ids = |history: &[MessageView]| history.iter().map(|m| m.id.clone()).collect::<Vec<_>>();
    compared.same_order &= ids(alice) == ids(bob);
    compared
}

/// What was written in a group.
#[derive(Debug, Clone)]
pub struct Said {
    /// What was said.
    pub text: String,
    /// Who was in when it was written, as far as its author knew: the author too.
    pub audience: Vec<String>,
}

/// How the histories of a group compare with what was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that were written.
    pub sent: usize,
    /// Messages at people whom they were for.
    pub shown: usize,
    /// Messages that are missing at people whom they were for.
    pub lost: usize,
    /// Messages that are shown once too often.
    pub doubled: usize,
    /// Messages at people whom they were not for.
    pub strayed: usize,
}

/// Compares everybody's history with what was written.
pub fn tally(histories: &[(&str, Vec<MessageView>)], said: &[Said]) -> Tally {
    let mut tally = Tally { sent: said.len(), ..Tally::default() };
    for (who, history) in histories {
        for said in said {
            let times = history.iter().filter(|message| message.text == said.text).count();
            if said.audience.iter().any(|name| name == who) {
                tally.shown += usize::from(times > 0);
                tally.lost += usize::from(times == 0);
                tally.doubled += times.saturating_sub(1);
            } else {
                tally.strayed += times;
            }
        }
    }
    tally
}

/// Whether these people have the same last messages, so many, in one order.
pub fn same_end(histories: &[(&str, Vec<MessageView>)], who: &[&str], messages: usize) -> bool {
    let those = histories.iter().filter(|(name, _)| who.contains(name));
    let mut ends = those
        .map(|(_, history)| history.iter().rev().take(messages).map(|m| m.id.as_str()).collect::<Vec<_>>());
    let Some(first) = ends.next() else { return false };
    first.len() == messages && ends.all(|end| end == first)
}

/// A search.
#[derive(Debug, Default)]
pub struct Searched {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Texts that were found.
    pub found: usize,
}

/// Searches all files below a directory for texts.
pub fn plaintext_in(dir: &Path, texts: &[String]) -> anyhow::Result<Searched> {
    let mut searched = Searched::default();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path())?;
                searched.files += 1;
                searched.bytes += bytes.len();
                searched.found += texts.iter().filter(|text| contains(&bytes, text.as_bytes())).count();
            }
        }
    }
    Ok(searched)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return true };
    // Stores have long runs of zeros: most places are told by their first byte.
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.split_at(at).1;
        if rest.starts_with(wanted) {
            return true;
        }
        rest = rest.split_at(1).1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, mine: bool) -> MessageView {
        MessageView {
            id: text.to_owned(),
            contact: "Bob".to_owned(),
            from: "Alice".to_owned(),
            mine,
            text: text.to_owned(),
            time_ms: 0,
            state: "read".to_owned(),
            ..MessageView::default()
        }
    }

    fn compared(bob: &[&str]) -> Compared {
        let wrote = ["a".to_owned(), "b".to_owned()];
        let alice = [message("a", true), message("b", true)];
        let bob: Vec<_> = bob.iter().map(|text| message(text, false)).collect();
        compare(&alice, &bob, [&wrote, &[]])
    }

    #[test]
    fn what_is_lost_or_doubled_or_out_of_order_is_told() {
        let with = |lost, duplicates, same_order| Compared {
            sent: 2,
            delivered: 2,
            read: 2,
            lost,
            duplicates,
            same_order,
        };
        assert_eq!(compared(&["a", "b"]), with(0, 0, true));
        assert_eq!(compared(&["a"]), with(1, 0, false));
        assert_eq!(compared(&["a", "b", "b"]), with(0, 1, false));
        assert_eq!(compared(&["b", "a"]), with(0, 0, false));
    }

    #[test]
    fn what_a_group_lacks_or_should_not_have_is_told() {
        let said = |text: &str, audience: &[&str]| Said {
            text: text.to_owned(),
            audience: audience.iter().map(|name| (*name).to_owned()).collect(),
        };
        let said = [said("a", &["Alice", "Bob"]), said("b", &["Alice"])];
        let have = |texts: &[&str]| texts.iter().map(|text| message(text, false)).collect::<Vec<_>>();
        let well = [("Alice", have(&["a", "b"])), ("Bob", have(&["a"]))];
        let expected = Tally { sent: 2, shown: 3, ..Tally::default() };
        assert_eq!(tally(&well, &said), expected);
        let badly = [("Alice", have(&["b", "b"])), ("Bob", have(&["a", "b"]))];
        let expected = Tally { sent: 2, shown: 2, lost: 1, doubled: 1, strayed: 1 };
        assert_eq!(tally(&badly, &said), expected);
        assert!(same_end(&badly, &["Alice", "Bob"], 1) && !same_end(&badly, &["Alice", "Bob"], 2));
        assert!(!same_end(&badly, &["Alice", "Bob"], 3) && !same_end(&badly, &["Carol"], 0));
    }

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        fs::write(dir.path().join("store/0"), b"\0\0\0hehello\0").unwrap();
        let found = |text: &str| plaintext_in(dir.path(), &[text.to_owned()]).unwrap().found;
        assert_eq!([found("hello"), found("hehello"), found("hello "), found("hellp")], [1, 1, 0, 0]);
    }
}
