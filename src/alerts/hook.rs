//! A webhook that is told, with what waits for it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Alert, Kind, Outcome, Told, Webhook,
    queue::Shared,
    repeats::{News, Repeats},
};

/// So many alerts wait for each webhook at most.
const QUEUE: usize = 256;

/// What is told of, and to it.
pub(super) struct Hook {
    pub(super) to: Arc<To>,
    queue: mpsc::Sender<Arc<Alert>>,
    /// Taken by whoever delivers.
    waiting: Mutex<Option<mpsc::Receiver<Arc<Alert>>>>,
}

/// The webhook itself.
pub(super) struct To {
    pub(super) webhook: Webhook,
    /// Of the same webhook told otherwise they are the same.
    repeats: Arc<Mutex<Repeats>>,
}

impl Hook {
    pub(super) fn new(webhook: Webhook) -> Self {
        let repeats = Repeats::new(webhook.again_after);
        Hook::that_knows(webhook, Arc::new(Mutex::new(repeats)))
    }

    /// The same webhook from now on, told otherwise: it remembers what it was told.
    pub(super) fn changed(&self, webhook: Webhook) -> Self {
        let repeats = self.to.repeats.clone();
        repeats.lock().tell_again_after(webhook.again_after);
        Hook::that_knows(webhook, repeats)
    }

    fn that_knows(webhook: Webhook, repeats: Arc<Mutex<Repeats>>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Hook {
            to: Arc::new(To { webhook, repeats }),
            queue,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    /// Takes it in, where it wants it and was not told before. `alert` makes it. It waits for nothing.
    pub(super) fn take(
        &self,
        (kind, subject, is_over): (Kind, &str, bool),
        alert: impl FnOnce() -> Arc<Alert>,
    ) -> Result<(), Told> {
        if !self.to.webhook.kinds.has(kind) {
            return Ok(());
        }
        // Until it is in the queue: what is over is told after what began.
        let mut repeats = self.to.repeats.lock();
        let news = match is_over {
            // It is passed once a period: who counts knows when that is.
            _ if kind == Kind::Threshold => News::Yes,
            true => repeats.ends(kind, subject),
            false => repeats.begins(kind, subject, Instant::now()),
        };
        match news {
            News::No => Ok(()),
            News::Full => Err(self.to.dropped(&alert())),
            News::Yes => self.queue.try_send(alert()).map_err(|full| {
                let (mpsc::error::TrySendError::Full(alert)
                | mpsc::error::TrySendError::Closed(alert)) = full;
                self.to.dropped(&alert)
            }),
        }
    }

    /// What waits, for whoever delivers it; `None` where somebody does.
    pub(super) fn waiting(&self) -> Option<mpsc::Receiver<Arc<Alert>>> {
        self.waiting.lock().take()
    }
}

impl To {
    fn told(&self, alert: &Arc<Alert>, outcome: Outcome) -> Told {
        Told {
            webhook: self.webhook.name.clone(),
            alert: alert.clone(),
            outcome,
        }
    }

    fn dropped(&self, alert: &Arc<Alert>) -> Told {
        self.told(alert, Outcome::Dropped)
    }

    /// Delivers what waits, one after the other, until nothing more can come. Once `stopping` says so nothing is taken in any
    /// more.
    pub(super) async fn deliver_all(
        self: Arc<Self>,
        shared: Arc<Shared>,
        waiting: mpsc::Receiver<Arc<Alert>>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let (to, shared) = (&*self, &*shared);
        let mut line = Line {
            to,
            shared,
            waiting,
            is_closed: false,
        };
        loop {
            let waiting = &mut line.waiting;
            let alert = tokio::select! {
                alert = waiting.recv() => alert,
                // Where nobody is left who could say so, it is said.
                _ = stopping.wait_for(|stops| *stops), if !line.is_closed => {
                    line.is_closed = true;
                    waiting.close();
                    continue;
                }
            };
            let Some(alert) = alert else {
                return;
            };
            let mut on_its_way = OnItsWay {
                to,
                shared,
                alert: &alert,
                outcome: Outcome::Dropped,
            };
            let again = |outcome| shared.say(&to.told(&alert, outcome));
            let delivered = to.webhook.deliver(&shared.post, &alert, again).await;
            on_its_way.outcome = match delivered {
                Ok(_) => Outcome::Delivered,
                Err(why) => Outcome::Failed(why),
            };
        }
    }
}

/// Those that wait. Should nobody deliver them any more, that is said.
struct Line<'a> {
    to: &'a To,
    shared: &'a Shared,
    waiting: mpsc::Receiver<Arc<Alert>>,
    is_closed: bool,
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.waiting.close();
        while let Ok(alert) = self.waiting.try_recv() {
            self.shared.say(&self.to.dropped(&alert));
        }
    }
}

/// An alert on its way. What became of it is said however that ends.
struct OnItsWay<'a> {
    to: &'a To,
    shared: &'a Shared,
    alert: &'a Arc<Alert>,
    outcome: Outcome,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Dropped);
        self.shared.say(&self.to.told(self.alert, outcome));
    }
}
