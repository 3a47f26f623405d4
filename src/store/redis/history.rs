//! Finding the way back: where the server has lost something, or another history than this process knows.

use super::{
    entry::Op,
    link::{Ask, Failure, part},
    replica::Replica,
    ring::{KEPT, TAIL},
    shared::instant,
    trip::{given, unread},
    worker::Worker,
};

/// So often in one round it has the server begin anew.
const RESTORED: u32 = 4;

/// A name for a history that begins.
pub(super) fn new_epoch() -> String {
    format!("{:016x}", fastrand::u64(..))
}

impl Worker {
    /// Goes on from what the server has, where it goes on from what is known here; has it go on from that otherwise.
    pub(super) async fn find_again(&mut self) -> Result<(), Failure> {
        let parts = self.link.ask(Ask::Read, &[]).await?;
        let kind: String = part(&parts, 0).map_err(unread)?;
        if kind == "gone" {
            return self.restore("").await;
        }
        let text = |place| part::<String>(&parts, place).map_err(unread);
        let (epoch, needs) = (text(1)?, text(2)?);
        if needs
            .parse::<u32>()
            .is_ok_and(|needs| needs > self.settings.form.0)
        {
            return Err(Failure {
                reason: format!("a newer version counts there in form {needs}: use that"),
                unknown: false,
            });
        }
        let (found, tail) = Replica::of_text(&text(5)?).map_err(unread)?;
        self.ring.learn(tail, &found);
        let ours = {
            let ours = &self.shared.lock().replica;
            // Of two that each know what the other cannot tell again one gives way.
            let gives_way = self.restored >= RESTORED;
            found.is_kin_of(ours) && (self.ring.bridges(&found, ours) || gives_way)
        };
        if !ours {
            return self.restore(&epoch).await;
        }
        self.ring.lose();
        let shared = self.shared.clone();
        {
            let state = &mut *shared.lock();
            state.adopt(found);
            if state.replica.owes(shared.me) {
                // Behind all that is told again.
                let at = shared.given().map(|_| state.replica.at());
                shared.queue_at(state, Op::Told, None, at);
            }
            self.answer_done(state);
        }
        self.deliver();
        Ok(())
    }

    /// Has the server begin anew with what is known here, if that is still the history that was seen.
    async fn restore(&mut self, epoch: &str) -> Result<(), Failure> {
        let fresh = new_epoch();
        // Whoever goes by the history that stood there finds that this goes on from it, and tells what it did again.
        let epochs: Vec<String> = [epoch, &fresh].map(str::to_owned).into();
        let epochs = &epochs[usize::from(epoch.is_empty())..];
        let args = {
            let state = self.shared.lock();
            let replica = &state.replica;
            let tail = self.ring.tail(KEPT);
            let image = replica.text_anew((self.shared.me, epochs), tail);
            let image = image.map_err(unread)?;
            let at = self
                .shared
                .given()
                .map_or_else(|| state.at(), |_| state.replica.at());
            let mut args = vec![
                epoch.to_owned(),
                fresh.clone(),
                replica.last().to_string(),
                image,
                at.tick.as_micros().to_string(),
                self.settings.form.1.to_string(),
            ];
            let [tick, wall] = given(self.shared.given().map(|_| at));
            let mut args: Vec<Vec<u8>> = args.drain(..).map(String::into_bytes).collect();
            args.extend([tick, wall]);
            for (process, number) in replica.live() {
                let known = [
                    process.to_string(),
                    number.to_string(),
                    self.settings.form.0.to_string(),
                ];
                args.extend(known.map(String::into_bytes));
            }
            args
        };
        let parts = self.link.ask(Ask::Restore, &args).await?;
        if part::<u64>(&parts, 0).map_err(unread)? == 1 {
            let state = &mut *self.shared.lock();
            state.replica.begin_anew(self.shared.me, epochs);
            self.restored += 1;
        }
        // Otherwise somebody was first: what they wrote is looked at next.
        Ok(())
    }

    /// Writes an image where what was appended passes the next place for one.
    pub(super) async fn write_image(&mut self, first: u64, last: u64) {
        let (epoch, place, text) = {
            let state = self.shared.lock();
            let counts = u64::try_from(state.replica.store().len()).unwrap_or(u64::MAX);
            let each = self.settings.image_after.max(counts);
            if first.saturating_sub(1) / each == last / each {
                return;
            }
            let replica = &state.replica;
            let Ok(text) = replica.text(self.ring.tail(TAIL)) else {
                return;
            };
            (replica.epoch().to_owned(), replica.last(), text)
        };
        let stay = match self.pace.leases() {
            true => self.settings.image_after,
            false => 0,
        };
        let args = [epoch, place.to_string(), text, stay.to_string()].map(String::into_bytes);
        // The log is longer where it does not come to be, and the next one is tried.
        let _ = self.link.ask(Ask::Image, &args).await;
        self.asked = instant();
    }
}
