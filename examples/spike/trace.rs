//! Traces: calls as JSON lines, read or made up.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

pub(crate) const MODELS: [&str; 2] = ["gpt-5.5", "claude-sonnet-5-5"];
/// What a token of each costs, in and out, in billionths of a dollar.
pub(crate) const PRICES: [(u64, u64); 2] = [(5_000, 30_000), (2_000, 10_000)];
const AGENTS: [&str; 5] = ["scout", "writer", "critic", "clerk", "runner"];

/// One call of a trace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) model: String,
    /// What it is charged: its output cap.
    pub(crate) tokens: u64,
    #[serde(default)]
    pub(crate) stream: bool,
    #[serde(default)]
    pub(crate) agent: String,
    #[serde(default)]
    pub(crate) priority: i32,
}

/// Reads a trace; an error names the line.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Line>> {
    let lines = BufReader::new(File::open(path)?).lines();
    let numbered = lines
        .enumerate()
        .filter(|(_, line)| line.as_ref().map_or(true, |text| !text.trim().is_empty()));
    numbered
        .map(|(number, line)| {
            serde_json::from_str(&line?).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{}:{}: {error}", path.display(), number + 1),
                )
            })
        })
        .collect()
}

pub(crate) fn write(path: &Path, lines: &[Line]) -> io::Result<()> {
    let mut file = io::BufWriter::new(File::create(path)?);
    for line in lines {
        serde_json::to_writer(&mut file, line)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// Makes up `calls` calls: both models, streams and not, 10 to 20 000 tokens, most of them small, five agents.
pub(crate) fn generate(calls: usize, seed: u64) -> Vec<Line> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut line = || {
        // Evenly on a logarithmic scale.
        let tokens = 10.0 * 2_000f64.powf(random.f64());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 10 and 20 000"
        )]
        let tokens = tokens as u64;
        Line {
            model: MODELS[random.usize(..MODELS.len())].to_owned(),
            tokens,
            stream: random.bool(),
            agent: AGENTS[random.usize(..AGENTS.len())].to_owned(),
            priority: random.i32(0..3),
        }
    };
    (0..calls).map(|_| line()).collect()
}
