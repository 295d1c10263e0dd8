//! What tests ask of a [`Stage`], in short. An answer of another kind fails.

use std::time::Duration;

use undertone::command::{
    Command, CommandError, ContactView, DeviceView, GroupView, HistoryItem, IdView, MessageView, Response,
    StatusView,
};
use undertone::engine::Origin;

use super::failed::Failed;
use super::stage::Stage;

/// The view in a response; another kind of answer, or an error, fails.
macro_rules! expect {
    ($answer:expr, $kind:ident) => {
        match $answer? {
            Ok(Response::$kind(view)) => Ok(view),
            other => Err(Failed::new(format!("an odd answer: {other:?}"))),
        }
    };
}

impl Stage {
    /// Alice, Bob and Carol, by number: Alice knows the others, who don't know each other, and made a group of all three,
    /// *Club*.
    pub fn club() -> Result<Self, Failed> {
        Self::club_with(false)
    }

    /// The same with the real cryptography, or with the model of it.
    pub fn club_with(real_crypto: bool) -> Result<Self, Failed> {
        let mut stage = Self::new(&["Alice", "Bob", "Carol"], real_crypto)?;
        stage.meet(0, 1)?;
        stage.meet(0, 2)?;
        let members = vec!["Bob".to_owned(), "Carol".to_owned()];
        stage.group(0, Command::GroupCreate { name: "Club".to_owned(), members })?;
        stage.run(Duration::from_secs(180))?;
        Ok(stage)
    }

    /// Who a device is.
    pub fn id(&mut self, node: usize) -> Result<IdView, Failed> {
        expect!(self.ask(node, Command::Id {}), Id)
    }

    /// How a device is.
    pub fn status(&mut self, node: usize) -> Result<StatusView, Failed> {
        expect!(self.ask(node, Command::Status {}), Status)
    }

    /// A link for so many uses.
    pub fn invite(&mut self, node: usize, uses: u32) -> Result<String, Failed> {
        let life = Duration::from_secs(3_600);
        Ok(expect!(self.ask(node, Command::Invite { uses, life }), Invitation)?.link)
    }

    /// A command about one contact.
    pub fn contact(&mut self, node: usize, command: Command) -> Result<ContactView, Failed> {
        expect!(self.ask(node, command), Contact)
    }

    /// Two users become contacts: the second uses a link of the first.
    pub fn meet(&mut self, inviting: usize, joining: usize) -> Result<(), Failed> {
        let link = self.invite(inviting, 1)?;
        self.contact(joining, Command::ContactAdd { link, name: None, message: None })?;
        let name = self.id(joining)?.name;
        self.contact(inviting, Command::ContactAccept { name }).map(drop)
    }

    /// All contacts.
    pub fn contacts(&mut self, node: usize) -> Result<Vec<ContactView>, Failed> {
        expect!(self.ask(node, Command::ContactList {}), Contacts)
    }

    /// Sends a text; gives the message as it is when everything came to rest.
    pub fn send(&mut self, node: usize, name: &str, text: &str) -> Result<MessageView, Failed> {
        let command = Command::Send { name: name.to_owned(), text: text.to_owned() };
        let sent: MessageView = expect!(self.ask(node, command), Message)?;
        let found = self.history(node, name)?.into_iter().find(|view| view.id == sent.id);
        found.ok_or_else(|| Failed::new("a message that was sent is not in the history"))
    }

    /// The last messages with a contact.
    pub fn history(&mut self, node: usize, name: &str) -> Result<Vec<MessageView>, Failed> {
        Ok(self.history_whole(node, name)?.into_iter().filter_map(HistoryItem::message).collect())
    }

    /// The same with what is lost between them.
    pub fn history_whole(&mut self, node: usize, name: &str) -> Result<Vec<HistoryItem>, Failed> {
        expect!(self.ask(node, Command::History { name: name.to_owned(), limit: 1_000 }), History)
    }

    /// Their texts.
    pub fn texts(&mut self, node: usize, name: &str) -> Result<Vec<String>, Failed> {
        Ok(self.history(node, name)?.into_iter().map(|view| view.text).collect())
    }

    /// What of them was said, notices left out.
    pub fn said(&mut self, node: usize, name: &str) -> Result<Vec<String>, Failed> {
        let said = self.history(node, name)?.into_iter().filter(|view| view.kind == "text");
        Ok(said.map(|view| view.text).collect())
    }

    /// A new device of a user, added by the primary one, that had time to get all there is. Gives its number.
    pub fn add_linked(&mut self, primary: usize, name: &'static str) -> Result<usize, Failed> {
        let new = self.add(name, Origin::Link)?;
        self.link(primary, new)?;
        self.run(Duration::from_secs(180))?;
        Ok(new)
    }

    /// A new device shows its code, and a device of the user adds it.
    pub fn link(&mut self, primary: usize, new: usize) -> Result<DeviceView, Failed> {
        let code = self.code(new)?;
        expect!(self.ask(primary, Command::DeviceAdd { code }), Device)
    }

    /// What a new device shows.
    pub fn code(&mut self, new: usize) -> Result<String, Failed> {
        let view = expect!(self.ask(new, Command::DeviceCode {}), DeviceCode)?;
        view.code.filter(|_| view.ready).ok_or_else(|| Failed::new("no code that can be answered"))
    }

    /// The user's devices, as one of them knows them.
    pub fn devices(&mut self, node: usize) -> Result<Vec<DeviceView>, Failed> {
        expect!(self.ask(node, Command::DeviceList {}), Devices)
    }

    /// A command about one group.
    pub fn group(&mut self, node: usize, command: Command) -> Result<GroupView, Failed> {
        Ok(*expect!(self.ask(node, command), Group)?)
    }

    /// A group as a device knows it.
    pub fn show_group(&mut self, node: usize, group: &str) -> Result<GroupView, Failed> {
        self.group(node, Command::GroupShow { group: group.to_owned() })
    }

    /// Who is in a group as a device knows it: names with roles, ascending.
    pub fn members(&mut self, node: usize, group: &str) -> Result<Vec<String>, Failed> {
        let members = self.show_group(node, group)?.members.into_iter();
        let mut members: Vec<String> =
            members.map(|member| format!("{} {}", member.name, member.role)).collect();
        members.sort();
        Ok(members)
    }

    /// What a command that can't be carried out says.
    pub fn refusal(&mut self, node: usize, command: Command) -> Result<CommandError, Failed> {
        match self.ask(node, command)? {
            Err(error) => Ok(error),
            Ok(response) => Err(Failed::new(format!("it was carried out: {response:?}"))),
        }
    }
}
