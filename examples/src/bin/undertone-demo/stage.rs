//! Everybody in the story of two, and waiting until something is so.

use anyhow::Context;
use tempfile::TempDir;

use crate::checks::plaintext_in;
use crate::person::Person;
use crate::relay::Relay;
use crate::tell::Teller;

/// The relay and the two people. Dropped, it ends their processes and then removes their directory.
pub(crate) struct Stage {
    pub(crate) relay: Relay,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) teller: Teller,
    /// Texts that were found on the relay's disk.
    pub(crate) plaintexts: usize,
    dir: TempDir,
}

impl Stage {
    pub(crate) async fn new(teller: Teller) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("undertone-demo-").tempdir()?;
        let relay = Relay::new(dir.path().join("relay")).await?;
        let alice = Person::new(dir.path(), "Alice", "Bob", relay.address(), teller).await?;
        let bob = Person::new(dir.path(), "Bob", "Alice", relay.address(), teller).await?;
        Ok(Self { relay, alice, bob, teller, plaintexts: 0, dir })
    }

    /// Takes in what both nodes tell, until something is so.
    pub(crate) async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        while !so(self) {
            let Self { alice, bob, .. } = self;
            tokio::select! {
                told = alice.next() => told,
                told = bob.next() => told,
            }
            .with_context(|| format!("while waiting until {what}"))?;
        }
        Ok(())
    }

    /// Searches the relay's disk for all that was written.
    pub(crate) fn search_relay(&mut self) -> anyhow::Result<()> {
        let texts = [self.alice.wrote.as_slice(), &self.bob.wrote].concat();
        let searched = plaintext_in(&self.dir.path().join("relay"), &texts)?;
        self.plaintexts += searched.found;
        self.teller.note(&format!(
            "the relay's disk: {} files with {} bytes were searched for {} texts, {} were found",
            searched.files,
            searched.bytes,
            texts.len(),
            searched.found
        ));
        Ok(())
    }

    /// Alice and Bob say these things in turn, Alice first.
    pub(crate) async fn chat(&mut self, texts: &[&str]) -> anyhow::Result<()> {
        for (turn, text) in texts.iter().enumerate() {
            let (from, to) = if turn % 2 == 0 {
                (&mut self.alice, &mut self.bob)
            } else {
                (&mut self.bob, &mut self.alice)
            };
            from.send(text).await?;
            let text = (*text).to_owned();
            let arrived = to.came.len() + 1;
            self.until(&format!("\"{text}\" arrives"), |stage| {
                let to = if turn % 2 == 0 { &stage.bob } else { &stage.alice };
                to.came.len() >= arrived
            })
            .await?;
        }
        Ok(())
    }
}
