use super::*;

fn dollars(dollars: u64) -> Money {
    Money::from_dollars(dollars)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + secs(1_774_738_800)
}

fn budget(amount: u64, settled: u64, comes_back: ComesBack) -> BudgetStanding {
    BudgetStanding {
        budget: "b".into(),
        of: Some(Vec::new()),
        amount: dollars(amount),
        settled: dollars(settled),
        reserved: dollars(1),
        shadow: false,
        stopped: false,
        comes_back,
    }
}

#[test]
fn a_budget_ends_when_what_is_left_is_spent_unless_money_comes_back_before() {
    let turn = |seconds| ComesBack::At(now() + secs(seconds));
    let day = ComesBack::After(secs(86_400));
    let never = ComesBack::Never;
    // Amount, settled, when it comes back; the pace in dollars and seconds; when it ends, in seconds.
    for (number, (amount, settled, comes_back, spent, over, expected)) in [
        // Nothing is spent.
        (10, 0, never, 0, 600, None),
        (10, 9, turn(600), 0, 600, None),
        (10, 9, day, 0, 600, None),
        (10, 9, never, 0, 0, None),
        // All is spent already, at whatever pace.
        (10, 10, never, 0, 600, Some(0)),
        (10, 11, turn(600), 0, 600, Some(0)),
        (10, 10, day, 5, 600, Some(0)),
        // A dollar a minute.
        (10, 0, never, 10, 600, Some(600)),
        (10, 4, never, 10, 600, Some(360)),
        // The period turns before, just then, and after.
        (10, 0, turn(599), 10, 600, None),
        (10, 0, turn(600), 10, 600, None),
        (10, 0, turn(601), 10, 600, Some(600)),
        (10, 0, turn(0), 10, 600, None),
        // What was spent comes back meanwhile: 3 an hour, less 6 a day.
        (30, 6, day, 1, 3_600, None),
        (30, 6, day, 3, 3_600, Some(31_418)),
        (30, 0, day, 3, 3_600, Some(36_000)),
        // Just as much as comes back in the long run, and a little more.
        (24, 6, day, 1, 3_600, None),
        (24, 23, day, 2, 3_600, Some(3_456)),
        (24, 23, day, 1, 7_200, None),
        // Less than a minute is taken for a minute.
        (10, 0, never, 1, 1, Some(600)),
        (10, 0, never, 1, 0, Some(600)),
        // To the second below.
        (10, 0, never, 3, 100, Some(333)),
        // So late that it is never.
        (18_000_000_000, 0, never, 1, 3_600, None),
    ]
    .into_iter()
    .enumerate()
    {
        let budget = budget(amount, settled, comes_back);
        let pace = Pace {
            cost: dollars(spent),
            over: secs(over),
        };
        let expected = match (expected, comes_back) {
            (Some(wait), _) => Ends::At(now() + secs(wait)),
            (None, ComesBack::At(turn)) if spent > 0 => Ends::Turns(turn),
            (None, _) => Ends::Never,
        };
        assert_eq!(ends(&budget, pace, now()), expected, "row {number}");
    }
}

#[test]
fn the_largest_amounts_and_times_do_not_panic() {
    let lengths = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
    for length in lengths {
        for over in lengths {
            for cost in [Money::ZERO, Money::from_nanos(1), Money::MAX] {
                for comes_back in [
                    ComesBack::After(length),
                    ComesBack::At(now()),
                    ComesBack::Never,
                ] {
                    let mut budget = budget(0, 0, comes_back);
                    budget.amount = Money::MAX;
                    budget.settled = cost;
                    let pace = Pace { cost, over };
                    let _ = (ends(&budget, pace, now()), pace.per_hour());
                }
            }
        }
    }
}

#[test]
fn it_goes_through_json_under_stable_names() {
    let json = |ends: Ends| serde_json::to_string(&ends).unwrap();
    assert_eq!(json(Ends::Never), r#""never""#);
    assert_eq!(json(Ends::At(now())), r#"{"at":"2026-03-28T23:00:00Z"}"#);
    assert_eq!(
        json(Ends::Turns(now())),
        r#"{"turns":"2026-03-28T23:00:00Z"}"#
    );
    for ends in [Ends::Never, Ends::At(now()), Ends::Turns(now())] {
        assert_eq!(serde_json::from_str::<Ends>(&json(ends)).unwrap(), ends);
    }
}

#[test]
fn an_hour_of_a_pace_is_rounded_down() {
    let pace = Pace {
        cost: Money::from_nanos(10),
        over: secs(7_200),
    };
    assert_eq!(pace.per_hour(), Money::from_nanos(5));
    let pace = Pace {
        over: secs(7_201),
        ..pace
    };
    assert_eq!(pace.per_hour(), Money::from_nanos(4));
}
