mod group;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub(super) use group::Group;

/// Private chat with no company in the middle. What you send to the contact `me` goes to your own devices only.
#[derive(Debug, Parser)]
#[command(name = "undertone", version)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The account's directory. Default: `undertone` in the user's data directory.
    #[arg(long, global = true, value_name = "DIR", env = "UNDERTONE_HOME")]
    pub(super) home: Option<PathBuf>,
    /// A file with the passphrase, instead of asking for it.
    #[arg(long, global = true, value_name = "FILE", env = "UNDERTONE_PASSPHRASE_FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// A PEM file with root certificates that are trusted beside the usual ones, where a relay is reached by TLS
    /// (/tls/ws) and its operator issues certificates. Counts for the node that runs, so give it to `run`.
    #[arg(long, global = true, value_name = "FILE", env = "UNDERTONE_ROOT_CERTIFICATES")]
    pub(super) root_certificates: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The longest wait for the network; what is not sent by then is sent later, while `undertone run` goes.
    #[arg(long, global = true, value_name = "SECONDS", conflicts_with = "no_wait")]
    wait: Option<u64>,
    /// Don't wait for the network.
    #[arg(long, global = true)]
    no_wait: bool,
    /// What to log to stderr: a level (error, warn, info, debug, trace) or a filter.
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG")]
    pub(super) log: Option<String>,
}

impl Options {
    /// The wait that the user chose, else this many seconds.
    pub(super) fn wait(&self, usual_s: u64) -> Duration {
        if self.no_wait { Duration::ZERO } else { Duration::from_secs(self.wait.unwrap_or(usual_s)) }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account: an identity, this device, and the phrase that recovers the identity.
    Init(Init),
    /// Run the node: stay connected, send and receive, serve the local API. Ctrl-C stops it.
    Run,
    /// Who am I?
    Id,
    /// How are the connections, and what waits to be sent?
    Status,
    /// Make a link that lets others ask to be contacts.
    Invite(Invite),
    /// Contacts and requests.
    Contact {
        #[command(subcommand)]
        command: Contact,
    },
    /// Send a text. Works offline: it is kept, and sent later while `undertone run` goes. `@NAME` in it mentions who takes part.
    Send {
        /// The contact or group. A contact's name stands before a group's; the id that `group list` shows always names
        /// the group.
        name: String,
        /// The text.
        text: String,
    },
    /// Answer a message.
    Reply {
        #[command(flatten)]
        message: Message,
        /// The text.
        text: String,
    },
    /// Send a message's text on to somebody else, or to a group.
    Forward {
        #[command(flatten)]
        message: Message,
        /// The contact or group that gets it.
        to: String,
    },
    /// React to a message, in the place of your earlier reaction.
    React {
        #[command(flatten)]
        message: Message,
        /// The reaction.
        #[arg(required_unless_present = "off", conflicts_with = "off")]
        emoji: Option<String>,
        /// Take your reaction back.
        #[arg(long)]
        off: bool,
    },
    /// Put another text in the place of one of yours.
    Edit {
        #[command(flatten)]
        message: Message,
        /// The text.
        text: String,
    },
    /// Delete one of your messages for everyone (an admin of a group: anybody's there), or any message for yourself.
    Delete {
        #[command(flatten)]
        message: Message,
        /// On your own devices only; nobody else is told. It can't be taken back.
        #[arg(long)]
        for_me: bool,
    },
    /// Pin a message for everyone in the conversation.
    Pin {
        #[command(flatten)]
        message: Message,
        /// Take the pin off.
        #[arg(long)]
        off: bool,
    },
    /// Show who has one of your messages, who read it, and when they said so; and what was done to a message.
    Info {
        #[command(flatten)]
        message: Message,
    },
    /// Try failed messages again.
    Retry {
        /// The contact or group.
        name: String,
    },
    /// Show the last messages, and how far one's own have come.
    History {
        /// The contact or group.
        name: String,
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Mark everything received from a contact or in a group as read.
    Read {
        /// The contact or group.
        name: String,
    },
    /// Groups: make one, let people in, leave, change it, join one by a link.
    Group {
        #[command(subcommand)]
        command: Group,
    },
    /// Your own devices.
    Device {
        #[command(subcommand)]
        command: Device,
    },
    /// Your home relays, which keep messages for this device.
    Relay {
        #[command(subcommand)]
        command: Relay,
    },
    /// Show what happens, as it happens. With --json: one object a line, the first when watching begins.
    Watch,
}

/// Which message.
#[derive(Debug, Args)]
pub(super) struct Message {
    /// The contact or group.
    pub(super) name: String,
    /// The message: the digits that `history` shows before it, six at least.
    pub(super) message: String,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// What you are called.
    #[arg(long)]
    pub(super) name: String,
    /// A relay that keeps messages for this device, with its key: /ip4/ADDRESS/tcp/PORT/p2p/KEY, or by name and by
    /// WebSocket over TLS /dns4/NAME/tcp/443/tls/ws/p2p/KEY. Where one has to be invited, the invitation stands behind it:
    /// ADDR#INVITATION. May be repeated; the first is preferred.
    #[arg(long, value_name = "ADDR")]
    pub(super) relay: Vec<String>,
    /// What this device is called.
    #[arg(long, value_name = "NAME", default_value = "desktop")]
    pub(super) device_name: String,
    /// Start anew as who you were, by your recovery phrase: it is asked for. Your contacts see that you
    /// re-installed, and devices that you had before are revoked.
    #[arg(long)]
    pub(super) recover: bool,
    /// A file with the recovery phrase, instead of asking for it.
    #[arg(long, value_name = "FILE", requires = "recover")]
    pub(super) phrase_file: Option<PathBuf>,
}

/// A new device of a user who has one.
#[derive(Debug, Args)]
pub(super) struct Link {
    /// A relay that keeps messages for this device, as for `init`. May be repeated.
    #[arg(long, value_name = "ADDR")]
    pub(super) relay: Vec<String>,
    /// What this device is called.
    #[arg(long, value_name = "NAME", default_value = "second")]
    pub(super) device_name: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// On a new device: show a code, and wait until it was added by `device add` on the one that you have.
    Link(Link),
    /// On the device that has your identity key: make the device of a code one of yours.
    Add {
        /// The code that the new device shows.
        code: String,
    },
    /// Show your devices.
    List,
    /// On the device that has your identity key: take a device out. It gets nothing more.
    Revoke {
        /// The device's name, or the beginning of its id.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Relay {
    /// Show your home relays, and what is left to do there.
    List,
    /// Add a home relay: your contacts are told of it, and use it when the others are down. Works offline: it is done
    /// when the relay can be reached.
    Add {
        /// Its address with its key: /ip4/ADDRESS/tcp/PORT/p2p/KEY, and the invitation of its operator, where that is needed,
        /// behind a #. Several are those of one relay. One of your home relays is at these addresses from then on.
        #[arg(required = true)]
        address: Vec<String>,
        /// Lower is preferred. Default: after the others.
        #[arg(long, value_name = "N")]
        priority: Option<u32>,
    },
    /// Give a home relay up: your contacts are told not to use it any more. Nothing is needed of it, and as long as it
    /// answers, what waits there is fetched for two weeks more.
    Remove {
        /// One of its addresses, or the beginning of its key, as `relay list` shows it.
        relay: String,
    },
    /// Take a relay in the place of all your others, of which nothing is needed.
    Move {
        /// Its address with its key, as for `add`.
        #[arg(required = true)]
        address: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// How many may use it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) uses: u32,
    /// How long it is good: a number and s, m, h, d or w.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    pub(super) expires: Duration,
}

#[derive(Debug, Subcommand)]
pub(super) enum Contact {
    /// Ask somebody to be a contact, by their link.
    Add {
        /// The link.
        link: String,
        /// What to call them, instead of what they call themselves.
        #[arg(long)]
        name: Option<String>,
        /// A first text, shown with the request.
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// Show contacts and requests.
    List,
    /// Let somebody in who asked.
    Accept {
        /// The contact.
        name: String,
    },
    /// Turn down somebody who asked. They are not told.
    Decline {
        /// The contact.
        name: String,
    },
    /// Refuse what somebody sends, and show nothing of it. Their messages fail at your relays, which they see.
    Block {
        /// The contact.
        name: String,
    },
    /// Let somebody write again.
    Unblock {
        /// The contact.
        name: String,
    },
    /// Show the safety number with a contact.
    Verify {
        /// The contact.
        name: String,
        /// You compared the numbers, and they are the same.
        #[arg(long)]
        confirm: bool,
    },
}

/// `7d`: a whole number and its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write a number and s, m, h, d or w, like 7d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}
