use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::report;

/// Tells a test that it runs in namespaces of its own.
const INSIDE: &str = "UNDERTONE_ISOLATED";
/// All that is made in them, processes, links and named namespaces, ends with the first process there: nothing is left
/// behind, however a test ends.
const OWN: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
/// As root, and as somebody who may be root in a namespace of users.
const WHO: [&[&str]; 2] = [&[], &["--map-root-user"]];
/// The shell stays the first process, for which signals mean something else. What others have named stays theirs.
const RUN: &str = "mount -t tmpfs undertone /run && ip link set lo up && \"$@\"; exit $?";
/// What a test will want to do there.
const TRY: &str = "ip netns add other && ip link add hub type veth peer name relay netns other \
                   && ip rule add from 10.77.1.0/24 to 10.77.2.0/24 blackhole \
                   && ip netns exec other true && echo 1 > /proc/sys/net/ipv4/ip_forward";

/// Carries out `body` where network, processes and mounts are its own and it may do with them what it likes: this test
/// binary is started again there for the one test with this name, which calls this again. After `longest` it is killed.
/// Where the system allows no such namespaces, this says why, and that is all.
pub fn isolated(
    test: &str,
    longest: Duration,
    body: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut refused = String::new();
    for who in WHO {
        let tried = inside(Command::new("unshare"), who, ["sh", "-c", TRY].map(OsStr::new)).output();
        match why_not(tried) {
            None => return again(test, longest, who),
            Some(why) => refused = why,
        }
    }
    Ok(report::line(format_args!("{test} is skipped: no network namespaces here ({refused})"))?)
}

fn again(test: &str, longest: Duration, who: &[&str]) -> anyhow::Result<()> {
    let binary = std::env::current_exe().context("where is this test?")?;
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--signal", "KILL"]).arg(longest.as_secs().to_string()).arg("unshare");
    let test_there = [binary.as_os_str(), OsStr::new("--exact"), OsStr::new(test), OsStr::new("--nocapture")];
    let mut command = inside(command, who, test_there);
    // What the runner there prints on its standard output is about the same test as what this one's does.
    let status = command.env(INSIDE, "1").stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{test} in namespaces of its own: {status}");
    Ok(())
}

fn inside<'a>(mut command: Command, who: &[&str], what: impl IntoIterator<Item = &'a OsStr>) -> Command {
    command.args(who).args(OWN).args(["sh", "-c", RUN, "sh"]).args(what).stdin(Stdio::null());
    command
}

fn why_not(tried: std::io::Result<Output>) -> Option<String> {
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let last = complaint.lines().last().unwrap_or_default();
            Some(format!("{}: {last}", output.status))
        }
        Err(error) => Some(format!("unshare: {error}")),
    }
}
