//! Everybody in the story of five, and waiting until something is so.

use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use undertone::command::MessageView;

use crate::checks::{Said, plaintext_in};
use crate::person::Person;
use crate::relay::Relay;
use crate::tell::Teller;

/// What their group is called.
pub(crate) const CLUB: &str = "Club";

/// The longest time between two looks at the members.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The relay and the five people. Dropped, it ends their processes and then removes their directory.
pub(crate) struct Circle {
    pub(crate) relay: Relay,
    pub(crate) people: [Person; 5],
    pub(crate) teller: Teller,
    /// What was written, in order.
    pub(crate) said: Vec<Said>,
    dir: TempDir,
}

impl Circle {
    pub(crate) async fn new(teller: Teller) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("undertone-demo-").tempdir()?;
        let relay = Relay::new(dir.path().join("relay")).await?;
        let person = |name| Person::new(dir.path(), name, CLUB, relay.address(), teller);
        let mut people = [
            person("Alice").await?,
            person("Bob").await?,
            person("Carol").await?,
            person("Dave").await?,
            person("Erin").await?,
        ];
        for person in &mut people {
            person.start().await?;
        }
        Ok(Self { relay, people, teller, said: Vec::new(), dir })
    }

    /// Takes in what all nodes tell, until something is so.
    pub(crate) async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        while !so(self) {
            self.next().await.with_context(|| format!("while waiting until {what}"))?;
        }
        Ok(())
    }

    /// Takes in the next thing that a node tells.
    async fn next(&mut self) -> anyhow::Result<()> {
        let [alice, bob, carol, dave, erin] = &mut self.people;
        tokio::select! {
            told = alice.next() => told,
            told = bob.next() => told,
            told = carol.next() => told,
            told = dave.next() => told,
            told = erin.next() => told,
        }
    }

    /// Waits until each of `who` knows by name that these are in, and nobody else.
    pub(crate) async fn until_members(&mut self, who: &[&str], members: &[&str]) -> anyhow::Result<()> {
        let mut so = false;
        while !so {
            so = true;
            for name in who {
                let person = self.person(name)?;
                person.look_at_groups().await?;
                so &= person.sees(members);
            }
            // Looks itself: this does not hang on what is told, and when.
            if let Ok(told) = tokio::time::timeout(LOOK_AGAIN, self.next()).await {
                told?;
            }
        }
        Ok(())
    }

    /// Waits until something is so of everybody among these.
    pub(crate) async fn until_each(
        &mut self,
        who: &[&str],
        what: &str,
        so: impl Fn(&Person) -> bool,
    ) -> anyhow::Result<()> {
        let those = |circle: &Self| circle.people.iter().filter(|one| who.contains(&one.name)).all(&so);
        self.until(what, those).await
    }

    pub(crate) fn person(&mut self, name: &str) -> anyhow::Result<&mut Person> {
        self.people.iter_mut().find(|person| person.name == name).with_context(|| format!("who is {name}?"))
    }

    /// One invites, the other asks and is let in.
    pub(crate) async fn meet(&mut self, inviting: &str, joining: &str) -> anyhow::Result<()> {
        let link = self.person(inviting)?.invite().await?;
        self.person(joining)?.ask(&link).await?;
        let asked = |person: &Person| person.requests.iter().any(|name| name == joining);
        self.until_each(&[inviting], &format!("{joining}'s request arrives"), asked).await?;
        self.person(inviting)?.accept(joining).await?;
        self.until_each(&[joining], &format!("{joining} is let in"), |person| person.accepted).await
    }

    /// Somebody writes to the group: to those of whom they know that they are in.
    pub(crate) async fn say(&mut self, who: &str, text: &str) -> anyhow::Result<()> {
        let person = self.person(who)?;
        let group = person.group(&["show", CLUB]).await?;
        person.send(text).await?;
        let audience = group.members.into_iter().map(|member| member.name).collect();
        self.said.push(Said { text: text.to_owned(), audience });
        Ok(())
    }

    /// Waits until everything that was written is where it belongs.
    pub(crate) async fn until_heard(&mut self) -> anyhow::Result<()> {
        let said = self.said.clone();
        let heard = move |person: &Person| said.iter().all(|said| said.heard_by(person));
        let everybody = self.people.each_ref().map(|person| person.name);
        self.until_each(&everybody, "everything arrived", heard).await
    }

    /// The conversation of each.
    pub(crate) async fn histories(&self) -> anyhow::Result<Vec<(&'static str, Vec<MessageView>)>> {
        let mut histories = Vec::new();
        for person in &self.people {
            histories.push((person.name, person.history().await?));
        }
        Ok(histories)
    }

    /// Stops everything, and searches the relay's disk for all that was written. Gives how many texts it has.
    pub(crate) async fn close(&mut self) -> anyhow::Result<usize> {
        for person in &mut self.people {
            person.stop().await?;
        }
        self.relay.stop().await?;
        let texts: Vec<String> = self.said.iter().map(|said| said.text.clone()).collect();
        Ok(plaintext_in(&self.dir.path().join("relay"), &texts)?.found)
    }
}

impl Said {
    /// Whether it came to this person, where it is for them.
    fn heard_by(&self, person: &Person) -> bool {
        let theirs = self.audience.iter().any(|name| name == person.name);
        !theirs || person.came.contains(&self.text) || person.wrote.contains(&self.text)
    }
}
