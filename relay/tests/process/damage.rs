//! A store that was damaged: everything that was acknowledged is there, or the relay says what is wrong and what to do.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use undertone_protocol::wire;

use super::sides::{Device, MAILBOX, Relay, init, text};

const OWNER: u8 = 20;
const SENDER: u8 = 21;

/// A relay's directory with payloads that it acknowledged; the relay was killed.
struct Kept {
    dir: tempfile::TempDir,
    payloads: Vec<Bytes>,
}

impl Kept {
    async fn new(config: &str, count: usize, size: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path());
        let path = dir.path().join("relay.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("[limits]\n", &format!("[limits]\n{config}\n"))).unwrap();
        let mut relay = Relay::start(dir.path()).await;
        Device::connect(&relay.address, OWNER).await.register().await;
        let mut sender = Device::connect(&relay.address, SENDER).await;
        let mut noise = ChaCha20Rng::seed_from_u64(1);
        let mut payloads = Vec::new();
        for _ in 0..count {
            let mut payload = vec![0; size];
            noise.fill_bytes(&mut payload);
            payloads.push(Bytes::from(payload));
        }
        for payload in &payloads {
            assert_eq!(sender.publish(payload.clone()).await, wire::ResultCode::Stored);
        }
        relay.signal("-KILL");
        relay.exit_code().await;
        Self { dir, payloads }
    }

    /// A copy to be damaged.
    fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(self.dir.path(), copy.path());
        copy
    }

    /// What a relay makes of a directory.
    async fn outcome(&self, dir: &Path) -> Outcome {
        let relay = match Relay::try_start(dir).await {
            Ok(relay) => relay,
            Err(ended) => return Outcome::Refused(ended),
        };
        // It may come to the damage at any time.
        match self.fetch_all(&relay).await {
            Some(()) => Outcome::AllThere,
            None => Outcome::Ended(relay.end().await),
        }
    }

    /// `None` when the relay goes meanwhile.
    async fn fetch_all(&self, relay: &Relay) -> Option<()> {
        let mut owner = Device::try_connect(&relay.address, OWNER).await?;
        owner.try_attach(MAILBOX).await?;
        for (number, payload) in self.payloads.iter().enumerate() {
            assert_eq!(&owner.take_delivery().await?, payload, "number {number} is another one");
        }
        Some(())
    }
}

#[derive(Debug)]
enum Outcome {
    AllThere,
    /// It did not start.
    Refused(Output),
    /// It ended when it came to the damage.
    Ended(Output),
}

/// It says what is damaged and what to do, and does not just fall over.
fn check_words(ended: &Output) {
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for word in ["data/store", "damaged", "estore"] {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() {
            copy_tree(&entry, &target);
        } else if entry.is_file() {
            fs::copy(&entry, target).unwrap();
        }
    }
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x5a], at).unwrap();
}

fn with_ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}

fn journal(dir: &Path) -> PathBuf {
    let journals = with_ending(&dir.join("data/store"), ".jnl");
    assert_eq!(journals.len(), 1);
    journals[0].clone()
}

/// Bytes of a journal that are written.
fn written(journal: &Path) -> u64 {
    fs::read(journal).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1
}

#[tokio::test]
async fn a_damaged_journal_is_refused_and_left_as_it_is() {
    let kept = Kept::new("", 30, 700).await;
    let end = written(&journal(kept.dir.path()));
    let places = (0..16).chain((1..12).map(|part| end / 12 * part)).chain([end - 13, end - 1]);
    let mut refused = 0;
    for at in places {
        let copy = kept.copy();
        let journal = journal(copy.path());
        flip(&journal, at);
        let before = fs::read(&journal).unwrap();
        match kept.outcome(copy.path()).await {
            Outcome::AllThere => {}
            Outcome::Refused(ended) => {
                check_words(&ended);
                refused += 1;
                assert!(fs::read(&journal).unwrap() == before, "the journal damaged at {at} was changed");
                let Err(again) = Relay::try_start(copy.path()).await else { panic!("it starts now") };
                check_words(&again);
            }
            Outcome::Ended(ended) => panic!("damage at {at} showed late: {}", text(&ended.stderr)),
        }
    }
    assert!(refused >= 20, "only {refused} were refused");
}

/// The advice holds: without the count the relay goes on with what is left.
#[tokio::test]
async fn an_operator_may_go_on_with_what_is_left() {
    let kept = Kept::new("", 10, 700).await;
    let copy = kept.copy();
    let journal = journal(copy.path());
    flip(&journal, written(&journal) / 2);
    let Err(ended) = Relay::try_start(copy.path()).await else { panic!("it started") };
    let count = copy.path().join("data/store.commits");
    assert!(text(&ended.stderr).contains("store.commits to go on with what is left"), "{ended:?}");
    fs::remove_file(count).unwrap();
    let relay = Relay::start(copy.path()).await;
    let mut owner = Device::connect(&relay.address, OWNER).await;
    owner.attach().await;
    assert_eq!(owner.delivery().await, kept.payloads[0]);
    let mut sender = Device::connect(&relay.address, SENDER).await;
    let lost = kept.payloads[9].clone();
    assert_eq!(sender.publish(lost).await, wire::ResultCode::Stored, "what was lost can be published again");
}

/// A power cut leaves half of a batch that nobody was told of.
#[tokio::test]
async fn a_torn_end_is_cut_off() {
    let kept = Kept::new("", 10, 700).await;
    let end = written(&journal(kept.dir.path()));
    for torn in [1, 9, 13, 20, 40] {
        let copy = kept.copy();
        let journal = journal(copy.path());
        let bytes = fs::read(&journal).unwrap();
        // The beginning of the first batch stands for that of the next.
        let file = File::options().write(true).open(&journal).unwrap();
        file.write_all_at(&bytes[..torn], end).unwrap();
        let outcome = kept.outcome(copy.path()).await;
        assert!(matches!(outcome, Outcome::AllThere), "torn after {torn} bytes: {outcome:?}");
    }
}

/// What was moved out of the journal long ago: damage is found when it is read.
#[tokio::test]
async fn damaged_tables_are_told() {
    const PAYLOADS: usize = 1_150;
    let kept = Kept::new("mailbox_class_0_bytes_max = 200000000", PAYLOADS, 64 * 1024).await;
    let tables = |dir: &Path| with_ending(&dir.join("data/store/keyspaces/1/tables"), "");
    // A relay that opens it moves what is in sealed journals into tables.
    let mut relay = Relay::start(kept.dir.path()).await;
    let begun = tokio::time::Instant::now();
    while tables(kept.dir.path()).is_empty() {
        assert!(begun.elapsed().as_secs() < 60, "nothing was moved into tables");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    relay.signal("-TERM");
    assert_eq!(relay.exit_code().await, Some(0));

    let mut told = 0;
    for part in [0, 1, 500, 900, 999, 1_000] {
        let copy = kept.copy();
        for table in tables(copy.path()) {
            flip(&table, (fs::metadata(&table).unwrap().len() - 1) * part / 1_000);
        }
        match kept.outcome(copy.path()).await {
            Outcome::AllThere => {}
            Outcome::Refused(ended) | Outcome::Ended(ended) => {
                check_words(&ended);
                told += 1;
            }
        }
    }
    assert!(told >= 3, "only {told} were told");
}
