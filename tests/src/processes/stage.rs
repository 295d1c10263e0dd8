use std::path::{Path, PathBuf};

use anyhow::ensure;
use tempfile::TempDir;
use undertone::event::Event;

use super::person::Person;
use super::program::Program;
use super::relay::Relay;

/// A relay in a directory of its own, where people come by. Drop the people first.
#[derive(Debug)]
pub struct Stage {
    /// The relay, which runs.
    pub relay: Relay,
    program: Program,
    dir: TempDir,
}

impl Stage {
    /// Makes the directory and the relay. `program` is the path of `undertone-process`.
    pub fn new(program: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let program = Program::new(program);
        let dir = Self::place()?;
        let relay = Relay::create(&program, dir.path().join("relay"))?;
        Ok(Self::with(program, dir, relay))
    }

    /// An empty directory for a stage.
    pub fn place() -> anyhow::Result<TempDir> {
        Ok(tempfile::Builder::new().prefix("undertone-test-").tempdir()?)
    }

    /// A stage in this directory with this relay.
    pub const fn with(program: Program, dir: TempDir, relay: Relay) -> Self {
        Self { relay, program, dir }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The program under test.
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// Somebody new at this relay, whose node does not run.
    pub fn person(&self, name: &str) -> anyhow::Result<Person> {
        Person::create(&self.program, self.dir.path(), name, self.relay.address())
    }

    /// Another device of somebody, added by `primary`, whose node runs; its own node does not.
    pub fn device(&self, device: &str, primary: &Person) -> anyhow::Result<Person> {
        Person::link(&self.program, self.dir.path(), device, self.relay.address(), primary)
    }

    /// Two people whose nodes run and who are contacts; the first invited, the second asked.
    pub fn friends(&self, inviter: &str, joiner: &str) -> anyhow::Result<(Person, Person)> {
        let (mut inviter, mut joiner) = (self.person(inviter)?, self.person(joiner)?);
        inviter.start()?;
        joiner.start()?;
        let (mut requests, mut answers) = (inviter.watch()?, joiner.watch()?);
        let link = inviter.invite(&[])?.link;
        let added = joiner.command(&["contact", "add", &link])?.succeeded()?;
        ensure!(added.stdout.contains("requesting"), "{added:?}");
        requests
            .until("the request arrives", |event| matches!(event, Event::Request { .. }).then_some(()))?;
        inviter.command(&["contact", "accept", &joiner.name])?.succeeded()?;
        answers.until("the answer arrives", |event| matches!(event, Event::Accepted { .. }).then_some(()))?;
        Ok((inviter, joiner))
    }
}
