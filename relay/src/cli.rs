//! The command line of `undertone-relay`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use rand_core::UnwrapErr;
use tracing_subscriber::EnvFilter;
use undertone_protocol::ids::Secret;
use undertone_protocol::time::Clock;
use undertone_transport::{Address, RelayAddress};

use crate::admin;
use crate::admission::Invitation;
use crate::config::{self, Backend, Config, TEMPLATE};
use crate::data_dir::DataDir;
use crate::key;
use crate::limits::Registration;
use crate::restored::Restored;
use crate::server::{SystemClock, open_store, run};

/// Libraries speak only when something is wrong.
const LOG_DEFAULT: &str = "warn,undertone_relay=info,undertone_transport=info";
/// From debug on these libraries put the full device key and the address of a client before every line of its
/// connection. A level for all does not reach them: only whoever names one gets that.
const LOG_KEPT_BACK: &str = "libp2p_swarm=warn,libp2p_kad=warn";

#[derive(Parser)]
#[command(
    name = "undertone-relay",
    version,
    about = "A relay for Undertone: holds sealed envelopes for devices that are away.",
    after_help = "Exit codes: 0 done, or stopped as asked; 1 it failed, and said why on stderr; 2 the command line is wrong."
)]
struct Cli {
    /// What to log to stderr: a level (error, warn, info, debug, trace) or a filter.
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", default_value = LOG_DEFAULT)]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new relay: its key and its configuration. Never overwrites anything.
    Init(Init),
    /// Run the relay until SIGTERM or SIGINT. SIGHUP has it read its TLS certificate again.
    Run(ConfigArg),
    /// Say how the running relay does.
    Status(Ask),
    /// Say that the store was put back from a backup, before the relay runs on it: devices then tell it anew what it lost, and
    /// their contacts send again what lay here.
    Restored(ConfigArg),
    /// Make an invitation to open mailboxes here, for a relay that is not for everybody: see `policy` of [registration].
    Invite(Invite),
}

#[derive(Args)]
struct Init {
    /// The folder for the configuration and the data.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The configuration file, if it is to be elsewhere than DIR/relay.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, e.g. /ip4/0.0.0.0/tcp/4001, or /ip4/127.0.0.1/tcp/8001/ws behind a proxy; port 0 takes a free
    /// one. May be repeated.
    #[arg(long, value_name = "ADDRESS", default_value = "/ip4/0.0.0.0/tcp/4001")]
    listen: Vec<Address>,
    /// The certificate for /tls/ws, with the chain that it needs, in PEM.
    #[arg(long, value_name = "FILE", requires = "private_key")]
    certificate_chain: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate_chain")]
    private_key: Option<PathBuf>,
}

#[derive(Args)]
struct ConfigArg {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "relay.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct Invite {
    #[command(flatten)]
    config: ConfigArg,
    /// Mailboxes that it opens: a device has one, and a new one after it lost its data.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    uses: u16,
    /// It ends after so many days.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
}

#[derive(Args)]
struct Ask {
    #[command(flatten)]
    config: ConfigArg,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run_from(std::env::args_os())
}

/// Runs the given command line, the program's name first; for programs that carry a relay within them.
pub fn run_from(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; there is nowhere else to say that stdout is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "undertone-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{LOG_KEPT_BACK},{}", cli.log)).with_context(|| {
        format!(
            "--log {}: give error, warn, info, debug or trace, or a filter like info,undertone_relay=debug",
            cli.log
        )
    })?;
    // An error says that the program which carries this one logs already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        // It would say on the same stderr that it is gone, and panic.
        .log_internal_errors(false)
        .try_init();
    match cli.command {
        Command::Init(init) => make(&init),
        Command::Run(ConfigArg { config }) => serve(&config),
        Command::Restored(ConfigArg { config }) => restored(&config),
        Command::Invite(invite) => invitation(&invite),
        Command::Status(Ask { config: ConfigArg { config }, json }) => status(&config, json),
    }
}

fn serve(path: &Path) -> anyhow::Result<()> {
    let config = load(path)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(config))
}

fn load(path: &Path) -> anyhow::Result<Config> {
    config::load(path).with_context(|| format!("configuration {}", path.display()))
}

fn status(path: &Path, json: bool) -> anyhow::Result<()> {
    let config = load(path)?;
    let status = admin::ask(&DataDir::new(&config.data_dir), path)?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
    } else {
        write!(out, "{status}")?;
    }
    Ok(())
}

fn restored(path: &Path) -> anyhow::Result<()> {
    let config = load(path)?;
    if config.store == Backend::Memory {
        bail!("the store is in memory, where nothing is put back: there is nothing to do");
    }
    let dir = DataDir::new(&config.data_dir);
    let _lock = dir.lock()?;
    let mut store = open_store(config.store, &dir)?;
    let Restored { mailboxes, bundles } =
        crate::restored::restored(&mut *store, &mut UnwrapErr(getrandom::SysRng))?;
    writeln!(
        io::stdout().lock(),
        "{mailboxes} mailboxes begin anew, and {bundles} bundles have no one-time prekeys until their devices bring some"
    )?;
    Ok(())
}

/// The running relay, if there is one, need not be asked: it knows an invitation by its key.
fn invitation(asked: &Invite) -> anyhow::Result<()> {
    let config = load(&asked.config.config)?;
    let secret = key::load(&DataDir::new(&config.data_dir).key())?;
    let end = SystemClock.now().after(Duration::from_secs(u64::from(asked.days) * 24 * 3_600));
    let made = Invitation::new(asked.uses, end, &mut UnwrapErr(getrandom::SysRng));
    if config.registration.policy != Registration::Invite {
        eprintln!(
            "warning: nobody needs an invitation here: say policy = \"invite\" under [registration] in {}, and start the relay \
             again",
            asked.config.config.display()
        );
    }
    let text = data_encoding::BASE64URL_NOPAD.encode(&made.seal(&key::signing_key(&secret)));
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

fn make(init: &Init) -> anyhow::Result<()> {
    let dir = DataDir::new(&init.dir.join("data"));
    let config = init.config.clone().unwrap_or_else(|| init.dir.join("relay.toml"));
    for path in [&config, &dir.key()] {
        if path.exists() {
            bail!("{} exists already; nothing was changed", path.display());
        }
    }
    let before = [standing(&config), standing(&dir.key())];
    dir.create().with_context(|| format!("can't create {}", dir.path().display()))?;
    let text = template(init, &dir)?;
    let secret = Secret::random(&mut UnwrapErr(getrandom::SysRng));
    key::create(&dir.key(), &secret)?;
    if let Err(error) = write_config(&config, &text) {
        // Nobody has seen this key: without it the next attempt starts afresh.
        std::fs::remove_file(dir.key())?;
        return Err(error);
    }
    // Before anybody builds on them: a relay that loses its key is lost.
    for (path, before) in [&config, &dir.key()].into_iter().zip(&before) {
        sync_names(path, before).with_context(|| format!("can't write {}", path.display()))?;
    }

    let relay = key::identity(&secret).relay_id();
    let mut out = io::stdout().lock();
    writeln!(out, "key           {} (keep a copy: it is the relay)", dir.key().display())?;
    writeln!(out, "configuration {}", config.display())?;
    for address in &init.listen {
        writeln!(out, "address       {}", RelayAddress { relay, address: address.clone() })?;
    }
    writeln!(out, "Users reach it by such an address, with the IP address or name that they know it by.")?;
    writeln!(out, "Start it with `undertone-relay run --config {}`.", config.display())?;
    Ok(())
}

/// The template with what this relay has of its own.
fn template(init: &Init, dir: &DataDir) -> anyhow::Result<String> {
    let beside = init.config.as_ref().is_none_or(|config| config.parent() == Some(&init.dir));
    let data_dir = if beside {
        PathBuf::from("data")
    } else {
        dir.path().canonicalize().context("the data directory")?
    };
    let listen: Vec<String> = init.listen.iter().map(Address::to_string).collect();
    let defaults = Config::default();
    let mut replaced = TEMPLATE
        .replacen(&line("listen", &defaults.listen)?, &line("listen", &listen)?, 1)
        .replacen(&line("data_dir", &defaults.data_dir)?, &line("data_dir", &data_dir)?, 1);
    let files = [("certificate_chain", &init.certificate_chain), ("private_key", &init.private_key)];
    for (key, file) in files {
        let Some(file) = file else { continue };
        // The file's folder is not the one that this path starts at.
        let whole = std::path::absolute(file).with_context(|| format!("{}", file.display()))?;
        replaced = replaced.replacen(&format!("# {}", line(key, &"")?), &line(key, &whole)?, 1);
    }
    config::parse(&replaced)?;
    Ok(replaced)
}

fn line(key: &str, value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(format!("{key} = {}\n", toml::Value::try_from(value)?))
}

fn write_config(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .with_context(|| format!("can't write {}", path.display()))
}

/// The directories above a path, the nearest first.
fn above(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().skip(1).map(|dir| if dir == Path::new("") { Path::new(".") } else { dir })
}

/// The nearest directory above a path that is there.
fn standing(path: &Path) -> PathBuf {
    above(path).find(|dir| dir.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// The names of a file and of the directories above it, up to one that was there before, survive a power cut from
/// here on.
fn sync_names(path: &Path, before: &Path) -> io::Result<()> {
    for dir in above(path) {
        File::open(dir)?.sync_all()?;
        if dir == before {
            break;
        }
    }
    Ok(())
}
