use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Group {
    /// Make a group. You are its owner.
    Create {
        /// What it is called.
        name: String,
        /// A contact to add to it. May be repeated.
        #[arg(long, value_name = "CONTACT")]
        member: Vec<String>,
    },
    /// Let contacts in.
    Add {
        /// The group.
        group: String,
        /// The contacts.
        #[arg(required = true, value_name = "CONTACT")]
        member: Vec<String>,
        /// As what: owner, admin or member. Nobody gives a role above their own.
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// Put a member out. They see that, keep what they have, and get nothing that is written from then on.
    Remove {
        /// The group.
        group: String,
        /// Who.
        member: String,
    },
    /// Leave a group. You keep what was said.
    Leave {
        /// The group.
        group: String,
        /// Who becomes owner: needed if you are the last one, and others are in.
        #[arg(long, value_name = "MEMBER")]
        successor: Option<String>,
    },
    /// Give a member another role.
    Role {
        /// The group.
        group: String,
        /// Who.
        member: String,
        /// owner, admin or member.
        role: String,
    },
    /// Change a group's name or settings.
    Set(GroupSet),
    /// Make a link by which others can ask you to be let in, or take one back. You let them in by `contact accept`.
    Link {
        /// The group.
        group: String,
        /// How many may use it.
        #[arg(long, value_name = "N", default_value_t = 100)]
        uses: u32,
        /// How long it is good: a number and s, m, h, d or w.
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
        expires: Duration,
        /// Take back the link of this name, as `group show` tells it.
        #[arg(long, value_name = "LINK")]
        revoke: Option<String>,
    },
    /// Ask to be let into a group, by its link. Whoever made the link decides.
    Join {
        /// The link.
        link: String,
        /// A first text, shown with the request.
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// Show your groups.
    List,
    /// Show who is in a group, with which role, its links, and what holds there.
    Show {
        /// The group: its name, or the beginning of the id that `group list` shows.
        group: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct GroupSet {
    /// The group.
    pub(in crate::cli) group: String,
    /// What it is called.
    #[arg(long)]
    pub(in crate::cli) name: Option<String>,
    /// What it is about.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) description: Option<String>,
    /// Who may add members: this role and above.
    #[arg(long, value_name = "ROLE")]
    pub(in crate::cli) may_add: Option<String>,
    /// Who may write: this role and above.
    #[arg(long, value_name = "ROLE")]
    pub(in crate::cli) may_write: Option<String>,
    /// Whether new members get what was written before: true or false.
    #[arg(long, value_name = "WHETHER")]
    pub(in crate::cli) history: Option<bool>,
    /// How long after they were written messages vanish: a number and s, m, h, d or w; 0s: they stay.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) timer: Option<Duration>,
}
