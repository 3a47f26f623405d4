//! Finding the way back: where the server has lost something, or another history than this process knows.

use std::collections::HashMap;

use super::{
    entry::{Entry, Op, Place, Process},
    images,
    link::{Ask, Failure, part},
    replica::{Outcome, Replica},
    ring::KEPT,
    trip::{Reply, given, unread},
    worker::Worker,
};

/// So often in one round it has the server begin anew.
const RESTORED: u32 = 4;

/// What the server has: its image, and what was read of the log behind that.
pub(super) struct Found {
    image: Replica,
    /// As it came.
    behind: Vec<Vec<Entry>>,
    /// Up to there.
    last: Place,
    /// What every process did last in it.
    numbers: HashMap<Process, u64>,
}

impl Found {
    fn of(image: Replica) -> Self {
        Found {
            behind: Vec::new(),
            last: image.last(),
            numbers: image.seen().collect(),
            image,
        }
    }

    fn add(&mut self, entries: Vec<Entry>) {
        for entry in &entries {
            let number = self.numbers.entry(entry.process).or_default();
            *number = entry.number.max(*number);
        }
        self.last = entries.last().map_or(self.last, |entry| entry.place);
        self.behind.push(entries);
    }

    fn number_of(&self, process: Process) -> u64 {
        self.numbers.get(&process).copied().unwrap_or(0)
    }

    /// What stands behind the image, each with whether it was granted.
    fn into_behind(self) -> Vec<(Entry, bool)> {
        let Found {
            mut image, behind, ..
        } = self;
        let mut done = Vec::new();
        for entry in behind.into_iter().flatten() {
            // What is read begins with what was known last.
            if entry.place.pos > image.last().pos {
                let granted = matches!(image.apply(&entry).outcome, Outcome::Granted);
                done.push((entry, granted));
            }
        }
        done
    }
}

/// A name for a history that begins.
pub(super) fn new_epoch() -> String {
    format!("{:016x}", fastrand::u64(..))
}

impl Worker {
    /// Goes on from what the server has, where it goes on from what is known here; has it go on from that otherwise.
    pub(super) async fn find_again(&mut self) -> Result<(), Failure> {
        let parts = images::read(&mut self.link).await?;
        let kind: String = part(&parts, 0).map_err(unread)?;
        if kind == "gone" {
            let shared = self.shared.clone();
            self.ring.forget_who_left(&shared.lock().replica);
            return self.restore("").await;
        }
        let text = |place| part::<String>(&parts, place).map_err(unread);
        if let Ok(needs) = text(2)?.parse::<u32>()
            && needs > self.settings.form.0
        {
            return Err(self.newer(needs));
        }
        let Some(image) = part::<Option<String>>(&parts, 5).map_err(unread)? else {
            // Nobody came who has it, and nobody who lacks something finds it in what is left there.
            let epoch = text(1)?;
            let shared = self.shared.clone();
            self.ring.forget_who_left(&shared.lock().replica);
            return self.restore(&epoch).await;
        };
        let (image, tail) = Replica::of_text(&image).map_err(unread)?;
        let found = Box::new(Found::of(image));
        let goes_on = {
            let state = self.shared.lock();
            let ours = &state.replica;
            self.ring.knew(ours);
            self.ring.learn(tail, &found.image);
            // Of two that each know what the other cannot tell again one gives way.
            let gives_way = self.restored >= RESTORED;
            let bridged = self.ring.bridges(|process| found.number_of(process), ours);
            found.image.is_kin_of(ours) && (bridged || gives_way)
        };
        if goes_on {
            return self.go_on_from(found);
        }
        // The image may be older than all that is kept here: what it lacks may stand behind it. So may what was done since by
        // processes that have left.
        self.found = Some(found);
        Ok(())
    }

    /// Reads on behind an image. At the end of the log it is known whether to go on from that.
    pub(super) async fn read_on(&mut self, mut found: Box<Found>) -> Result<(), Failure> {
        let known = (found.image.epoch().to_owned(), found.last);
        let entries = match self.read_behind(known).await {
            Ok((_, Reply::Appended { entries, .. })) => entries,
            Ok((_, Reply::More { entries })) => {
                found.add(entries);
                self.found = Some(found);
                return Ok(());
            }
            // It has changed meanwhile, and is looked at anew.
            Ok((_, Reply::Astray)) => return Ok(()),
            Ok((_, Reply::Newer(wanted))) => return Err(self.newer(wanted)),
            Err(failure) => {
                self.found = Some(found);
                return Err(failure);
            }
        };
        found.add(entries);
        let goes_on = {
            let state = self.shared.lock();
            let ours = &state.replica;
            let there = |process| found.number_of(process);
            found.image.is_kin_of(ours) && self.ring.bridges(there, ours)
        };
        if goes_on {
            return self.go_on_from(found);
        }
        let epoch = found.image.epoch().to_owned();
        {
            let state = self.shared.lock();
            let is_kin = found.image.is_kin_of(&state.replica);
            self.ring.forget_who_left(&state.replica);
            self.ring.save(found.into_behind(), &state.replica, is_kin);
        }
        self.restore(&epoch).await
    }

    /// Goes on from that, and tells again what it lacks.
    fn go_on_from(&mut self, found: Box<Found>) -> Result<(), Failure> {
        let Found { image, behind, .. } = *found;
        self.ring.forget_who_left(&image);
        self.ring.lose();
        let shared = self.shared.clone();
        {
            let state = &mut *shared.lock();
            state.adopt(image);
            if state.replica.owes(shared.me) {
                // Behind all that is told again.
                let at = shared.given().map(|_| state.replica.at());
                shared.queue_at(state, Op::Told, None, at);
            }
            self.answer_done(state);
        }
        self.deliver();
        for entries in behind {
            self.absorb_past(entries)?;
        }
        // What others gave back may be in the image, and in no entry that is taken in.
        shared.tell_changed();
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
            // What an image told that stood there is known now, and nobody else may know it.
            self.ring.lose();
        }
        // Otherwise somebody was first: what they wrote is looked at next.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        limit::{Demand, Limit, Limits, NewTarget, Quantities},
        store::{Claim, asked::Asked, clock::told::At},
        tags::Tags,
    };

    #[test]
    fn what_stands_behind_an_image_is_there_once_with_what_came_of_it() {
        let day = Duration::from_secs(86_400);
        let limits = Limits::new([Limit::requests(1).every(day)]).unwrap();
        let claim = Claim {
            tags: Arc::new(Tags::new()),
            demand: Demand::default(),
            quantities: Quantities::ALL,
            repeat: false,
            new_target: NewTarget::default(),
            held: Vec::new(),
            attempt: 0,
        };
        let asked = Asked::of(&claim, &limits);
        let process = Process::new();
        let entry = |number, op| Entry {
            place: Place {
                pos: number,
                tag: 1,
            },
            at: At::default(),
            process,
            number,
            op,
        };
        let one = entry(1, Op::Claim(asked.clone()));
        let (two, three) = (entry(2, Op::Claim(asked)), entry(3, Op::Leave));
        let mut found = Found::of(Replica::new(limits, None, "other", At::default()));
        found.add(vec![one.clone(), two.clone()]);
        found.add(vec![two.clone(), three.clone()]);
        let behind = [(one, true), (two, false), (three, false)];
        assert_eq!(found.into_behind(), behind);
    }
}
