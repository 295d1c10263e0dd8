//! People of a group, at one relay or at several, and waiting until something is so.

use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use undertone::command::MessageView;

use crate::checks::{Said, plaintext_in};
use crate::person::Person;
use crate::relay::Relay;
use crate::tell::Teller;

/// The directory of the relays.
const RELAYS: &str = "relays";
/// The longest time between two looks at the members.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Relays and people. Dropped, it ends their processes and then removes their directory.
pub struct Circle {
    /// Where they live.
    pub relays: Vec<Relay>,
    /// Who they are.
    pub people: Vec<Person>,
    /// How it is told.
    pub teller: Teller,
    /// What was written, in order.
    pub said: Vec<Said>,
    /// What the group is called.
    group: &'static str,
    dir: TempDir,
}

impl Circle {
    /// So many relays, and people by name, each with the numbers of the relays where they live. All nodes run.
    pub async fn new(
        group: &'static str,
        relays: usize,
        people: &[(&'static str, &[usize])],
        teller: Teller,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("undertone-demo-").tempdir()?;
        let mut circle =
            Self { relays: Vec::new(), people: Vec::new(), teller, said: Vec::new(), group, dir };
        for n in 0..relays {
            let relay = Relay::new(circle.dir.path().join(RELAYS).join(n.to_string())).await?;
            circle.relays.push(relay);
        }
        for (name, homes) in people {
            circle.add(name, homes).await?;
        }
        Ok(circle)
    }

    async fn add(&mut self, name: &'static str, homes: &[usize]) -> anyhow::Result<()> {
        let mut homes = homes.iter().filter_map(|n| self.relays.get(*n)).map(Relay::address);
        let first = homes.next().with_context(|| format!("{name} lives nowhere"))?;
        let mut person = Person::new(self.dir.path(), name, self.group, first, self.teller).await?;
        for home in homes {
            person.add_relay(home).await?;
        }
        person.start().await?;
        self.people.push(person);
        Ok(())
    }

    /// Takes in what all nodes tell, until something is so.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        while !so(self) {
            self.next().await.with_context(|| format!("while waiting until {what}"))?;
        }
        Ok(())
    }

    /// Takes in the next thing that a node tells.
    async fn next(&mut self) -> anyhow::Result<()> {
        let told: Vec<_> = self.people.iter_mut().map(|person| Box::pin(person.next())).collect();
        futures::future::select_all(told).await.0
    }

    /// Waits until each of `who` knows by name that these are in, and nobody else.
    pub async fn until_members(&mut self, who: &[&str], members: &[&str]) -> anyhow::Result<()> {
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
    pub async fn until_each(
        &mut self,
        who: &[&str],
        what: &str,
        so: impl Fn(&Person) -> bool,
    ) -> anyhow::Result<()> {
        let those = |circle: &Self| circle.people.iter().filter(|one| who.contains(&one.name)).all(&so);
        self.until(what, those).await
    }

    /// Somebody by name.
    pub fn person(&mut self, name: &str) -> anyhow::Result<&mut Person> {
        self.people.iter_mut().find(|person| person.name == name).with_context(|| format!("who is {name}?"))
    }

    /// One invites, the other asks and is let in.
    pub async fn meet(&mut self, inviting: &str, joining: &str) -> anyhow::Result<()> {
        let link = self.person(inviting)?.invite().await?;
        self.person(joining)?.ask(&link).await?;
        let asked = |person: &Person| person.requests.iter().any(|name| name == joining);
        self.until_each(&[inviting], &format!("{joining}'s request arrives"), asked).await?;
        self.person(inviting)?.accept(joining).await?;
        self.until_each(&[joining], &format!("{joining} is let in"), |person| person.accepted).await
    }

    /// Somebody writes to the group: to those of whom they know that they are in.
    pub async fn say(&mut self, who: &str, text: &str) -> anyhow::Result<()> {
        let group = self.group;
        let person = self.person(who)?;
        let group = person.group(&["show", group]).await?;
        person.send(text).await?;
        let audience = group.members.into_iter().map(|member| member.name).collect();
        self.said.push(Said { text: text.to_owned(), audience });
        Ok(())
    }

    /// Waits until everything that was written is where it belongs.
    pub async fn until_heard(&mut self) -> anyhow::Result<()> {
        let said = self.said.clone();
        let heard = move |person: &Person| said.iter().all(|said| said.heard_by(person));
        let everybody: Vec<_> = self.people.iter().map(|person| person.name).collect();
        self.until_each(&everybody, "everything arrived", heard).await
    }

    /// The conversation of each.
    pub async fn histories(&self) -> anyhow::Result<Vec<(&'static str, Vec<MessageView>)>> {
        let mut histories = Vec::new();
        for person in &self.people {
            histories.push((person.name, person.history().await?));
        }
        Ok(histories)
    }

    /// Stops everything, and searches the relays' disks for all that was written. Gives how many texts they have.
    pub async fn close(&mut self) -> anyhow::Result<usize> {
        for person in &mut self.people {
            person.stop().await?;
        }
        for relay in &mut self.relays {
            relay.stop().await?;
        }
        let texts: Vec<String> = self.said.iter().map(|said| said.text.clone()).collect();
        Ok(plaintext_in(&self.dir.path().join(RELAYS), &texts)?.found)
    }
}

impl Said {
    /// Whether it came to this person, where it is for them.
    fn heard_by(&self, person: &Person) -> bool {
        let theirs = self.audience.iter().any(|name| name == person.name);
        !theirs || person.came.contains(&self.text) || person.wrote.contains(&self.text)
    }
}
