use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// Read and written at once.
const CHUNK_BYTES: usize = 1024 * 1024;
/// How often a copy is begun anew because the image changed meanwhile.
const COPIES_MAX: usize = 20;
/// No journal commit that nobody asked for within 10 minutes, no forgiveness for a rename without a sync, no
/// thread that fills tables later.
const OPTIONS: &str = "loop,commit=600,noauto_da_alloc,noinit_itable";

/// A disk in a file, with an ext4 file system.
#[derive(Debug)]
pub struct Image(PathBuf);

impl Image {
    /// Makes an empty one of `mib` MiB at `path`; the file takes what is used of it.
    pub fn create(path: PathBuf, mib: u64) -> anyhow::Result<Self> {
        File::create(&path)?.set_len(mib * 1024 * 1024)?;
        let extended = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", extended]).arg(&path))?;
        Ok(Self(path))
    }

    /// Mounts it in the directory `at`, which is made.
    pub fn mount(&self, at: PathBuf) -> anyhow::Result<Mount> {
        std::fs::create_dir_all(&at)?;
        run(Command::new("mount").args(["-t", "ext4", "-o", OPTIONS]).arg(&self.0).arg(&at))?;
        Ok(Mount { at, mounted: true })
    }

    /// Copies it as it is at one moment, though it may be mounted.
    pub fn copy(&self, to: PathBuf) -> anyhow::Result<Self> {
        for _ in 0..COPIES_MAX {
            copy(&self.0, &to)?;
            if equal(&self.0, &to)? {
                return Ok(Self(to));
            }
        }
        bail!("{} never holds still", self.0.display())
    }

    /// Moves it, which is not mounted.
    pub fn rename(self, to: PathBuf) -> anyhow::Result<Self> {
        std::fs::rename(self.0, &to)?;
        Ok(Self(to))
    }
}

/// A mounted image. Dropped, it is unmounted, and its loop device goes with it.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
    mounted: bool,
}

impl Mount {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Unmounts it. An error if something there is in use.
    pub fn end(mut self) -> anyhow::Result<()> {
        run(Command::new("umount").arg(&self.at))?;
        self.mounted = false;
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if !self.mounted {
            return;
        }
        // Whatever still has a file open there must not keep the mount.
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.at)) {
            eprintln!("{error:#}");
        }
    }
}

/// Runs a command of the system. An error says what it complained about.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let what = command.get_program().to_string_lossy().into_owned();
    let ended = command.output().with_context(|| format!("`{what}` can't be run"))?;
    let complaint = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "`{what}`: {}", complaint.trim().replace('\n', " "));
    Ok(())
}

/// Copies a file; where it is empty the copy is too.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, to) = (File::open(from)?, File::create(to)?);
    to.set_len(from.metadata()?.len())?;
    let zeros = vec![0; CHUNK_BYTES];
    chunks(&from, |at, chunk| {
        if !zeros.starts_with(chunk) {
            to.write_all_at(chunk, at)?;
        }
        Ok(true)
    })?;
    Ok(())
}

fn equal(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let other = File::open(other)?;
    let mut same = vec![0; CHUNK_BYTES];
    chunks(&File::open(one)?, |at, chunk| {
        let same = same.get_mut(..chunk.len()).context("a chunk that is too long")?;
        other.read_exact_at(same, at)?;
        Ok(same == chunk)
    })
}

/// Goes through a file, until `look` says that it is enough; then the answer is false.
fn chunks(file: &File, mut look: impl FnMut(u64, &[u8]) -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut chunk, at)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { return Ok(true) };
        if !look(at, part)? {
            return Ok(false);
        }
        at += read as u64;
    }
}
