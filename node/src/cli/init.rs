use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use prost::bytes::Bytes;
use serde_json::json;
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::{Name, RecoveryPhrase, RelayAddress};
use undertone_protocol::limits::HOME_RELAYS_MAX;

use super::args::{Init, Link, Options};
use super::home::home;
use super::{invalid, passphrase, show};
use crate::account;
use crate::command::relay_addresses;
use crate::engine::{NewAccount, Origin};
use crate::runtime::{NodeError, create_account};

/// Makes an account. Never overwrites one.
pub(super) fn init(options: &Options, init: Init) -> anyhow::Result<()> {
    let home = home(options)?;
    let (relays, invitations) = relays(&init.relay)?;
    // Before anybody thinks of a passphrase in vain.
    account::check_new(&home).map_err(NodeError::from)?;
    let new = NewAccount {
        name: name(&init.name)?,
        device_name: name(&init.device_name)?,
        relays,
        invitations,
        origin: if init.recover {
            Origin::Phrase(passphrase::phrase(init.phrase_file.as_deref())?.to_string())
        } else {
            Origin::New
        },
    };
    let passphrase = passphrase::new(options)?;
    let without_relay = new.relays.is_empty();
    create_account(&home, &passphrase, new, |phrase| show_phrase(options.json, &init.name, phrase))?;
    if without_relay {
        eprintln!(
            "warning: this account has no relay, so nobody can reach it: see `undertone relay add --help`"
        );
    }
    if !options.json {
        show::line(&format!("The account is in {}. Start its node with `undertone run`.", home.display()))?;
    }
    Ok(())
}

/// Makes an account for a device that another one of its user is to add.
pub(super) fn linking(options: &Options, home: &Path, link: &Link) -> anyhow::Result<()> {
    let device_name = name(&link.device_name)?;
    let (relays, invitations) = relays(&link.relay)?;
    if relays.is_empty() {
        return Err(invalid("a new device needs a relay to be reached at: give --relay ADDR, as for `init`"));
    }
    let passphrase = passphrase::new(options)?;
    let name = device_name.clone();
    let new = NewAccount { name, device_name, relays, invitations, origin: Origin::Link };
    Ok(create_account(home, &passphrase, new, |_| Ok(()))?)
}

fn name(name: &str) -> anyhow::Result<Name> {
    Name::new(name).map_err(|error| invalid(error.to_string()))
}

/// Several addresses of one relay belong together. The relays, and what their operators gave.
fn relays(texts: &[String]) -> anyhow::Result<(Vec<RelayAddress>, BTreeMap<RelayId, Bytes>)> {
    let relays = relay_addresses(texts).map_err(|error| invalid(format!("--relay: {error}")))?;
    if relays.len() > HOME_RELAYS_MAX {
        return Err(invalid(format!("a device has at most {HOME_RELAYS_MAX} relays, not {}", relays.len())));
    }
    let invitations = relays.iter().map(|named| (named.address.relay, named.invitation.clone())).collect();
    Ok((relays.into_iter().map(|named| named.address).collect(), invitations))
}

fn show_phrase(as_json: bool, name: &str, phrase: &RecoveryPhrase) -> io::Result<()> {
    let words = zeroize::Zeroizing::new(phrase.words());
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{}", json!({ "name": name.trim(), "phrase": *words }))?;
        return out.flush();
    }
    writeln!(out, "This is your recovery phrase. It is shown once, and kept nowhere:\n")?;
    for row in words.split_whitespace().collect::<Vec<_>>().chunks(6) {
        writeln!(out, "    {}", row.join(" "))?;
    }
    writeln!(
        out,
        "\nWrite it down and keep it where only you find it. It makes your identity again on a new device;\n\
         whoever else has it can pose as you. It does not replace the passphrase, nor hold your messages.\n"
    )?;
    out.flush()
}
