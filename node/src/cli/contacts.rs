use undertone_protocol::keys::Invitation;

use super::args::{Contact, Invite, Options};
use super::session::ask;
use super::show;
use crate::command::{Command, ContactView, InvitationView, Response, SafetyNumberView, quoted};

/// How long an answer waits for the network, in seconds.
const WAIT_S: u64 = 15;

/// Prints a new link.
pub(super) async fn invite(options: &Options, Invite { uses, expires }: Invite) -> anyhow::Result<()> {
    print_link(options, Command::Invite { uses, life: expires }).await
}

/// Asks to be let into a group.
pub(super) async fn join(options: &Options, link: String, message: Option<String>) -> anyhow::Result<()> {
    let group = Invitation::parse(&link).ok().and_then(|invitation| invitation.group);
    let contact = one(options, Command::GroupJoin { link, message }).await?;
    match group {
        Some(group) if !options.json => show::line(&joining(&contact, group.name.as_str())),
        _ => print_one(options, &contact, added),
    }
}

fn joining(contact: &ContactView, group: &str) -> String {
    let (name, group) = (show::safe(&contact.name), show::safe(group));
    let way = if contact.introduced {
        "The request is at their relay."
    } else {
        "The request is kept, and sent as soon as their relay is reached: keep `undertone run` going."
    };
    format!("You asked {name} to let you into {group}. {way} It is for them to let you in.")
}

/// Asks for a link, and prints it.
pub(super) async fn print_link(options: &Options, command: Command) -> anyhow::Result<()> {
    let is_of_group = matches!(command, Command::GroupLink { .. });
    let invitation = ask(options, command, options.wait(WAIT_S), |response| match response {
        Response::Invitation(invitation) => Some(invitation),
        _ => None,
    })
    .await?;
    if options.json {
        show::json(&invitation)?;
    } else {
        show::line(&invitation.link)?;
        eprintln!("{}", instructions(&invitation, is_of_group));
    }
    if !invitation.ready {
        let why = show::because(invitation.problem.as_deref());
        eprintln!(
            "warning: no relay knows this link yet{why}, and until one does, it can't be used. \
             The node tells its relays when it reaches them: keep `undertone run` going"
        );
    }
    Ok(())
}

fn instructions(invitation: &InvitationView, is_of_group: bool) -> String {
    let uses = if invitation.uses == 1 { "once".to_owned() } else { format!("{} times", invitation.uses) };
    let until = show::time(invitation.expires_ms);
    let what = if is_of_group {
        "Whoever has it can ask you to be let in (`undertone group join LINK`); you let them in by `undertone contact \
         accept NAME`."
    } else {
        "Send it to whom you want to talk to, by a way that only they read."
    };
    format!("It can be used {uses}, until {until}. {what}")
}

/// Carries out a command about contacts.
pub(super) async fn contact(options: &Options, command: Contact) -> anyhow::Result<()> {
    match command {
        Contact::Add { link, name, message } => {
            let contact = one(options, Command::ContactAdd { link, name, message }).await?;
            print_one(options, &contact, added)
        }
        Contact::Accept { name } => {
            let contact = one(options, Command::ContactAccept { name }).await?;
            print_one(options, &contact, accepted)
        }
        Contact::Decline { name } => {
            let contact = one(options, Command::ContactDecline { name }).await?;
            print_one(options, &contact, declined)
        }
        Contact::Block { name } => {
            let contact = one(options, Command::ContactBlock { name }).await?;
            print_one(options, &contact, blocked)
        }
        Contact::Unblock { name } => {
            let contact = one(options, Command::ContactUnblock { name }).await?;
            print_one(options, &contact, unblocked)
        }
        Contact::List => list(options).await,
        Contact::Verify { name, confirm } => verify(options, name, confirm).await,
    }
}

async fn one(options: &Options, command: Command) -> anyhow::Result<ContactView> {
    ask(options, command, options.wait(WAIT_S), |response| match response {
        Response::Contact(contact) => Some(contact),
        _ => None,
    })
    .await
}

fn print_one(
    options: &Options,
    contact: &ContactView,
    text: fn(&ContactView) -> String,
) -> anyhow::Result<()> {
    if options.json { show::json(contact) } else { show::line(&text(contact)) }
}

fn added(contact: &ContactView) -> String {
    let name = show::safe(&contact.name);
    if contact.state == "accepted" {
        format!("{name} is a contact.")
    } else if contact.introduced {
        format!("The request to {name} is at their relay. What you write is sent when they accept.")
    } else {
        format!(
            "The request to {name} is kept, and sent as soon as their relay is reached: keep `undertone run` going."
        )
    }
}

fn accepted(contact: &ContactView) -> String {
    let name = show::safe(&contact.name);
    let told = if contact.introduced {
        ""
    } else {
        " They are told as soon as their relay is reached: keep `undertone run` going."
    };
    match &contact.group {
        Some(group) => format!("{name} is a contact, and in {}.{told}", show::safe(group)),
        None => format!("{name} is a contact.{told}"),
    }
}

fn declined(contact: &ContactView) -> String {
    format!("The request of {} is declined; they are not told.", show::safe(&contact.name))
}

fn blocked(contact: &ContactView) -> String {
    format!("{} is blocked: your relays refuse what they send.", show::safe(&contact.name))
}

fn unblocked(contact: &ContactView) -> String {
    let name = show::safe(&contact.name);
    match contact.state.as_str() {
        "requested" | "declined" => format!("{name} is not blocked any more."),
        _ if contact.introduced => format!("{name} can write to you again."),
        _ => format!(
            "{name} can write to you again as soon as their relay is reached: keep `undertone run` going."
        ),
    }
}

async fn list(options: &Options) -> anyhow::Result<()> {
    let wait = std::time::Duration::ZERO;
    let contacts = ask(options, Command::ContactList {}, wait, |response| match response {
        Response::Contacts(contacts) => Some(contacts),
        _ => None,
    })
    .await?;
    if options.json {
        return show::json(&contacts);
    }
    if contacts.is_empty() {
        return show::line(
            "No contacts yet: make a link with `undertone invite`, or use one with `contact add`.",
        );
    }
    contacts.iter().try_for_each(|contact| show::line(&described(contact)))
}

/// What somebody asks.
pub(super) fn asked(contact: &ContactView) -> String {
    match &contact.group {
        Some(group) => format!("to be let into {}", show::safe(group)),
        None => "to be a contact".to_owned(),
    }
}

fn described(contact: &ContactView) -> String {
    let name = show::safe(&contact.name);
    let id = contact.user.get(..8).unwrap_or(&contact.user);
    let named = quoted(&name);
    let state = match contact.state.as_str() {
        "requesting" => "you asked; they did not answer yet".to_owned(),
        "requested" => format!("asks {}: `undertone contact accept {named}`", asked(contact)),
        "accepted" if contact.group.is_some() => {
            format!("a contact; asks {}: `undertone contact accept {named}`", asked(contact))
        }
        "declined" => format!("declined; if you want them after all: `undertone contact accept {named}`"),
        "blocked" => "blocked".to_owned(),
        _ if contact.verified => "verified".to_owned(),
        _ => "not verified".to_owned(),
    };
    let mut text = format!("{name} ({id}): {state}");
    for more in contact.message.iter().chain(&contact.warning) {
        text.push_str("\n    ");
        text.push_str(&show::indented(more));
    }
    text
}

async fn verify(options: &Options, name: String, confirm: bool) -> anyhow::Result<()> {
    let command = Command::ContactVerify { name, confirm };
    let number = ask(options, command, std::time::Duration::ZERO, |response| match response {
        Response::SafetyNumber(number) => Some(number),
        _ => None,
    })
    .await?;
    if options.json { show::json(&number) } else { show::line(&compare(&number)) }
}

fn compare(number: &SafetyNumberView) -> String {
    let SafetyNumberView { name, number, verified } = number;
    let name = show::safe(name);
    let rest = if *verified {
        format!("{name} is verified.")
    } else {
        format!(
            "{name} sees the same number if nobody is between you: compare it when you meet or by a call,\n\
             then say `undertone contact verify {} --confirm`.",
            quoted(&name)
        )
    };
    format!("{number}\n{rest}")
}
