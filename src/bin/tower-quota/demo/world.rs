//! The providers, and the configuration that leads to them.

use std::{io, sync::Arc, time::Duration};

use tower_quota::{
    config::{ConfigError, Format},
    gateway::Config,
    sim::{SimConfig, SimLimit, SimQuantity, SimServer, Simulator},
};

const MINUTE: Duration = Duration::from_secs(60);
const CONFIG: &str = include_str!("demo.yaml");

/// Three providers on this machine. Clones are the same.
#[derive(Clone)]
pub(super) struct World(Arc<[SimServer; 3]>);

impl World {
    pub(super) async fn start() -> io::Result<Self> {
        let requests = |model: &str, amount| SimLimit::requests(amount, MINUTE).for_model(model);
        let tokens = |model: &str, amount| SimLimit::tokens(amount, MINUTE).for_model(model);
        let openai = provider(
            vec![
                requests("gpt-5.5", 90),
                tokens("gpt-5.5", 150_000),
                requests("gpt-5.4-mini", 240),
                tokens("gpt-5.4-mini", 90_000),
            ],
            1,
        );
        let azure = provider(
            vec![
                requests("gpt-5.5", 60),
                tokens("gpt-5.5", 120_000),
                requests("gpt-5.4-mini", 120),
                tokens("gpt-5.4-mini", 60_000),
            ],
            2,
        );
        let anthropic = provider(
            vec![
                requests("claude-sonnet-5-5", 70),
                SimLimit::new(SimQuantity::InputTokens, 60_000, MINUTE),
                SimLimit::new(SimQuantity::OutputTokens, 12_000, MINUTE),
            ],
            3,
        );
        Ok(World(Arc::new([
            Simulator::start(openai).await?,
            Simulator::start(azure).await?,
            Simulator::start(anthropic).await?,
        ])))
    }

    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let [openai, azure, anthropic] = &*self.0;
        Config::from_text(CONFIG, Format::Yaml, |name| {
            let server = match name {
                "OPENAI_URL" => openai,
                "AZURE_URL" => azure,
                "ANTHROPIC_URL" => anthropic,
                _ => return None,
            };
            Some(server.base_url())
        })
    }

    /// OpenAI's, Azure's, Anthropic's.
    pub(super) fn simulators(&self) -> impl Iterator<Item = (&'static str, &Simulator)> {
        let names = ["openai", "azure", "anthropic"].into_iter();
        names.zip(self.0.iter().map(SimServer::simulator))
    }

    /// Waits until no attempt is open.
    pub(super) async fn idle(&self) {
        for (_, simulator) in self.simulators() {
            simulator.idle().await;
        }
    }
}

fn provider(limits: Vec<SimLimit>, seed: u64) -> SimConfig {
    SimConfig {
        limits,
        latency: Duration::from_millis(400),
        jitter: Duration::from_millis(1_200),
        chunk_delay: Duration::from_millis(120),
        output_share: 0.6,
        seed,
        ..SimConfig::default()
    }
}
