//! Hearing of what others do while somebody waits here: on a connection of its own, which blocks until there is something.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep};

use super::{link::Link, shared::Shared};

/// It blocks for so long, and then looks whether anybody waits still.
const BLOCKS: Duration = Duration::from_secs(1);
/// A server that says nothing is asked again after this.
const AGAIN: Duration = Duration::from_millis(200);

/// What is heard, and what was taken in of it.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Others have done something.
    pub(super) heard: Notify,
    /// Something was taken in.
    pub(super) taken: Notify,
    /// Somebody begins to wait.
    pub(super) waits: Notify,
}

/// Listens as long as the runtime lasts.
pub(super) async fn listen(shared: Arc<Shared>, mut link: Link) {
    let news = &shared.news;
    loop {
        let last = {
            let state = shared.lock();
            (!state.waiting.is_empty()).then(|| state.replica.last())
        };
        let Some(last) = last else {
            news.waits.notified().await;
            continue;
        };
        match link.blocks(&last.to_string(), BLOCKS).await {
            Ok(true) => {
                let taken = news.taken.notified();
                news.heard.notify_one();
                // Until that is taken in there is nothing new to hear.
                let _ = tokio::time::timeout(BLOCKS, taken).await;
            }
            Ok(false) => {}
            Err(_) => sleep(AGAIN).await,
        }
    }
}
