use std::env;
use std::path::PathBuf;

use super::args::Options;
use super::invalid;

const NAME: &str = "undertone";

/// The account's directory: what the user chose, else one in the platform's directory for data.
pub(super) fn home(options: &Options) -> anyhow::Result<PathBuf> {
    match &options.home {
        Some(home) => Ok(home.clone()),
        None => data_directory().map(|directory| directory.join(NAME)).ok_or_else(|| {
            invalid("this system names no home directory: give the account's with --home DIR")
        }),
    }
}

fn data_directory() -> Option<PathBuf> {
    let in_home = |path: &str| env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(path));
    if cfg!(windows) {
        variable("APPDATA")
    } else if cfg!(target_os = "macos") {
        in_home("Library/Application Support")
    } else {
        // XDG Base Directory Specification: a relative path is to be ignored.
        variable("XDG_DATA_HOME").or_else(|| in_home(".local/share"))
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
