//! Everybody in the story of two, and waiting until something is so.

use anyhow::Context;
use tempfile::TempDir;

use undertone_examples::checks::plaintext_in;
use undertone_examples::person::Person;
use undertone_examples::relay::Relay;
use undertone_examples::tell::Teller;

/// The directory of the relays.
const RELAYS: &str = "relays";

/// Relays and the two people. Dropped, it ends their processes and then removes their directory.
pub(crate) struct Stage {
    /// Where both live; or Alice alone, where there are others.
    pub(crate) relay: Relay,
    /// Where Bob lives, if he does not live at Alice's.
    pub(crate) others: Vec<Relay>,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) teller: Teller,
    /// Texts that were found on the relay's disk.
    pub(crate) plaintexts: usize,
    dir: TempDir,
}

impl Stage {
    /// Both live at one relay.
    pub(crate) async fn new(teller: Teller) -> anyhow::Result<Self> {
        Self::with(0, teller).await
    }

    /// Bob lives at so many relays, and Alice at another one.
    pub(crate) async fn apart(relays: usize, teller: Teller) -> anyhow::Result<Self> {
        Self::with(relays, teller).await
    }

    async fn with(others: usize, teller: Teller) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("undertone-demo-").tempdir()?;
        let place = |n: usize| dir.path().join(RELAYS).join(n.to_string());
        let relay = Relay::new(place(0)).await?;
        let mut bobs = Vec::new();
        for n in 1..=others {
            bobs.push(Relay::new(place(n)).await?);
        }
        let alice = Person::new(dir.path(), "Alice", "Bob", relay.address(), teller).await?;
        let mut homes = bobs.iter().map(Relay::address);
        let first = homes.next().unwrap_or(relay.address());
        let bob = Person::new(dir.path(), "Bob", "Alice", first, teller).await?;
        for home in homes {
            bob.add_relay(home).await?;
        }
        Ok(Self { relay, others: bobs, alice, bob, teller, plaintexts: 0, dir })
    }

    /// All relays.
    pub(crate) fn relays(&mut self) -> impl Iterator<Item = &mut Relay> {
        std::iter::once(&mut self.relay).chain(&mut self.others)
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

    /// Searches the relays' disks for all that was written.
    pub(crate) fn search_relays(&mut self) -> anyhow::Result<()> {
        let texts = [self.alice.wrote.as_slice(), &self.bob.wrote].concat();
        let searched = plaintext_in(&self.dir.path().join(RELAYS), &texts)?;
        self.plaintexts += searched.found;
        self.teller.note(&format!(
            "on the relays' disks: {} files with {} bytes were searched for {} texts, {} were found",
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
