//! What remains of each budget, and when it ends.

use super::*;

/// B8: when a budget ends.
#[tokio::test(start_paused = true)]
async fn what_remains_of_each_budget_and_when_it_ends_at_the_pace_of_the_last_half_hour() {
    let (start, evening) = (
        Instant::now(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(EVENING),
    );
    let limits = Limits::new([
        // Two hours until midnight, and then a day of 23.
        Limit::cost(Money::from_dollars(9)).every_calendar(CalendarUnit::Day, "Europe/Berlin"),
        Limit::cost(Money::from_dollars(151))
            .every_calendar(CalendarUnit::Week, "Europe/Berlin")
            .shadow(),
        Limit::cost(Money::from_dollars(5))
            .every_run()
            .when(Tag::Team, "t"),
    ])
    .unwrap();
    let store = MemoryStore::new(limits).wall_clock(move || evening + start.elapsed());
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let statistics = statistics();
    let _layer = BudgetLayer::new(limiter.clone(), prices()).statistics(statistics.clone());
    let budgets = limiter.budgets().await.unwrap();
    assert_eq!(budgets.len(), 2, "no run has come yet");
    assert!(
        statistics
            .forecast(&budgets)
            .iter()
            .all(|budget| budget.ends == Ends::Never)
    );

    // A dollar every ten minutes; the second run does nothing but reserve.
    let spend = async |run: &str, settles: bool| {
        let tags = Tags::new().with(Tag::Team, "t").with(Tag::Run, run);
        let call = Call::new().tags(tags.clone()).cost(Money::from_dollars(1));
        let permit = limiter.acquire(call).await.unwrap();
        if !settles {
            return Some(permit);
        }
        let mut usage = Usage::new(1, 1);
        usage.cost = Some(Money::from_dollars(1));
        statistics.record(&tags, &usage);
        permit.settle(usage);
        None
    };
    for _ in 0..3 {
        spend("1", true).await;
        advance(Duration::from_secs(600)).await;
    }
    let open = spend("2", false).await;
    // What is left is counted by the half hour that has just passed: six dollars an hour.
    let forecasts = statistics.forecast(&limiter.budgets().await.unwrap());
    let told: Vec<_> = forecasts
        .iter()
        .map(|told| (&*told.budget, told.left, told.pace_per_hour, told.ends))
        .collect();
    let now = evening + start.elapsed();
    let after = |minutes: u64| Ends::At(now + Duration::from_secs(60 * minutes));
    let dollars = Money::from_dollars;
    let monday = evening + 25 * HOUR;
    assert_eq!(
        told,
        [
            (
                "cost $9.00/calendar day in Europe/Berlin",
                dollars(5),
                dollars(6),
                after(60)
            ),
            // It would last for 24 hours and 40 minutes, and in ten less than that another week begins.
            (
                "cost $151.00/calendar week in Europe/Berlin (shadow)",
                dollars(147),
                dollars(6),
                Ends::Turns(monday)
            ),
            (
                "cost $5.00/run for team=t, run=1",
                dollars(2),
                dollars(6),
                after(20)
            ),
            (
                "cost $5.00/run for team=t, run=2",
                dollars(4),
                Money::ZERO,
                Ends::Never
            ),
        ]
    );
    // An hour without a call, and none of them ends any more.
    advance(HOUR).await;
    let forecasts = statistics.forecast(&limiter.budgets().await.unwrap());
    assert!(forecasts.iter().all(|told| told.ends == Ends::Never));
    let json = serde_json::to_value(&forecasts[0]).unwrap();
    assert_eq!(
        (&json["left"], &json["ends"]),
        (&json!("5.00"), &json!("never"))
    );
    drop(open);
    // Past midnight all of the day's money is there again, and what was held has been spent for good.
    advance(HOUR).await;
    let budgets = limiter.budgets().await.unwrap();
    assert_eq!(
        (budgets[0].settled, budgets[0].left()),
        (Money::ZERO, dollars(9))
    );
    assert_eq!(budgets[3].settled, dollars(1));
}

#[tokio::test(start_paused = true)]
async fn budgets_stand_each_value_apart_and_those_that_share_a_count_as_one() {
    let dollars = Money::from_dollars;
    let limits = Limits::new([
        Limit::cost(dollars(5))
            .every(DAY)
            .per(Tag::Agent)
            .amount_for("rich", 9_000_000_000),
        Limit::cost(dollars(7))
            .every(HOUR)
            .when_any(Tag::Model, ["m", "n"]),
        Limit::requests(9).every(HOUR),
    ]);
    let store = MemoryStore::new(limits.unwrap()).max_counts(2);
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let statistics = statistics();
    let _layer = BudgetLayer::new(limiter.clone(), prices()).statistics(statistics.clone());
    let mut held = Vec::new();
    for agent in ["a", "rich", "b", "c"] {
        let tags = Tags::new().with(Tag::Agent, agent).with(Tag::Model, "m");
        let call = Call::new().tags(tags).cost(dollars(1));
        held.push(limiter.acquire(call).await.unwrap());
    }
    let budgets = limiter.budgets().await.unwrap();
    let told: Vec<_> = budgets
        .iter()
        .map(|budget| (&*budget.budget, budget.amount, budget.reserved))
        .collect();
    let others = "cost $5.00/day for agent=(all others: too many values to count apart)";
    let shared = told.iter().find(|(words, ..)| *words == others).unwrap();
    assert!(shared.2 > Money::ZERO, "{told:?}");
    let rich = told.iter().find(|(words, ..)| words.contains("agent=rich"));
    assert_eq!(rich.unwrap().1, dollars(9));
    let both = ("cost $7.00/hour for model=m|n", dollars(7), dollars(4));
    assert_eq!(told.last(), Some(&both));
    let sum = |of_agents: bool| -> Money {
        let own = told
            .iter()
            .filter(|(words, ..)| words.contains("agent=") == of_agents);
        own.map(|(_, _, reserved)| *reserved).sum()
    };
    assert_eq!((sum(true), sum(false)), (dollars(4), dollars(4)));
    // Whose pace would that be?
    let forecasts = statistics.forecast(&budgets);
    assert_eq!(forecasts.len(), budgets.len() - 1);
    assert!(forecasts.iter().all(|told| told.budget != others));

    let mut usage = Usage::new(1, 1);
    usage.cost = Some(dollars(1));
    for model in ["m", "n", "o"] {
        statistics.record(&Tags::new().with(Tag::Model, model), &usage);
    }
    advance(Duration::from_secs(600)).await;
    let forecasts = statistics.forecast(&budgets);
    assert_eq!(
        forecasts.last().unwrap().pace_per_hour,
        dollars(12),
        "of m and n"
    );
}
