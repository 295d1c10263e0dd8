use std::time::Duration;

use super::args::{Group, Options};
use super::contacts;
use super::session::ask;
use super::show;
use crate::command::{Command, GroupChange, GroupMemberView, GroupView, Response, span};

/// How long an answer waits for the network, in seconds.
const WAIT_S: u64 = 10;

/// Carries out a command about groups.
pub(super) async fn group(options: &Options, command: Group) -> anyhow::Result<()> {
    let command = match command {
        Group::Create { name, member } => Command::GroupCreate { name, members: member },
        Group::Add { group, member, role } => Command::GroupAdd { group, members: member, role },
        Group::Remove { group, member } => Command::GroupRemove { group, member },
        Group::Role { group, member, role } => Command::GroupRole { group, member, role },
        Group::Leave { group, successor } => Command::GroupLeave { group, successor },
        Group::Set(set) => {
            let change = GroupChange {
                name: set.name,
                description: set.description,
                may_add: set.may_add,
                may_write: set.may_write,
                history: set.history,
                timer_s: set.timer.map(|timer| timer.as_secs()),
            };
            Command::GroupSet { group: set.group, change }
        }
        Group::Link { group, uses, expires, revoke: None } => {
            return contacts::print_link(options, Command::GroupLink { group, uses, life: expires }).await;
        }
        Group::Link { group, revoke: Some(link), .. } => Command::GroupUnlink { group, link },
        Group::Join { link, message } => return contacts::join(options, link, message).await,
        Group::List => return list(options).await,
        Group::Show { group } => {
            let group = one(options, Command::GroupShow { group }, Duration::ZERO).await?;
            return print(options, &group);
        }
    };
    let group = one(options, command, options.wait(WAIT_S)).await?;
    print(options, &group)
}

async fn one(options: &Options, command: Command, wait: Duration) -> anyhow::Result<GroupView> {
    let group = ask(options, command, wait, |response| match response {
        Response::Group(group) => Some(group),
        _ => None,
    });
    Ok(*group.await?)
}

async fn list(options: &Options) -> anyhow::Result<()> {
    let groups = ask(options, Command::GroupList {}, Duration::ZERO, |response| match response {
        Response::Groups(groups) => Some(groups),
        _ => None,
    })
    .await?;
    if options.json {
        return show::json(&groups);
    }
    groups.iter().try_for_each(|group| show::line(&summary(group)))
}

fn print(options: &Options, group: &GroupView) -> anyhow::Result<()> {
    if options.json {
        return show::json(group);
    }
    show::line(&summary(group))?;
    let settings = &group.settings;
    if !settings.description.is_empty() {
        show::line(&format!("    {}", show::indented(&settings.description)))?;
    }
    for member in &group.members {
        show::line(&format!("  {}", described(member)))?;
    }
    for link in &group.links {
        let id = link.link.get(..8).unwrap_or(&link.link);
        let until = link.expires_ms.map_or_else(String::new, |at| format!(", until {}", show::time(at)));
        show::line(&format!("  link {id} by {}{until}", show::safe(&link.maker)))?;
    }
    let history = if settings.history { "see" } else { "don't see" };
    show::line(&format!(
        "  {}s and above add members, {}s and above write; new members {history} what was written before",
        settings.may_add, settings.may_write
    ))?;
    match settings.timer_s {
        0 => Ok(()),
        seconds => show::line(&format!("  messages vanish {} after they were written", span(seconds))),
    }
}

/// A group in one line.
pub(super) fn summary(group: &GroupView) -> String {
    let id = group.group.get(..8).unwrap_or(&group.group);
    let name = show::safe(&group.name);
    let members = match group.members.len() {
        1 => "1 member".to_owned(),
        members => format!("{members} members"),
    };
    match group.state.as_str() {
        "in" => format!("{name} ({id}): {members}"),
        _ => format!("{name} ({id}): you are not in it any more; {members}"),
    }
}

fn described(member: &GroupMemberView) -> String {
    let me = if member.me { " (you)" } else { "" };
    let acts = if member.acts_as_owner { ", acts as owner" } else { "" };
    format!("{}{me}: {}{acts}", show::safe(&member.name), member.role)
}
