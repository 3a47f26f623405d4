//! Images of all counts: when one is due, and what is known of the last one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Value;
use tokio::time::sleep;

use super::{
    entry::Place,
    link::{Ask, Failure, Link, part},
    ring::TAIL,
    shared::instant,
    worker::Worker,
};

/// One that did not come to be is tried again after this, and after twice as long each time.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);
/// So many times as much as is done between two images may be done since the last one. Then something is wrong.
const OVERDUE: u64 = 10;
/// Whoever needs one that is gone looks for it so often, and for so long at most.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS_FOR: Duration = Duration::from_secs(5);

/// What is known of the last one.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// What was done up to there is in it.
    last: u64,
    /// The server has thrown it away.
    is_gone: bool,
    again: Option<Again>,
}

/// One was tried. Until then no other is.
#[derive(Debug)]
struct Again {
    at: Instant,
    span: Duration,
    /// Why it did not come to be, where it did not.
    why: Option<String>,
}

impl Images {
    /// What the server says of the last one.
    pub(super) fn hear(&mut self, last: u64, is_there: bool) {
        (self.last, self.is_gone) = (last, !is_there);
    }

    /// Whether one is to be written now, where the log ends at `last` and `each` is done between two. `wrote`: from where to
    /// where something was appended just now. Whoever passes the next place for one writes it, whoever did so in vain tries
    /// again, and where it is gone everybody does.
    fn is_due(
        &mut self,
        wrote: Option<(u64, u64)>,
        (last, each): (u64, u64),
        now: Instant,
    ) -> bool {
        let passes = |(first, last): (u64, u64)| first.saturating_sub(1) / each != last / each;
        let passes = wrote.is_some_and(passes);
        match &self.again {
            Some(again) if now < again.at => false,
            Some(_) if self.is_gone || last.saturating_sub(self.last) >= each => true,
            Some(_) => {
                self.again = None;
                passes
            }
            None => self.is_gone || passes,
        }
    }

    /// One up to there was tried: whether it was written, or why not.
    fn tried(&mut self, up_to: u64, said: Result<(), String>, now: Instant) {
        let was_gone = self.is_gone;
        if said.is_ok() {
            self.hear(up_to, true);
        }
        if said.is_ok() && !was_gone {
            self.again = None;
            return;
        }
        // A server that throws away each as it comes is not kept busy by that.
        let before = self.again.take();
        let span = before.map_or(AGAIN, |again| (again.span * 2).min(AGAIN_AT_MOST));
        self.again = Some(Again {
            at: now + span,
            span,
            why: said.err(),
        });
    }

    /// How long it is until one is tried again that did not come to be.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        let failed = self.again.as_ref().filter(|again| again.why.is_some())?;
        Some(failed.at.saturating_duration_since(now))
    }

    /// That the log is much longer than it is to be, and why.
    fn overdue(&self, (last, each): (u64, u64)) -> Option<Arc<str>> {
        let since = last.saturating_sub(self.last);
        if since < each.saturating_mul(OVERDUE) {
            return None;
        }
        let why = self.again.as_ref().and_then(|again| again.why.as_deref());
        let why = why.unwrap_or("the others write none");
        let said = format!(
            "its log has {since} entries since the last image of the counts, and grows until the server is full: {why}"
        );
        Some(said.into())
    }
}

/// What [`Ask::Read`] says. Where the image is gone it is looked for again: whoever counts there writes it when it asks next.
pub(super) async fn read(link: &mut Link) -> Result<Vec<Value>, Failure> {
    let until = instant() + link.patience().min(LOOKS_FOR);
    loop {
        let parts = link.ask(Ask::Read, &[]).await?;
        let is_gone = parts.get(5) == Some(&Value::Nil);
        if !is_gone || instant() >= until {
            return Ok(parts);
        }
        sleep(LOOK).await;
    }
}

impl Worker {
    /// Writes an image where one is due, and notes where that is overdue. `wrote`: from where to where something was appended.
    pub(super) async fn keep_image(&mut self, wrote: Option<(u64, u64)>) {
        let (log, epoch, place, text) = {
            let state = &mut *self.shared.lock();
            let counts = u64::try_from(state.replica.store().len()).unwrap_or(u64::MAX);
            let place = state.replica.last();
            let log = (place.pos, self.settings.image_after.max(counts));
            state.overdue = self.images.overdue(log);
            if !self.images.is_due(wrote, log, instant()) {
                return;
            }
            let text = state.replica.text(self.ring.tail(TAIL));
            (log, state.replica.epoch().to_owned(), place, text)
        };
        let said = match text {
            Ok(text) => self.write_image(epoch, place, text).await,
            Err(reason) => Err(reason),
        };
        let now = instant();
        self.asked = now;
        self.images.tried(place.pos, said, now);
        self.shared.lock().overdue = self.images.overdue(log);
    }

    async fn write_image(
        &mut self,
        epoch: String,
        place: Place,
        text: String,
    ) -> Result<(), String> {
        let stay = match self.pace.leases() {
            true => self.settings.image_after,
            false => 0,
        };
        let args = [epoch, place.to_string(), text, stay.to_string()].map(String::into_bytes);
        let asked = self.link.ask(Ask::Image, &args).await;
        let parts = asked.map_err(|failure| failure.reason)?;
        match part::<u64>(&parts, 0)? {
            0 => Err("there is a later one, or its log is another".into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: u64 = 100;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn refused() -> Result<(), String> {
        Err("it is full".into())
    }

    #[test]
    fn who_passes_the_next_place_writes_one_and_others_do_not() {
        let (mut images, now) = (Images::default(), instant());
        images.hear(0, true);
        assert!(!images.is_due(Some((1, 99)), (99, EACH), now));
        assert!(!images.is_due(None, (130, EACH), now));
        assert!(images.is_due(Some((98, 101)), (101, EACH), now));
        images.tried(101, Ok(()), now);
        assert!(!images.is_due(Some((102, 199)), (199, EACH), now));
    }

    #[test]
    fn one_that_does_not_come_to_be_is_tried_again_after_a_span_that_grows_up_to_a_minute() {
        let (mut images, mut now) = (Images::default(), instant());
        images.hear(0, true);
        assert!(images.is_due(Some((100, 100)), (100, EACH), now));
        assert_eq!(images.rest(now), None);
        let mut spans = Vec::new();
        for _ in 0..9 {
            images.tried(100, refused(), now);
            let span = images.rest(now).unwrap();
            assert!(!images.is_due(Some((200, 200)), (200, EACH), now));
            now += span;
            assert!(images.is_due(None, (200, EACH), now));
            spans.push(span.as_secs());
        }
        assert_eq!(spans, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        images.tried(200, Ok(()), now);
        assert_eq!(images.rest(now), None);
        assert!(!images.is_due(None, (299, EACH), now));
        // The next time it begins anew.
        images.tried(300, refused(), now);
        assert_eq!(images.rest(now), Some(seconds(1)));
        // Somebody else has written one meanwhile.
        images.hear(310, true);
        assert!(!images.is_due(None, (320, EACH), now + seconds(1)));
        assert_eq!(images.rest(now), None);
    }

    #[test]
    fn one_that_is_gone_is_written_at_once_and_not_all_the_time() {
        let (mut images, now) = (Images::default(), instant());
        images.hear(50, false);
        assert!(images.is_due(None, (60, EACH), now));
        images.tried(60, Ok(()), now);
        // It is gone again at once, and again.
        images.hear(60, false);
        assert!(!images.is_due(None, (61, EACH), now));
        assert!(images.is_due(None, (61, EACH), now + seconds(1)));
        images.tried(61, Ok(()), now + seconds(1));
        images.hear(61, false);
        assert!(!images.is_due(None, (62, EACH), now + seconds(2)));
        // Once it has stayed that is forgotten.
        images.hear(61, true);
        assert!(!images.is_due(None, (62, EACH), now + seconds(3)));
        images.hear(61, false);
        assert!(images.is_due(None, (63, EACH), now + seconds(3)));
    }

    #[test]
    fn a_log_that_is_ten_times_too_long_is_said_with_the_reason() {
        let (mut images, now) = (Images::default(), instant());
        images.hear(7, true);
        images.tried(200, refused(), now);
        assert_eq!(images.overdue((1_006, EACH)), None);
        let said = images.overdue((1_007, EACH)).unwrap();
        assert!(said.contains("1000 entries") && said.ends_with(": it is full"));
        images.hear(900, true);
        assert_eq!(images.overdue((1_007, EACH)), None);
    }
}
