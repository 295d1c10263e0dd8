use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use undertone_transport::ServerEvent;

use crate::admin::Question;
use crate::gateway::DialEvent;

/// Events on the connections to other relays that are handled together.
pub(super) const DIALS_MAX: usize = 32;

/// What reaches the thread of the one writer.
pub(crate) struct Inlets {
    /// What happens on the connections. The thread ends when the listener has dropped its end.
    pub(crate) events: mpsc::Receiver<ServerEvent>,
    /// What happens on the connections to other relays.
    pub(crate) dials: mpsc::Receiver<DialEvent>,
    /// What operators ask.
    pub(crate) questions: mpsc::Receiver<Question>,
    /// Say goodbye to everybody.
    pub(crate) stop: oneshot::Receiver<()>,
    stopped: bool,
}

/// What one turn takes from each inlet, so that none of them keeps another one waiting.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) events: Vec<ServerEvent>,
    pub(super) dials: Vec<DialEvent>,
    pub(super) question: Option<Question>,
    /// Everybody is to be told goodbye; true once.
    pub(super) stop: bool,
    /// The listener is gone, and no event of it is left.
    pub(super) ended: bool,
}

impl Inlets {
    pub(crate) fn new(
        events: mpsc::Receiver<ServerEvent>,
        dials: mpsc::Receiver<DialEvent>,
        questions: mpsc::Receiver<Question>,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        Self { events, dials, questions, stop, stopped: false }
    }

    /// Waits until something is there, for no longer than `wait`, then takes of everything that is: at most `events_max`
    /// events, [`DIALS_MAX`] of the connections to other relays, one question.
    pub(super) async fn turn(&mut self, wait: Duration, events_max: usize) -> Turn {
        let mut turn = Turn::default();
        tokio::select! {
            // Whoever comes first only ends the wait.
            biased;
            _ = &mut self.stop, if !self.stopped => {
                (self.stopped, turn.stop) = (true, true);
            }
            event = self.events.recv() => match event {
                Some(event) => turn.events.push(event),
                None => turn.ended = true,
            },
            Some(event) = self.dials.recv() => turn.dials.push(event),
            Some(question) = self.questions.recv() => turn.question = Some(question),
            () = sleep(wait) => {}
        }
        fill(&mut self.events, &mut turn.events, events_max.max(1));
        fill(&mut self.dials, &mut turn.dials, DIALS_MAX);
        turn.question = turn.question.or_else(|| self.questions.try_recv().ok());
        turn
    }
}

/// Takes what is there already, until there are `max`.
fn fill<T>(from: &mut mpsc::Receiver<T>, into: &mut Vec<T>, max: usize) {
    while into.len() < max
        && let Ok(one) = from.try_recv()
    {
        into.push(one);
    }
}
