use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::{broadcast, mpsc, oneshot};
use undertone_protocol::time::Clock;
use undertone_transport::Roots;

use super::handle::{Answer, Question};
use super::session::Session;
use super::{NodeError, fresh_rng};
use crate::command::{Ask, CommandError, CommandId, ErrorKind};
use crate::engine::{Input, LoadError, Notice};
use crate::event::Event;
use crate::store::NodeStore;

/// Inputs that share one transaction; half of them may be commands.
const DRAIN_MAX: usize = 128;
/// The clock is looked at this often at least: it may be set while nothing else happens.
const SLEEP_MAX: Duration = Duration::from_secs(60);
const RELOAD_DELAY_MIN: Duration = Duration::from_millis(100);
const RELOAD_DELAY_MAX: Duration = Duration::from_secs(5);
/// After so many failures without a commit between them, the node ends with an error.
const RELOADS_MAX: usize = 5;

/// What the node's thread runs.
pub(super) struct Driver<S, C> {
    pub(super) store: S,
    pub(super) clock: C,
    /// Whose TLS certificates are taken.
    pub(super) roots: Roots,
    pub(super) inbox: mpsc::Receiver<Question>,
    pub(super) events: broadcast::Sender<Event>,
    /// Told, or dropped, when the node is to stop.
    pub(super) stop: oneshot::Receiver<()>,
}

impl<S: NodeStore, C: Clock> Driver<S, C> {
    /// Loads, says in `started` whether that worked, and runs until it is told to stop.
    pub(super) async fn run(self, started: SyncSender<Result<(), NodeError>>) -> Result<(), NodeError> {
        let mut turns =
            Turns { driver: self, pending: BTreeMap::new(), next: 0, reloads: reloads(), failures: 0 };
        match turns.load() {
            Ok(session) => {
                // An error says that whoever started the node is gone; then `stop` says the same.
                let _ = started.send(Ok(()));
                turns.run(session).await
            }
            Err(error) => {
                let _ = started.send(Err(error));
                Ok(())
            }
        }
    }
}

fn reloads() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(RELOAD_DELAY_MIN)
        .with_max_delay(RELOAD_DELAY_MAX)
        .with_max_times(RELOADS_MAX)
        .build()
}

/// Why a session is over.
enum End {
    Stop,
    Failed(String),
}

struct Turns<S, C> {
    driver: Driver<S, C>,
    /// Who waits for an answer; as many as the engine lets wait, and one turn's commands.
    pending: BTreeMap<CommandId, oneshot::Sender<Answer>>,
    next: u64,
    reloads: ExponentialBackoff,
    /// Since the last commit.
    failures: u32,
}

impl<S: NodeStore, C: Clock> Turns<S, C> {
    fn load(&mut self) -> Result<Session, NodeError> {
        let now = self.driver.clock.now();
        Session::load(&mut self.driver.store, fresh_rng()?, now, self.driver.roots.clone())
    }

    async fn run(&mut self, mut session: Session) -> Result<(), NodeError> {
        loop {
            let end = self.serve(&mut session).await;
            session.end().await;
            let End::Failed(error) = end else { return Ok(()) };
            tracing::error!(%error, "the node's store failed: loading anew");
            self.fail_pending(&error);
            match self.reload(error).await? {
                Some(loaded) => session = loaded,
                None => return Ok(()),
            }
        }
    }

    /// Turn after turn, until the node is to stop or something fails.
    async fn serve(&mut self, session: &mut Session) -> End {
        loop {
            let inputs = match self.inputs(session).await {
                Ok(inputs) => inputs,
                Err(end) => return end,
            };
            let now = self.driver.clock.now();
            let outputs = match session.handle(&mut self.driver.store, inputs, now) {
                Ok(outputs) => outputs,
                Err(error) => return End::Failed(error.to_string()),
            };
            self.reloads = reloads();
            self.failures = 0;
            if let Err(error) = session.release(outputs.net).await {
                return End::Failed(error.to_string());
            }
            outputs.notices.into_iter().for_each(|notice| self.tell(notice));
        }
    }

    /// Waits for the first input, then takes those that are there already.
    async fn inputs(&mut self, session: &mut Session) -> Result<Vec<Input>, End> {
        let sleep = session.next_deadline().since(self.driver.clock.now()).min(SLEEP_MAX);
        let first = tokio::select! {
            _ = &mut self.driver.stop => return Err(End::Stop),
            question = self.driver.inbox.recv() => match question {
                Some(question) => self.ask(question),
                None => return Err(End::Stop),
            },
            input = session.next() => match input {
                Some(input) => input,
                None => return Err(End::Failed("the network is gone".to_owned())),
            },
            () = tokio::time::sleep(sleep) => Input::Tick,
        };
        let mut inputs = vec![first];
        while inputs.len() < DRAIN_MAX / 2 {
            let Ok(question) = self.driver.inbox.try_recv() else { break };
            inputs.push(self.ask(question));
        }
        while inputs.len() < DRAIN_MAX {
            let Some(input) = session.try_next() else { break };
            inputs.push(input);
        }
        Ok(inputs)
    }

    fn ask(&mut self, question: Question) -> Input {
        let Question { command, wait, reply } = question;
        self.next += 1;
        let id = CommandId(self.next);
        self.pending.insert(id, reply);
        Input::Ask(Ask { id, command, wait })
    }

    fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Reply { id, result } => {
                if let Some(reply) = self.pending.remove(&id) {
                    // An error says that nobody waits for the answer any more.
                    let _ = reply.send(*result);
                }
            }
            // An error says that nobody watches.
            Notice::Event(event) => drop(self.driver.events.send(event)),
        }
    }

    /// Whoever waits can't know what was kept: it may be all but the answer.
    fn fail_pending(&mut self, error: &str) {
        let text =
            format!("the node failed ({error}): look with `undertone history` or `status` what it kept");
        for (_, reply) in std::mem::take(&mut self.pending) {
            // An error says that nobody waits for the answer any more.
            let _ = reply.send(Err(CommandError::new(ErrorKind::Internal, text.clone())));
        }
    }

    /// Waits; whoever asks meanwhile is told why there is no answer. False when the node is to stop.
    async fn pause(&mut self, delay: Duration, error: &str) -> bool {
        let over = tokio::time::sleep(delay);
        tokio::pin!(over);
        loop {
            tokio::select! {
                _ = &mut self.driver.stop => return false,
                () = &mut over => return true,
                Some(question) = self.driver.inbox.recv() => {
                    let text = format!("the node failed ({error}) and loads anew: ask again");
                    // An error says that nobody waits for the answer any more.
                    let _ = question.reply.send(Err(CommandError::new(ErrorKind::Internal, text)));
                }
            }
        }
    }

    /// Loads anew, with a growing delay; `None` when the node is to stop meanwhile.
    async fn reload(&mut self, mut error: String) -> Result<Option<Session>, NodeError> {
        loop {
            self.failures += 1;
            let Some(delay) = self.reloads.next() else {
                return Err(NodeError::Store { failures: self.failures, error });
            };
            if !self.pause(delay, &error).await {
                return Ok(None);
            }
            match self.load() {
                Ok(session) => return Ok(Some(session)),
                Err(NodeError::Load(LoadError::Store(failed))) => error = failed.to_string(),
                Err(other) => return Err(other),
            }
        }
    }
}
