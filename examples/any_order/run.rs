//! One order, from new providers to its line of the table.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::{ServiceExt as _, service_fn};
use tower_quota::{RequestBody, sim::Simulator};

use super::{
    delivered::Delivered,
    ledger::Defect,
    load,
    stack::{self, AnyBody, BoxError, Client, erase},
    table::{Provider, Row},
    world::{self, NAMES},
};

/// Runs so many calls through the layers of `order` around `client`, which reaches these providers at these addresses.
pub(crate) async fn run(
    order: &str,
    calls: u64,
    defect: Option<Defect>,
    client: Client,
    simulators: &[Simulator],
    bases: &[String],
) -> Result<Row, BoxError> {
    let (parts, ledger) = world::parts(bases, defect)?;
    let delivered = Delivered::default();
    let client = delivered.watch(client);
    let client = match defect {
        Some(Defect::Resends) => resending(client),
        _ => client,
    };
    let service = stack::stack(order, &parts, client);
    let ends = load::drive(&service, calls, &bases[0]).await;
    drop(service);
    let mut providers = Vec::new();
    for (name, simulator) in NAMES.iter().zip(simulators) {
        simulator.idle().await;
        let billed = simulator.ledger();
        providers.push(Provider {
            name,
            over_limit: billed.over_limit(&world::sim_limits()),
            ledger: billed,
        });
    }
    let row = Row::new(order, &ends, &providers, &ledger.take(), &delivered);
    Ok(row)
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
