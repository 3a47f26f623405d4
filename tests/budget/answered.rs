//! One call with a budget, and what counts once it has been answered.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    BudgetLayer, Limiter, Money, RateLimitLayer, Statistics,
    limit::{CalendarUnit, Limit, Limits},
    limiter::Call,
    pricing::PriceTable,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Limits on what is asked for, each so wide that it refuses nothing.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Input,
    Output,
    Money,
}

impl Of {
    fn limit(self) -> Limit {
        let limit = match self {
            Of::Input => Limit::input_tokens(100_000),
            Of::Output => Limit::output_tokens(100_000),
            Of::Money => Limit::cost(Money::from_dollars(10)),
        };
        limit.every(HOUR)
    }
}

/// What counts of each of these once a call was answered so; and how many answers have something without a price.
pub(crate) async fn answered<const N: usize>(
    of: [Of; N],
    (request, call): (http::request::Builder, Value),
    answer: Response<String>,
) -> ([u64; N], u64) {
    let limiter = Limiter::new(Limits::new(of.map(Of::limit)).unwrap());
    let statistics = Statistics::new();
    let prices = Arc::new(PriceTable::built_in());
    let budget = BudgetLayer::new(limiter.clone(), prices).statistics(statistics.clone());
    let answer = answer.map(Full::<Bytes>::from);
    let service = RateLimitLayer::new(limiter.clone())
        .budget(budget)
        .layer(service_fn(move |_: Request<Full<Bytes>>| {
            let answer = answer.clone();
            async { Ok::<_, Infallible>(answer) }
        }));
    let request = request.body(Full::from(call.to_string())).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_ok());
    let call = Call::new().cost(Money::ZERO);
    let limits = limiter.explain(&call).await.unwrap().limits;
    assert!(limits.iter().all(|limit| limit.reserved == 0), "{limits:?}");
    let in_use: Vec<u64> = limits.iter().map(|limit| limit.in_use).collect();
    let all = statistics.report(CalendarUnit::Day, &[]).unwrap().total();
    (in_use.try_into().unwrap(), all.unpriced)
}

/// An answer of this type.
pub(crate) fn typed(kind: &str, body: String) -> Response<String> {
    let answer = Response::builder().header("content-type", kind);
    answer.body(body).unwrap()
}
