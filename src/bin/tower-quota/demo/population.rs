//! Who calls.

use std::{net::SocketAddr, time::Duration};

use tokio::task::JoinSet;

use super::{
    agent::{Agent, Api},
    tally::Tally,
};

/// Three teams in equal parts, and one agent that loops.
pub(super) fn start(into: &mut JoinSet<()>, agents: u32, gateway: SocketAddr, tally: &Tally) {
    let kinds = [
        Agent {
            name: "scout",
            team: "research",
            user: "zoe",
            model: "gpt-5.4-mini",
            api: Api::Chat { streams: false },
            think: Duration::from_millis(2_500),
            input: 500,
            output: 250,
            priority: 0,
        },
        Agent {
            name: "helper",
            team: "support",
            user: "ali",
            model: "claude-sonnet-5-5",
            api: Api::Messages,
            think: Duration::from_millis(4_000),
            input: 700,
            output: 300,
            priority: 5,
        },
        Agent {
            name: "coder",
            team: "platform",
            user: "kim",
            model: "gpt-5.5",
            api: Api::Chat { streams: true },
            think: Duration::from_millis(15_000),
            input: 600,
            output: 300,
            priority: 0,
        },
    ];
    for number in 0..agents {
        let kind = &kinds[number as usize % kinds.len()];
        let place = number / u32::try_from(kinds.len()).unwrap_or(1) + 1;
        into.spawn(kind.clone().run(place, gateway, tally.clone()));
    }
    let loops = Agent {
        name: "loop",
        think: Duration::from_millis(300),
        input: 1_500,
        output: 600,
        ..kinds[2].clone()
    };
    into.spawn(loops.run(1, gateway, tally.clone()));
}
