//! A fleet in which most agents make one call and go does not starve an agent that makes several.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};
use tower_quota::{
    Limiter, Tag, Tags,
    limit::{Limit, Limits},
    limiter::Call,
};

const MINUTE: Duration = Duration::from_secs(60);
const A_MINUTE: u64 = 60;

#[tokio::test(start_paused = true)]
async fn agents_that_call_once_and_never_end_to_come_do_not_starve_one_that_calls_five_times() {
    let limits = Limits::new([Limit::requests(A_MINUTE).every(MINUTE)]);
    let limiter = Limiter::new(limits.unwrap());
    for _ in 0..A_MINUTE {
        drop(limiter.acquire(Call::new()).await.unwrap());
    }
    let went = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    let mut comes = |agent: String| {
        let (limiter, went) = (limiter.clone(), went.clone());
        let call = Call::new().tags(Tags::new().with(Tag::Agent, agent.as_str()));
        tasks.spawn(async move {
            drop(limiter.acquire(call).await.unwrap());
            went.lock().unwrap().push(agent);
        });
    };
    (0..5).for_each(|_| comes("five".into()));
    // A tenth more than there is room for.
    for number in 0..1_200 {
        comes(format!("once {number}"));
        sleep(Duration::from_millis(900)).await;
    }
    let went = went.lock().unwrap();
    let five = went
        .iter()
        .enumerate()
        .filter(|(_, agent)| *agent == "five");
    let turns: Vec<usize> = five.map(|(turn, _)| turn).collect();
    // Between two of its calls go at most twice as many as wait, which are never more than two hundred here.
    assert_eq!(turns.len(), 5, "{turns:?}");
    assert!(
        turns.windows(2).all(|pair| pair[1] - pair[0] < 400),
        "{turns:?}"
    );
    // And they have their turn as well: it does not go before them all.
    assert!(turns[1] > 10, "{turns:?}");
}
