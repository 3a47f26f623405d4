//! One order, from new providers to its line of the table.

use std::future::{Future, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::{ServiceExt as _, service_fn};
use tower_quota::{
    Limiter, RequestBody, Tag, Tags,
    limiter::Call,
    sim::{SimLimit, Simulator},
};

use super::{
    delivered::Delivered,
    ledger::Defect,
    load,
    stack::{self, AnyBody, BoxError, Client, Parts, erase},
    table::{Provider, Row},
    world::{self, NAMES},
};

/// One order, and what it is tried with.
pub(crate) struct Run<'r> {
    pub(crate) order: &'r str,
    pub(crate) calls: u64,
    pub(crate) defect: Option<Defect>,
    /// Reaches the providers at their addresses, in the order of their names.
    pub(crate) client: Client,
    pub(crate) simulators: &'r [Simulator],
    pub(crate) bases: &'r [String],
}

/// Who answers attempts in a provider's name, having passed these of our layers.
pub(crate) struct Answering<'r> {
    pub(crate) name: &'static str,
    pub(crate) simulator: &'r Simulator,
    pub(crate) passed: &'r str,
}

impl Run<'_> {
    /// Runs the calls through our layers in this order.
    pub(crate) async fn through_ours(self) -> Result<Row, BoxError> {
        let order = self.order;
        let ours = |parts: &Parts, _: &Delivered, client| stack::stack(order, parts, client);
        self.through(ours, ready(()), &[]).await
    }

    /// Runs the calls through layers that are built around the client. What these do when the callers have gone is over
    /// when `rest` is. Some of them may answer by themselves.
    pub(crate) async fn through(
        self,
        build: impl FnOnce(&Parts, &Delivered, Client) -> Client,
        rest: impl Future<Output = ()>,
        between: &[Answering<'_>],
    ) -> Result<Row, BoxError> {
        let Run {
            order,
            calls,
            defect,
            client,
            simulators,
            bases,
        } = self;
        let (parts, ledger) = world::parts(bases, defect)?;
        let delivered = Delivered::default();
        let client = delivered.watch(client);
        let client = match defect {
            Some(Defect::Resends) => resending(client),
            _ => client,
        };
        let service = build(&parts, &delivered, client);
        let ends = load::drive(&service, calls, &bases[0]).await;
        drop(service);
        rest.await;
        let mut providers = Vec::new();
        for (name, simulator) in NAMES.into_iter().zip(simulators) {
            let answering = Answering {
                name,
                simulator,
                passed: order,
            };
            let limits = world::sim_limits();
            providers.push(answering.provider(&limits).await);
        }
        for answering in between {
            providers.push(answering.provider(&[]).await);
        }
        let held = held(&parts.limiter).await?;
        let record = ledger.take();
        Ok(Row::new(
            order, &ends, &providers, &record, held, &delivered,
        ))
    }
}

impl Answering<'_> {
    async fn provider(&self, limits: &[SimLimit]) -> Provider {
        self.simulator.idle().await;
        let ledger = self.simulator.ledger();
        Provider {
            name: self.name,
            passed: self.passed.to_owned(),
            over_limit: ledger.over_limit(limits),
            ledger,
        }
    }
}

/// What is still reserved at the providers, and how many calls wait.
async fn held(limiter: &Limiter) -> Result<u64, BoxError> {
    let mut held = limiter.waiting() as u64;
    for name in NAMES {
        let call = Call::new().tags(Tags::new().with(Tag::Provider, name));
        let limits = limiter.explain(&call).await?.limits;
        held += limits.iter().map(|limit| limit.reserved).sum::<u64>();
    }
    Ok(held)
}

/// Sends what fails once more, as a client does by itself.
fn resending(client: Client) -> Client {
    let again = move |request: Request<RequestBody>| {
        let client = client.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request =
                |body: &Bytes| Request::from_parts(parts.clone(), RequestBody::from(body.clone()));
            let answer: Result<Response<AnyBody>, BoxError> =
                client.clone().oneshot(request(&body)).await;
            match answer {
                Ok(response) if response.status().is_server_error() => {
                    client.oneshot(request(&body)).await
                }
                answer => answer,
            }
        }
    };
    erase(service_fn(again))
}
