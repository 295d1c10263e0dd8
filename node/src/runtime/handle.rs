use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::command::{Command, CommandError, ErrorKind, Response};
use crate::event::Event;

/// The longest that an answer may wait for the network.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// The answer to a command.
pub(super) type Answer = Result<Response, CommandError>;

/// A command on its way to the node's thread.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) command: Command,
    pub(super) wait: Duration,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// Asks a running node. Cheap to clone; does not keep the node running.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    inbox: mpsc::Sender<Question>,
    events: broadcast::WeakSender<Event>,
}

impl NodeHandle {
    pub(super) const fn new(inbox: mpsc::Sender<Question>, events: broadcast::WeakSender<Event>) -> Self {
        Self { inbox, events }
    }

    /// Carries out a command. The answer may wait for the network, for `wait` (at most an hour); what it
    /// says is durable.
    pub async fn ask(&self, command: Command, wait: Duration) -> Result<Response, CommandError> {
        let (reply, answer) = oneshot::channel();
        let question = Question { command, wait: wait.min(WAIT_MAX), reply };
        self.inbox.send(question).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        match self.events.upgrade() {
            Some(sender) => Events(sender.subscribe()),
            // The node is gone: these events are over at once.
            None => Events(broadcast::channel(1).1),
        }
    }
}

pub(super) fn stopped() -> CommandError {
    CommandError::new(ErrorKind::Internal, "the node stopped before it answered: start it and look again")
}

/// Events as they happen. Whoever takes them too slowly gets [`Event::Missed`] in the place of those missed.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the node is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Event::Missed { count }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
