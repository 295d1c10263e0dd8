//! `status`: the running relay answers each connection to a Unix socket in its data directory with one
//! JSON document, and reads nothing. Whoever may enter the directory may ask.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::status::{Question, Status};
use crate::data_dir::DataDir;

/// How long an answer may take, either side.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// More than an answer can have, in bytes.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Answers until the task is aborted, one asker at a time.
pub(crate) fn serve(
    path: PathBuf,
    questions: mpsc::Sender<Question>,
    addresses: Vec<String>,
) -> anyhow::Result<JoinHandle<()>> {
    let listener = UnixListener::bind(&path).with_context(|| {
        format!(
            "can't open {} (a shorter data directory may help: such a path has at most 107 bytes)",
            path.display()
        )
    })?;
    #[expect(clippy::disallowed_methods, reason = "a shell: the uptime is shown, nothing is decided by it")]
    let started = Instant::now();
    Ok(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = async {
                let status = status(&questions, &addresses, started).await?;
                stream.write_all(&serde_json::to_vec(&status).ok()?).await.ok()
            };
            if timeout(ANSWER_WAIT, answer).await.ok().flatten().is_none() {
                tracing::debug!("a question for the status was not answered");
            }
        }
    }))
}

async fn status(
    questions: &mpsc::Sender<Question>,
    addresses: &[String],
    started: Instant,
) -> Option<Status> {
    let (answer, snapshot) = oneshot::channel();
    questions.send(answer).await.ok()?;
    Some(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        addresses: addresses.to_vec(),
        uptime_s: started.elapsed().as_secs(),
        now: snapshot.await.ok()?,
    })
}

/// Asks the relay that runs with this data directory.
pub(crate) fn ask(dir: &DataDir, config: &Path) -> anyhow::Result<Status> {
    let mut stream = UnixStream::connect(dir.socket()).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
            "no relay runs with the data directory {}: start it with `undertone-relay run --config {}`",
            dir.path().display(),
            config.display()
        ),
        _ => anyhow::Error::new(error).context(format!("can't ask {}", dir.socket().display())),
    })?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    let mut answer = Vec::new();
    (&mut stream).take(ANSWER_BYTES_MAX).read_to_end(&mut answer).context("the relay does not answer")?;
    serde_json::from_slice(&answer).context("the relay's answer can't be read: is it another version?")
}
