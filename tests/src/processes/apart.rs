use std::path::PathBuf;

use anyhow::ensure;
use undertone::command::{CountView, MessageView};

use super::person::Person;
use super::relay::Relay;
use super::stage::Stage;

/// Two people who live at different relays.
#[derive(Debug)]
pub struct Apart {
    /// The first one, whose node runs.
    pub alice: Person,
    /// The second one, whose node runs.
    pub bob: Person,
    /// Where the second one lives.
    pub other: Relay,
    /// With the relay where the first one lives.
    pub stage: Stage,
}

impl Apart {
    /// Makes the relays and people of these names, who become contacts.
    pub fn new(program: impl Into<PathBuf>, [first, second]: [&str; 2]) -> anyhow::Result<Self> {
        let stage = Stage::new(program)?;
        let other = Relay::create(stage.program(), stage.dir().join("another"))?;
        let mut alice = stage.person(first)?;
        let mut bob = Person::create(stage.program(), stage.dir(), second, other.address())?;
        alice.start()?;
        bob.start()?;
        alice.meet(&bob)?;
        Ok(Self { alice, bob, other, stage })
    }

    /// First one writes, then the other, and each reads what came.
    pub fn talk(&self, texts: [&str; 2]) -> anyhow::Result<()> {
        let [first, second] = texts;
        for (from, to, text) in [(&self.alice, &self.bob, first), (&self.bob, &self.alice, second)] {
            let sent = from.send(&to.name, text)?;
            from.until_state(&to.name, &sent.id, "delivered")?;
            let _: CountView = to.json(&["read", &from.name])?;
            from.until_state(&to.name, &sent.id, "read")?;
        }
        Ok(())
    }

    /// Both show these texts, each once, in this order.
    pub fn shows(&self, texts: &[&str]) -> anyhow::Result<()> {
        for (person, other) in [(&self.alice, &self.bob), (&self.bob, &self.alice)] {
            let whole = |history: &[MessageView]| history.len() >= texts.len();
            let history = person.until_history(&other.name, "all is there", whole)?;
            let found: Vec<_> = history.iter().map(|message| message.text.as_str()).collect();
            ensure!(found == texts, "{} shows {found:?}", person.name);
        }
        Ok(())
    }
}
