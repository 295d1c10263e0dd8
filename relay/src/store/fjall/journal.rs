//! What the backend's journals hold, looked at before the backend opens them.
//!
//! The backend takes whatever it can't parse for the torn end of a journal: it cuts the file there and goes on with
//! the next one. The number of a batch, which orders it, and the lengths in it, which are allocated, are not checked.
//! So here every batch must be whole, batches must be in order, and our own commits must follow one another through
//! all journals. Only the end of the newest may be torn: a power cut leaves what was never acknowledged.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::at;
use crate::store::StoreError;
use crate::store::format;

/// Bytes that end a batch.
const MAGIC: [u8; 4] = [b'F', b'J', b'L', 3];
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
/// The largest number of the backend's kinds of values: value, tombstone, weak tombstone, indirection.
const VALUE_KIND_MAX: u8 = 3;
/// The backend takes a number for itself when it moves batches into tables, so numbers have gaps. This is far more
/// than there can be between two commits.
const NUMBER_STEP_MAX: u64 = 1 << 16;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The newest journal, if its end is torn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Torn {
    path: PathBuf,
    /// Bytes before the torn end.
    whole_bytes: u64,
}

impl Torn {
    /// Cuts the torn end off, as the backend would, but without a look at it.
    pub(super) fn cut(&self) -> Result<(), StoreError> {
        let file = File::options().write(true).open(&self.path).map_err(at(&self.path))?;
        file.set_len(self.whole_bytes).and_then(|()| file.sync_all()).map_err(at(&self.path))
    }

    /// Where it is torn, in words.
    pub(super) fn place(&self) -> String {
        place(&self.path, self.whole_bytes)
    }
}

/// What all journals hold together.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// The numbers of the oldest and the newest commit in them; `None` when they hold none.
    pub(super) commits: Option<(u64, u64)>,
    pub(super) torn: Option<Torn>,
    /// The backend's number of the newest batch.
    number: Option<u64>,
}

/// Reads all journals of the database at `path`, and changes nothing.
pub(super) fn read(path: &Path) -> Result<Journals, StoreError> {
    let mut journals = Journals::default();
    let files = files(path)?;
    for (index, file) in files.iter().enumerate() {
        let newest = index + 1 == files.len();
        journals.read_file(file, newest).map_err(|fault| match fault {
            Fault::Io(error) => at(file)(error),
            Fault::Damaged(why) => StoreError::Damaged { path: path.to_owned(), why },
        })?;
    }
    Ok(journals)
}

/// The journals, oldest first.
fn files(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(at(path))? {
        let file = entry.map_err(at(path))?.path();
        let name = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jnl"));
        if let Some(number) = name.and_then(|name| name.parse::<u64>().ok()) {
            found.push((number, file));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

fn place(path: &Path, byte: u64) -> String {
    format!("{} at byte {byte}", path.file_name().unwrap_or_default().display())
}

/// Why a journal can't be taken.
enum Fault {
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Journals {
    fn read_file(&mut self, path: &Path, newest: bool) -> Result<(), Fault> {
        let mut reader = Reader::open(path)?;
        loop {
            let whole_bytes = reader.position;
            match reader.batch() {
                Ok(Some(batch)) => self.take(&batch, path, whole_bytes)?,
                Ok(None) => return Ok(()),
                Err(error) if broken(&error) && newest => {
                    self.torn = Some(Torn { path: path.to_owned(), whole_bytes });
                    return Ok(());
                }
                Err(error) if broken(&error) => {
                    return Err(Fault::Damaged(format!("{} is no batch", place(path, whole_bytes))));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, batch: &Batch, path: &Path, from: u64) -> Result<(), Fault> {
        let in_order =
            self.number.is_none_or(|last| batch.number > last && batch.number - last <= NUMBER_STEP_MAX);
        let follows = match (self.commits, batch.commits) {
            (Some((_, last)), Some(next)) => last.checked_add(1) == Some(next),
            _ => true,
        };
        if !in_order || !follows {
            return Err(Fault::Damaged(format!(
                "{}: a commit before it is missing, or it is out of order",
                place(path, from)
            )));
        }
        self.number = Some(batch.number);
        if let Some(newest) = batch.commits {
            let oldest = self.commits.map_or(newest, |(oldest, _)| oldest);
            self.commits = Some((oldest, newest));
        }
        Ok(())
    }
}

/// Whether the file does not say what it should, rather than that it can't be read.
fn broken(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData)
}

/// A whole batch.
struct Batch {
    number: u64,
    /// Our own number, which every batch of a commit has.
    commits: Option<u64>,
}

struct Reader {
    file: BufReader<File>,
    position: u64,
    length: u64,
    checksum: Xxh3,
}

impl Reader {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file: BufReader::with_capacity(CHUNK_BYTES, file),
            position: 0,
            length,
            checksum: Xxh3::new(),
        })
    }

    /// The next batch; `None` when only the room is left that was laid out for more.
    fn batch(&mut self) -> io::Result<Option<Batch>> {
        if self.position == self.length {
            return Ok(None);
        }
        match self.array::<1>()? {
            [START] => {}
            [0] => return self.rest_is_empty(),
            _ => return Err(ErrorKind::InvalidData.into()),
        }
        let items = u32::from_le_bytes(self.array()?);
        let number = u64::from_le_bytes(self.array()?);
        self.checksum.reset();
        let mut commits = None;
        for _ in 0..items {
            commits = self.item()?.or(commits);
        }
        let checksum = self.checksum.digest();
        if self.array()? != [END] || u64::from_le_bytes(self.array()?) != checksum || self.array()? != MAGIC {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(Some(Batch { number, commits }))
    }

    /// The number of commits, if it is that item.
    fn item(&mut self) -> io::Result<Option<u64>> {
        let [tag, kind, compression] = self.array()?;
        let _keyspace: [u8; 8] = self.array()?;
        let key_length = u16::from_le_bytes(self.array()?);
        let value_length = u32::from_le_bytes(self.array()?);
        let stored_length = u32::from_le_bytes(self.array()?);
        let lengths = compression == 0 && value_length == stored_length || compression == 1;
        if tag != ITEM || kind > VALUE_KIND_MAX || !lengths {
            return Err(ErrorKind::InvalidData.into());
        }
        let own = format::commits_key();
        if usize::from(key_length) != own.len() || stored_length != 8 {
            self.skip(u64::from(key_length) + u64::from(stored_length))?;
            return Ok(None);
        }
        let key: [u8; 1] = self.array()?;
        let value = u64::from_be_bytes(self.array()?);
        Ok((key == own.as_ref()).then_some(value))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.passed(&bytes);
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        let mut left = length;
        let mut chunk = [0; 4 * 1024];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            let Some(chunk) = chunk.get_mut(..wanted) else { break };
            self.file.read_exact(chunk)?;
            self.passed(chunk);
            left -= u64::try_from(wanted).unwrap_or(left);
        }
        Ok(())
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.position += u64::try_from(bytes.len()).unwrap_or(0);
        self.checksum.update(bytes);
    }

    fn rest_is_empty(&mut self) -> io::Result<Option<Batch>> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let found = self.file.read(&mut chunk)?;
            if found == 0 {
                return Ok(None);
            }
            if chunk.iter().take(found).any(|byte| *byte != 0) {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }
}
