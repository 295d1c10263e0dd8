use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use anyhow::Context;
use zeroize::Zeroizing;

use super::args::Options;
use super::invalid;

/// More than anybody types.
const FILE_BYTES_MAX: u64 = 4_096;

/// The passphrase, from the file that the user named, else from the terminal.
pub(super) fn existing(options: &Options) -> anyhow::Result<Zeroizing<String>> {
    match &options.passphrase_file {
        Some(path) => from_file("passphrase", path),
        None => prompt("Passphrase: "),
    }
}

/// A new passphrase; at the terminal it is asked for twice.
pub(super) fn new(options: &Options) -> anyhow::Result<Zeroizing<String>> {
    let Some(path) = &options.passphrase_file else {
        let passphrase = prompt("A new passphrase, which locks this account: ")?;
        if prompt("The same again: ")? != passphrase {
            return Err(invalid("the two passphrases differ: nothing was made"));
        }
        return Ok(passphrase);
    };
    from_file("passphrase", path)
}

/// A recovery phrase, from a file, else from the terminal.
pub(super) fn phrase(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    match file {
        Some(path) => from_file("phrase", path),
        None if io::stdin().is_terminal() => Ok(Zeroizing::new(
            rpassword::prompt_password("Your recovery phrase (24 words): ")
                .context("the recovery phrase can't be read")?,
        )),
        None => Err(invalid("no terminal to ask for the recovery phrase: give --phrase-file FILE")),
    }
}

fn from_file(what: &str, path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let unreadable = |error: io::Error| invalid(format!("the {what} file {}: {error}", path.display()));
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    // Editors end a file with a line end, which is no part of the passphrase.
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

/// Whether the terminal is another job's: whoever asks there all the same is stopped without a word.
#[cfg(unix)]
fn is_in_background() -> bool {
    rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground != rustix::process::getpgrp())
}

#[cfg(not(unix))]
const fn is_in_background() -> bool {
    false
}

fn prompt(text: &str) -> anyhow::Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        return Err(invalid(
            "no terminal to ask for the passphrase: give --passphrase-file FILE or UNDERTONE_PASSPHRASE_FILE",
        ));
    }
    if is_in_background() {
        return Err(invalid(
            "the passphrase can't be asked for in the background: run it in the foreground, or give \
             --passphrase-file FILE or UNDERTONE_PASSPHRASE_FILE",
        ));
    }
    Ok(Zeroizing::new(rpassword::prompt_password(text).context("the passphrase can't be read")?))
}
