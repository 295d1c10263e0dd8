//! A group of eight real nodes at one relay, on loopback: two admins change it while nobody reaches anybody, three
//! members are killed by kill -9 in the middle, and all who are in end with the same members and the same history.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use undertone::command::{ContactView, GroupView, MessageView};
use undertone::event::Event;
use undertone_tests::processes::{Person, Stage, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-process");
type Tested = anyhow::Result<()>;

const CLUB: &str = "Club";
/// Alice makes the group, Bob is its admin.
const ALL: [&str; 8] = ["Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi"];
/// Alice puts Heidi out, Bob puts Grace out.
const STAY: [&str; 6] = ["Alice", "Bob", "Carol", "Dave", "Erin", "Frank"];
const KILLED: [&str; 3] = ["Dave", "Erin", "Frank"];
/// Longer than all of it takes together.
const ALL_MAX: Duration = Duration::from_secs(60);

/// The nodes of all, which run; their processes end before the relay's directory goes.
struct Club {
    people: Vec<Person>,
    stage: Stage,
    deadline: Instant,
}

impl Club {
    /// Everybody is a contact of Alice's, and of nobody else.
    fn new() -> anyhow::Result<Self> {
        let deadline = Instant::now() + ALL_MAX;
        let stage = Stage::new(PROGRAM)?;
        let mut people = Vec::new();
        for name in ALL {
            let mut person = stage.person(name)?;
            person.start()?;
            people.push(person);
        }
        let club = Self { people, stage, deadline };
        club.meet()?;
        Ok(club)
    }

    fn meet(&self) -> Tested {
        let (alice, others) = self.people.split_first().context("nobody is here")?;
        let mut asked = alice.watch()?;
        let link = alice.invite(&["--uses", "7"])?.link;
        for other in others {
            let mut answers = other.watch()?;
            other.json::<ContactView>(&["contact", "add", &link])?;
            asked.until("a request comes", |event| matches!(event, Event::Request { .. }).then_some(()))?;
            alice.json::<ContactView>(&["contact", "accept", &other.name])?;
            answers
                .until("the answer comes", |event| matches!(event, Event::Accepted { .. }).then_some(()))?;
        }
        Ok(())
    }

    fn person(&self, name: &str) -> anyhow::Result<&Person> {
        self.people.iter().find(|person| person.name == name).with_context(|| format!("who is {name}?"))
    }

    fn person_mut(&mut self, name: &str) -> anyhow::Result<&mut Person> {
        self.people.iter_mut().find(|person| person.name == name).with_context(|| format!("who is {name}?"))
    }

    /// Carries out a command about the group, which does not wait for the network.
    fn group(&self, who: &str, words: &[&str]) -> anyhow::Result<GroupView> {
        self.person(who)?.json(&[&["group"], words, &["--no-wait"]].concat())
    }

    fn say(&self, who: &str, text: &str) -> Tested {
        self.person(who)?.json::<MessageView>(&["send", CLUB, text, "--no-wait"])?;
        Ok(())
    }

    /// Waits until something is so at each of these.
    fn until_each(
        &self,
        who: &[&str],
        what: &str,
        so: impl Fn(&Person) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        for name in who {
            let person = self.person(name)?;
            until(&format!("at {name}: {what}"), || {
                ensure!(Instant::now() < self.deadline, "it takes too long until at {name}: {what}");
                Ok(so(person)?.then_some(()))
            })?;
        }
        Ok(())
    }

    fn until_connected(&self, connected: bool) -> Tested {
        self.until_each(&ALL, &format!("connected: {connected}"), |person| {
            Ok(person.status()?.relays.iter().all(|relay| relay.connected == connected))
        })
    }

    /// Waits until each of `who` shows just these texts, and all in one order.
    fn until_all_show(&self, who: &[&str], texts: &[String]) -> Tested {
        let mut wanted: Vec<&str> = texts.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        self.until_each(who, &format!("{} messages", wanted.len()), |person| {
            let history = written(person)?;
            let mut shown: Vec<&str> = history.iter().map(|message| message.text.as_str()).collect();
            shown.sort_unstable();
            Ok(shown == wanted)
        })
        .with_context(|| self.told(who))?;
        let order = |person: &Person| -> anyhow::Result<Vec<String>> {
            Ok(written(person)?.into_iter().map(|message| message.id).collect())
        };
        let first = order(self.person("Alice")?)?;
        self.until_each(who, "the order is the same", |person| Ok(order(person)? == first))
    }

    /// What everybody has, for a failure.
    fn told(&self, who: &[&str]) -> String {
        let history = |name: &str| -> anyhow::Result<Vec<String>> {
            Ok(self.person(name)?.history(CLUB)?.into_iter().map(|message| message.text).collect())
        };
        who.iter().map(|name| format!("{name}: {:?}\n", history(name))).collect()
    }
}

/// What people wrote, in order, without notices of what was done to the group.
fn written(person: &Person) -> anyhow::Result<Vec<MessageView>> {
    let mut history = person.history(CLUB)?;
    history.retain(|message| message.kind == "text");
    Ok(history)
}

/// Members with their roles.
type Roles = BTreeSet<(String, String)>;

/// What all must agree on: members with their roles, and what holds in the group.
fn view(person: &Person) -> anyhow::Result<(Roles, String, String)> {
    let GroupView { name, state, members, settings, .. } = person.json(&["group", "show", CLUB])?;
    ensure!(state == "in" || state == "out", "{state}");
    let members = members.into_iter().map(|member| (member.name, member.role)).collect();
    Ok((members, format!("{name}: {settings:?}"), state))
}

fn roles(members: &[(&str, &str)]) -> Roles {
    members.iter().map(|(name, role)| ((*name).to_owned(), (*role).to_owned())).collect()
}

/// A group of them all, in which everybody said something.
fn gathered() -> anyhow::Result<(Club, Vec<String>)> {
    let club = Club::new()?;
    let others: Vec<&str> = ALL.iter().skip(1).flat_map(|name| ["--member", name]).collect();
    club.group("Alice", &[&["create", CLUB], others.as_slice()].concat())?;
    club.group("Alice", &["role", CLUB, "Bob", "admin"])?;
    let mut expected: BTreeSet<_> = ALL.map(|name| (name.to_owned(), "member".to_owned())).into();
    for (name, role) in [("Alice", "owner"), ("Bob", "admin")] {
        expected.remove(&(name.to_owned(), "member".to_owned()));
        expected.insert((name.to_owned(), role.to_owned()));
    }
    club.until_each(&ALL, "all are in", |person| {
        let groups: Vec<GroupView> = person.json(&["group", "list"])?;
        Ok(!groups.is_empty() && view(person)?.0 == expected)
    })?;
    let mut said = Vec::new();
    for name in ALL {
        said.push(format!("{name} is here"));
        club.say(name, &format!("{name} is here"))?;
    }
    club.until_all_show(&ALL, &said)?;
    Ok((club, said))
}

/// Both admins change the group, and everybody writes, with no relay; then it is back, while three are killed.
fn parted(club: &mut Club, said: &mut Vec<String>) -> Tested {
    club.stage.relay.stop()?;
    club.until_connected(false)?;
    club.group("Alice", &["remove", CLUB, "Heidi"])?;
    club.group("Alice", &["set", CLUB, "--description", "by Alice"])?;
    club.group("Bob", &["remove", CLUB, "Grace"])?;
    club.group("Bob", &["role", CLUB, "Carol", "admin"])?;
    for name in ALL {
        club.say(name, &format!("{name} is apart"))?;
    }
    // What the other two wrote no admin had when they were put out.
    said.extend(STAY.map(|name| format!("{name} is apart")));
    let [first, others @ ..] = KILLED;
    club.person_mut(first)?.kill()?;
    club.stage.relay.start()?;
    for name in others {
        club.person_mut(name)?.kill()?;
    }
    for name in KILLED {
        club.person_mut(name)?.start()?;
    }
    club.until_connected(true)
}

#[test]
fn eight_nodes_agree_whatever_happens_to_them() -> Tested {
    let (mut club, mut said) = gathered()?;
    let mut watches = [("Heidi", club.person("Heidi")?.watch()?), ("Grace", club.person("Grace")?.watch()?)];
    parted(&mut club, &mut said)?;
    let expected = roles(&[
        ("Alice", "owner"),
        ("Bob", "admin"),
        ("Carol", "admin"),
        ("Dave", "member"),
        ("Erin", "member"),
        ("Frank", "member"),
    ]);
    club.until_each(&STAY, "both changes hold", |person| {
        let (members, settings, state) = view(person)?;
        Ok(members == expected && settings.contains("by Alice") && state == "in")
    })?;
    club.until_each(&["Grace", "Heidi"], "they are out", |person| Ok(view(person)?.2 == "out"))?;
    club.until_all_show(&STAY, &said)?;

    let afterwards = STAY.map(|name| format!("{name} is back"));
    for (name, text) in STAY.iter().zip(&afterwards) {
        club.say(name, text)?;
    }
    said.extend(afterwards.clone());
    club.until_all_show(&STAY, &said)?;
    let alice = view(club.person("Alice")?)?;
    club.until_each(&STAY, "the view is Alice's", |person| Ok(view(person)? == alice))?;

    // Those who are out run on, with the keys that they had. What is sent to them later comes, and nothing of the
    // group does that their remover wrote since, or anybody afterwards.
    for ((name, watch), by) in watches.iter_mut().zip(["Alice", "Bob"]) {
        let person = club.person(name)?;
        club.person("Alice")?.json::<MessageView>(&["send", name, "no hard feelings", "--no-wait"])?;
        let last =
            |event: &Event| matches!(event, Event::Message { message } if message.text == "no hard feelings");
        let mut told = Vec::new();
        watch.until("the last word comes", |event| {
            if let Event::Message { message } = event {
                told.push(message.text.clone());
            }
            last(event).then_some(())
        })?;
        let shown: Vec<String> = person.history(CLUB)?.into_iter().map(|message| message.text).collect();
        for hidden in afterwards.iter().chain([&format!("{by} is apart")]) {
            ensure!(
                !shown.contains(hidden) && !told.contains(hidden),
                "{name} has {hidden}: {shown:?}, {told:?}"
            );
        }
        ensure!(shown.contains(&"Alice is here".to_owned()), "{name} lost what they had: {shown:?}");
        person.command(&["send", CLUB, "hello?"])?.refused(5, &["not in Club any more"])?;
    }
    Ok(())
}
