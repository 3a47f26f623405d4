//! The core without HTTP: any future under limits, here jobs on a machine of one's own.
//!
//! ```text
//! cargo run --example any_future
//! ```

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};
use tower_quota::{
    Limiter, Tag, Tags, Usage,
    limit::{Limit, Limits},
    limiter::{Call, Peek},
    scope,
};

const SECOND: Duration = Duration::from_secs(1);

/// A job that says what it used.
async fn summarise(text: &str) -> (String, Usage) {
    tokio::time::sleep(SECOND / 10).await;
    (text.chars().take(5).collect(), Usage::new(40, 10))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limiter = Limiter::from_env(Limits::new([
        Limit::requests(5).every(SECOND),
        Limit::tokens(1_000).every(SECOND * 60).per(Tag::Team),
        Limit::concurrency(2),
    ])?)?;

    // The short way. Ten jobs at once: five a second, two at a time.
    let start = Instant::now();
    let mut jobs = JoinSet::new();
    for number in 0..10 {
        let limiter = limiter.clone();
        let job = async move { tokio::time::sleep(SECOND / 10).await };
        jobs.spawn(async move {
            limiter.run(Call::new(), job).await?;
            Ok::<_, tower_quota::Rejection>(number)
        });
    }
    while let Some(done) = jobs.join_next().await {
        println!("{:4} ms: job {}", start.elapsed().as_millis(), done??);
    }
    assert!(
        start.elapsed() > SECOND,
        "the second five waited for the window"
    );

    // With the permit as a guard, where the work says what it used: 50 of the 400 that it might have.
    let blue = Tags::new().with(Tag::Team, "blue");
    scope(blue.clone(), async {
        let permit = limiter.acquire(Call::new().tokens(100, 300)).await?;
        let (summary, usage) = permit.scope(summarise("hello world")).await;
        permit.settle(usage);
        println!("summary: {summary}");

        // What was done elsewhere counts too.
        limiter.record(&Tags::new(), Usage::new(700, 200)).await?;

        // 950 of the team's 1000 tokens are used.
        let next = Call::new().tokens(60, 0);
        let peeked = limiter.peek(&next).await?;
        println!("{}", limiter.explain(&next).await?);
        let Peek::Wait(shortage) = peeked else {
            panic!("there is room for 50 tokens only")
        };
        assert_eq!((shortage.in_use, shortage.needed), (950, 60));
        Ok::<_, Box<dyn std::error::Error>>(())
    })
    .await?;
    Ok(())
}
