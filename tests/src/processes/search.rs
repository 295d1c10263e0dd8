use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context;
use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use undertone_protocol::ids::RelayId;
use undertone_transport::RelayAddress;

/// What is searched for: its name, and its bytes.
pub type Wanted = Vec<(String, Vec<u8>)>;

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

/// Searches a file, or all files of a directory and of those in it, for byte strings of at least two bytes;
/// each has a name for the result.
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
            let found = find(&bytes, wanted).into_iter();
            searched.found.extend(found.map(|name| format!("{name} in {}", path.display())));
        }
    }
    Ok(searched)
}

/// 32 bytes as they are, and in every notation that is in use around here.
pub fn notations(what: &str, bytes: [u8; 32]) -> anyhow::Result<Wanted> {
    let address = RelayAddress { relay: RelayId::new(bytes), address: "/ip4/127.0.0.1/tcp/1".parse()? };
    let peer = address.to_string();
    let peer = peer.rsplit('/').next().filter(|peer| peer.starts_with("12D3"));
    let written = [
        ("in hexadecimal", HEXLOWER.encode(&bytes)),
        ("in capital hexadecimal", HEXUPPER.encode(&bytes)),
        ("in base 32", BASE32_NOPAD.encode(&bytes)),
        ("in base 64", BASE64_NOPAD.encode(&bytes)),
        ("in base 64 for links", BASE64URL_NOPAD.encode(&bytes)),
    ];
    let written = written.into_iter().map(|(how, text)| (format!("{what} {how}"), text.into_bytes()));
    let peer = peer.map(|peer| (format!("{what} as a peer"), peer.as_bytes().to_vec()));
    Ok([(what.to_owned(), bytes.to_vec())].into_iter().chain(written).chain(peer).collect())
}

/// An id's 32 bytes.
pub fn raw(hexadecimal: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = HEXLOWER.decode(hexadecimal.as_bytes())?;
    bytes.try_into().ok().context("an id that has not 32 bytes")
}

/// The names of what is there, in one pass: most places are told by their first two bytes.
fn find<'a>(bytes: &[u8], wanted: &'a [(String, Vec<u8>)]) -> BTreeSet<&'a str> {
    let mut by_start: BTreeMap<[u8; 2], Vec<&(String, Vec<u8>)>> = BTreeMap::new();
    let mut starts = vec![false; 1 << 16];
    for one in wanted {
        let [first, second, ..] = *one.1.as_slice() else { continue };
        by_start.entry([first, second]).or_default().push(one);
        if let Some(start) = starts.get_mut(usize::from(u16::from_be_bytes([first, second]))) {
            *start = true;
        }
    }
    let mut found = BTreeSet::new();
    for (at, pair) in bytes.windows(2).enumerate() {
        let Ok(pair) = <[u8; 2]>::try_from(pair) else { continue };
        if starts.get(usize::from(u16::from_be_bytes(pair))) != Some(&true) {
            continue;
        }
        let here = bytes.get(at..).unwrap_or_default();
        let those = by_start.get(&pair).into_iter().flatten();
        found.extend(those.filter(|(_, wanted)| here.starts_with(wanted)).map(|(name, _)| name.as_str()));
    }
    found
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
