use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use super::super::conformance::{Backend, suite};
use super::*;

/// A directory for each life: a crash copies the files of a store that is still open, as a killed
/// process leaves them, and goes on with the copy.
struct Directory {
    root: TempDir,
    life: u32,
}

impl Directory {
    fn path(&self) -> PathBuf {
        self.root.path().join(format!("store{}", self.life))
    }
}

impl Backend for Directory {
    type Store = FjallStore;

    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), life: 0 }
    }

    fn open(&mut self) -> FjallStore {
        FjallStore::open(&self.path(), FjallOptions::default()).unwrap()
    }

    fn crash(&mut self, store: FjallStore) -> FjallStore {
        let from = self.path();
        self.life += 1;
        copy_tree(&from, &self.path());
        drop(store);
        self.open()
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn open(path: &Path) -> Result<FjallStore, StoreError> {
    FjallStore::open(path, FjallOptions::default())
}

#[test]
fn fjall_conforms() {
    suite::<Directory>(12);
}

#[test]
fn a_clean_reopen_keeps_everything() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("deep/store");
    let mut store = open(&path).unwrap();
    let mut batch = Batch::default();
    batch.put(&b"k"[..], &b"v"[..]);
    store.commit(batch).unwrap();
    drop(store);
    assert_eq!(open(&path).unwrap().get(b"k").unwrap(), Some(Bytes::from_static(b"v")));
}

#[test]
fn a_second_opener_is_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Locked(_))));
    drop(first);
    assert!(open(&path).is_ok());
}

#[test]
fn creation_is_guarded_too() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let first = lock(&path).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Locked(_))));
    assert!(!path.exists() && !beside(&path, "creating").exists());
    drop(first);
    assert!(open(&path).is_ok());
}

#[test]
fn an_interrupted_creation_is_started_over() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let building = beside(&path, "creating");
    fs::create_dir_all(building.join("keyspaces")).unwrap();
    fs::write(building.join("0.jnl"), b"half").unwrap();
    assert!(open(&path).is_ok());
    assert!(!building.exists());
}

#[test]
fn foreign_directories_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("photos");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("cat.png"), b"png").unwrap();
    assert!(matches!(open(&path), Err(StoreError::Foreign(_))));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);

    let other = root.path().join("other database");
    drop(Database::builder(&other).open().unwrap());
    assert!(matches!(open(&other), Err(StoreError::Foreign(_))));
}

#[test]
fn another_format_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let mut store = open(&path).unwrap();
    let mut batch = Batch::default();
    batch.put(format::key(), (FORMAT + 1).to_be_bytes().to_vec());
    store.commit(batch).unwrap();
    drop(store);
    assert!(matches!(open(&path), Err(StoreError::Format { found, .. }) if found == FORMAT + 1));
}

#[test]
fn an_older_format_is_opened_to_be_migrated() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    for (older, opens) in [(FORMAT_OLDEST, true), (FORMAT_OLDEST - 1, false)] {
        let mut store = open(&path).unwrap();
        let mut batch = Batch::default();
        batch.put(format::key(), older.to_be_bytes().to_vec());
        store.commit(batch).unwrap();
        drop(store);
        assert_eq!(open(&path).is_ok(), opens, "format {older}");
    }
}

#[test]
fn damaged_files_are_errors() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let mut store = open(&path).unwrap();
    let mut batch = Batch::default();
    batch.put(&b"k"[..], &b"v"[..]);
    store.commit(batch).unwrap();
    drop(store);
    let mut refused = 0;
    for (number, file) in files(&path).into_iter().enumerate() {
        let damaged = root.path().join(format!("damaged{number}"));
        copy_tree(&path, &damaged);
        let target = damaged.join(file.strip_prefix(&path).unwrap());
        fs::write(&target, [0x5a; 100]).unwrap();
        match open(&damaged) {
            Ok(store) => drop(store.get(b"k")),
            Err(_) => refused += 1,
        }
    }
    assert!(refused >= 2, "the version and the journal at least: {refused}");
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A power cut in the middle of a write leaves a journal that ends anywhere: what is read back is the
/// state after some commit, never half of one.
#[test]
fn a_torn_journal_never_shows_half_a_batch() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let mut store = open(&path).unwrap();
    let mut written = Vec::new();
    for number in 1..=6u8 {
        let mut batch = Batch::default();
        for key in [&b"k1"[..], b"k2", b"k3"] {
            batch.put(key, vec![number; 300]);
        }
        store.commit(batch).unwrap();
        written
            .push(fs::read(journal(&path)).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1);
    }
    for (cut, end) in (written[0]..=written[5]).step_by(37).zip(0..) {
        let torn = root.path().join(format!("torn{end}"));
        copy_tree(&path, &torn);
        File::options().write(true).open(journal(&torn)).unwrap().set_len(cut).unwrap();
        let torn = open(&torn).unwrap();
        let values: Vec<_> =
            [b"k1", b"k2", b"k3"].iter().map(|key| torn.get(&key[..]).unwrap().unwrap()).collect();
        assert_eq!((&values[0], &values[1]), (&values[1], &values[2]), "cut at {cut}");
        let whole = written.iter().filter(|length| **length <= cut).count();
        assert!(usize::from(values[0][0]) >= whole, "cut at {cut}: commit {whole} is lost");
    }
}

fn journal(path: &Path) -> PathBuf {
    let mut names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    names.find(|name| name.extension().is_some_and(|extension| extension == "jnl")).unwrap()
}

/// Every byte of the journal is damaged in turn: what was committed is there, or the store is refused.
#[test]
fn damage_never_takes_a_commit_in_silence() {
    const COMMITS: u8 = 4;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let mut store = open(&path).unwrap();
    for number in 1..=COMMITS {
        let mut batch = Batch::default();
        batch.put(vec![b'k', number], vec![number; 40]);
        store.commit(batch).unwrap();
    }
    let bytes = fs::read(journal(&path)).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let (mut lost, mut damaged) = (0, 0);
    for at in 0..end {
        let copy = root.path().join(format!("copy{at}"));
        copy_tree(&path, &copy);
        fs::copy(beside(&path, "commits"), beside(&copy, "commits")).unwrap();
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x5a;
        fs::write(journal(&copy), bytes).unwrap();
        match open(&copy) {
            Ok(store) => {
                let held = (1..=COMMITS).all(|number| store.get(&[b'k', number]).unwrap().is_some());
                assert!(held, "damage at {at} took a commit in silence");
            }
            Err(StoreError::Lost { .. }) => lost += 1,
            Err(StoreError::Damaged { .. }) => damaged += 1,
            Err(error) => panic!("damage at {at}: {error}"),
        }
        fs::remove_dir_all(&copy).unwrap();
    }
    assert!(lost > 0 && damaged > 0, "{lost} lost, {damaged} damaged");
}

/// A store with some commits in two journals, as after the backend has begun a new one, and where each batch begins.
fn two_journals(path: &Path) -> (Vec<Vec<u8>>, Vec<usize>) {
    const COMMITS: u8 = 6;
    let mut store = open(path).unwrap();
    let written = || fs::read(journal(path)).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut ends = vec![written()];
    for number in 1..=COMMITS {
        let mut batch = Batch::default();
        batch.put(vec![b'k', number], vec![number; 40]);
        batch.put(&b"last"[..], vec![number]);
        store.commit(batch).unwrap();
        ends.push(written());
    }
    drop(store);
    let bytes = fs::read(journal(path)).unwrap();
    let middle = ends[3];
    (vec![bytes[..middle].to_vec(), bytes[middle..].to_vec()], ends)
}

fn write_journals(path: &Path, journals: &[Vec<u8>]) {
    for (number, bytes) in journals.iter().enumerate() {
        fs::write(path.join(format!("{number}.jnl")), bytes).unwrap();
    }
}

/// The backend goes on with the next journal when one is damaged: the newest commits are there, others are gone.
#[test]
fn damage_before_the_newest_journal_is_found() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let (journals, ends) = two_journals(&path);
    let whole = root.path().join("whole");
    copy_tree(&path, &whole);
    write_journals(&whole, &journals);
    assert_eq!(open(&whole).unwrap().get(b"last").unwrap(), Some(Bytes::from_static(&[6])));

    let first = journals[0].len();
    for at in 0..first {
        let copy = root.path().join(format!("copy{at}"));
        copy_tree(&path, &copy);
        let mut damaged = journals.clone();
        damaged[0][at] ^= 0x5a;
        write_journals(&copy, &damaged);
        match open(&copy) {
            Err(StoreError::Damaged { why, .. }) => assert!(why.contains(".jnl at byte"), "{why}"),
            Err(error) => panic!("damage at {at}: {error}"),
            // The number of the very first batch, which no other comes before, is under no checksum.
            Ok(store) => {
                assert!((5..13).contains(&at) && at < ends[0], "damage at {at} was not found");
                assert_eq!(store.get(b"last").unwrap(), Some(Bytes::from_static(&[6])));
            }
        }
        fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn a_batch_that_is_missing_or_out_of_order_is_found() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let (journals, ends) = two_journals(&path);
    let whole = journals.concat();
    let cut = |from: usize, to: usize| [&whole[..from], &whole[to..]].concat();
    let swapped =
        [&whole[..ends[1]], &whole[ends[2]..ends[3]], &whole[ends[1]..ends[2]], &whole[ends[3]..]].concat();
    let doubled = [&whole[..ends[2]], &whole[ends[1]..]].concat();
    let cases = [cut(ends[1], ends[2]), cut(ends[0], ends[4]), swapped, doubled];
    for (number, bytes) in cases.into_iter().enumerate() {
        let copy = root.path().join(format!("copy{number}"));
        copy_tree(&path, &copy);
        write_journals(&copy, &[bytes]);
        assert!(matches!(open(&copy), Err(StoreError::Damaged { .. })), "case {number}");
    }
}

/// What the backend would allocate without a look is not handed to it.
#[test]
fn a_torn_end_with_any_length_is_cut_off() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let (journals, ends) = two_journals(&path);
    let whole = journals.concat();
    let mut torn = whole[..*ends.last().unwrap()].to_vec();
    let batch = torn[ends[1]..ends[2]].to_vec();
    let end = torn.len();
    torn.extend(&batch[..batch.len() / 2]);
    // The two lengths of the first item's value.
    torn[end + 13 + 13..end + 13 + 21].fill(0xff);
    write_journals(&path, &[torn]);
    let store = open(&path).unwrap();
    assert_eq!(store.get(b"last").unwrap(), Some(Bytes::from_static(&[6])));
    assert!(fs::metadata(journal(&path)).unwrap().len() <= whole.len() as u64);
}

#[test]
fn what_is_left_can_be_used_without_the_count() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    drop(open(&path).unwrap());
    let (count, _) = CommitCount::open(beside(&path, "commits")).unwrap();
    count.set(7);
    assert!(matches!(open(&path), Err(StoreError::Lost { commits: 7, .. })));
    fs::remove_file(beside(&path, "commits")).unwrap();
    assert!(open(&path).is_ok());
}

/// What was moved into tables leaves the journals: the disk doesn't hold everything twice. A journal goes with the
/// flush of the newest commit in it, which may be the flush of the journal after it; how far the backend's threads
/// are behind the commits is the machine's.
#[test]
fn a_flushed_journal_is_deleted() {
    const BATCHES_MAX: u64 = 640;
    const BATCH_BYTES: usize = 1 << 20;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let mut store = open(&path).unwrap();
    let oldest = journal(&path);
    let mut noise = ChaCha20Rng::seed_from_u64(1);
    let mut batches = 0..BATCHES_MAX;
    while oldest.exists() {
        let number = batches.next().expect("the oldest journal is deleted some time");
        let mut value = vec![0; BATCH_BYTES];
        noise.fill_bytes(&mut value);
        let mut batch = Batch::default();
        batch.put(number.to_be_bytes().to_vec(), value);
        store.commit(batch).unwrap();
    }
}
