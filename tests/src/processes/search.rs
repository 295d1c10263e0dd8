use std::fs;
use std::path::Path;

use anyhow::Context;

/// What a search looked through, and what it found.
#[derive(Debug, Default)]
pub struct Searched {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: usize,
    /// What was found, and in which file.
    pub found: Vec<String>,
}

/// Searches a file, or all files of a directory and of those in it, for byte strings; each has a name for
/// the result.
pub fn search(path: &Path, wanted: &[(String, Vec<u8>)]) -> anyhow::Result<Searched> {
    let mut searched = Searched::default();
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        let kind = fs::symlink_metadata(&path).with_context(|| path.display().to_string())?;
        if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                paths.push(entry?.path());
            }
        } else if kind.is_file() {
            let bytes = fs::read(&path)?;
            searched.files += 1;
            searched.bytes += bytes.len();
            let found = wanted.iter().filter(|(_, wanted)| contains(&bytes, wanted));
            searched.found.extend(found.map(|(name, _)| format!("{name} in {}", path.display())));
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

    #[test]
    fn what_is_there_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        fs::write(dir.path().join("store/0"), b"\0\0\0hehello\0").unwrap();
        let found = |text: &str| {
            let wanted = [(text.to_owned(), text.as_bytes().to_vec())];
            search(dir.path(), &wanted).unwrap().found.len()
        };
        assert_eq!([found("hello"), found("hehello"), found("hello "), found("hellp")], [1, 1, 0, 0]);
    }
}
