use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::disk::Image;
use super::record::{IDLE, Said};
use super::subject::Subject;
use crate::processes::{Program, Running, freeze};

/// How long records are written at most, once the first is kept.
const WRITING: Duration = Duration::from_millis(500);

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// While the store is opened or made, or soon after.
    Opening,
    /// When it was just opened, and nothing is written yet.
    Idle,
    /// While records are written.
    Writing,
}

/// In turn. The first shows how long opening takes.
const WHEN: [When; 3] = [When::Writing, When::Opening, When::Idle];

/// Where a cut finds the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// On an empty disk, on which it is made.
    Fresh,
    /// On the disk that the cut before left.
    Existing,
}

/// What came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// How often the power was cut.
    pub cuts: usize,
    /// How many of the cuts came before the store was open.
    pub while_opening: usize,
    /// Records that were acknowledged, all of which were there.
    pub acknowledged: u64,
    /// Records that were there though nobody had heard of it yet.
    pub more: u64,
}

/// A store, the disk under it, and a hand at the plug.
#[derive(Debug)]
pub struct Cuts {
    program: Program,
    dir: PathBuf,
    subject: Subject,
    start: Start,
    disk_mib: u64,
}

impl Cuts {
    /// `program` is the binary `undertone-power`; the disks of `disk_mib` MiB are files in `dir`.
    pub const fn new(program: Program, dir: PathBuf, subject: Subject, start: Start, disk_mib: u64) -> Self {
        Self { program, dir, subject, start, disk_mib }
    }

    /// Cuts the power so often. An error when something that was acknowledged is not there, when something is
    /// there that can't be, or when a store can't be opened.
    pub fn run(&self, cuts: usize, rng: &mut ChaCha20Rng) -> anyhow::Result<Report> {
        let mut report = Report { cuts, ..Report::default() };
        let (mut disk, mut known) = (self.new_disk()?, Known::default());
        for cut in 0..cuts {
            if self.start == Start::Fresh {
                (disk, known) = (self.new_disk()?, Known { opening: known.opening, ..Known::default() });
            }
            let before = known.numbers.iter().sum::<u64>();
            let when = WHEN.get(cut % WHEN.len()).copied().unwrap_or(When::Writing);
            let (left, opened) =
                self.cut(&disk, when, &mut known, rng).with_context(|| format!("cut {cut}"))?;
            let acknowledged = known.numbers.iter().sum::<u64>();
            let found = self.check(&left, &known).with_context(|| format!("after cut {cut}"))?;
            report.while_opening += usize::from(!opened);
            report.acknowledged += acknowledged - before;
            report.more += found.iter().sum::<u64>().saturating_sub(acknowledged);
            known.numbers = found;
            disk = left.rename(self.file("disk"))?;
        }
        ensure!(report.acknowledged > 0 || !self.subject.keeps_records(), "nothing was written");
        Ok(report)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn new_disk(&self) -> anyhow::Result<Image> {
        Image::create(self.file("disk"), self.disk_mib)
    }

    /// Lets the writer write for a while; gives what the power cut left of the disk, and whether the store was
    /// open by then.
    fn cut(
        &self,
        disk: &Image,
        when: When,
        known: &mut Known,
        rng: &mut ChaCha20Rng,
    ) -> anyhow::Result<(Image, bool)> {
        let mount = disk.mount(self.file("mounted"))?;
        let mut writer = self.program.start(&self.args("write", mount.path())?, &self.file("log"))?;
        let mut said = self.wait(&mut writer, when, known, rng)?;
        freeze(writer.id())?;
        let left = disk.copy(self.file("left"))?;
        said.extend(writer.kill()?);
        mount.end()?;
        for line in &said {
            known.hear(&Said::parse(line)?)?;
        }
        Ok((left, !said.is_empty()))
    }

    /// Waits for the moment; what the writer said so far.
    fn wait(
        &self,
        writer: &mut Running,
        when: When,
        known: &mut Known,
        rng: &mut ChaCha20Rng,
    ) -> anyhow::Result<Vec<String>> {
        if when == When::Opening {
            pause(rng, known.opening + known.opening / 4);
            return Ok(Vec::new());
        }
        let begin = Instant::now();
        let mut said = vec![writer.line()?];
        known.opening = begin.elapsed();
        if when == When::Idle {
            pause(rng, IDLE);
            return Ok(said);
        }
        if self.subject.keeps_records() {
            said.push(writer.line()?);
        }
        pause(rng, WRITING);
        Ok(said)
    }

    /// Opens the store on a copy of what is left, so that the next cut finds it as this one left it.
    fn check(&self, left: &Image, known: &Known) -> anyhow::Result<Vec<u64>> {
        let copy = left.copy(self.file("checked"))?;
        let mount = copy.mount(self.file("mounted"))?;
        let mut args = self.args("check", mount.path())?;
        if known.opened {
            args.push("opened".to_owned());
        }
        let checked = self.program.run(&args)?.succeeded()?;
        mount.end()?;
        let Said::Opened(found) = Said::parse(checked.stdout.trim())? else {
            bail!("the check says {}", checked.stdout)
        };
        for (producer, found) in found.iter().enumerate() {
            let kept = known.numbers.get(producer).copied().unwrap_or_default();
            ensure!(
                *found >= kept,
                "producer {producer}: {kept} was acknowledged, {found} is the last there"
            );
            // A producer goes on when its record is acknowledged, so one more may be there.
            ensure!(*found <= kept + 1, "producer {producer}: nobody wrote {found}, {kept} was the last");
        }
        Ok(found)
    }

    fn args(&self, what: &str, dir: &Path) -> anyhow::Result<Vec<String>> {
        let dir = dir.to_str().context("a directory whose name is no text")?;
        Ok([what, self.subject.as_str(), dir].map(str::to_owned).to_vec())
    }
}

fn pause(rng: &mut ChaCha20Rng, at_most: Duration) {
    // A part of 2^32.
    let part = u128::from(rng.next_u64() >> 32);
    let nanos = (at_most.as_nanos() * part) >> 32;
    thread::sleep(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
}

/// What is known of a store.
#[derive(Debug, Default)]
struct Known {
    /// How long it took to open lately.
    opening: Duration,
    /// Whether it was acknowledged to be there.
    opened: bool,
    /// The last number acknowledged of each producer.
    numbers: Vec<u64>,
}

impl Known {
    fn hear(&mut self, said: &Said) -> anyhow::Result<()> {
        match said {
            Said::Opened(numbers) => {
                // What was found after the cut before is there now too.
                ensure!(
                    self.numbers.is_empty() || self.numbers == *numbers,
                    "found {:?}, then {numbers:?}",
                    self.numbers
                );
                self.opened = true;
                self.numbers.clone_from(numbers);
            }
            Said::Kept(producer, number) => {
                let last = self.numbers.get_mut(*producer).context("a record before the store was open")?;
                ensure!(*number == *last + 1, "record {number} after {last}");
                *last = *number;
            }
        }
        Ok(())
    }
}
