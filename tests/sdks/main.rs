//! Official SDKs work through the gateway by their base URL alone: chats, streams, tools, embeddings, responses; our refusals
//! are raised as the SDK's own errors with our message; their repeats and ours do not multiply.
//!
//! Each test starts the simulator and the gateway and runs a script of `tests/python` or `tests/node`, which prints what came
//! of it as JSON. Needs `python3` with `venv`, and `node` with `npm`; and on the first run what `pip` and `npm` download into
//! `target/python` and `target/node`.
#![cfg(all(feature = "gateway", feature = "sim", unix))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod anthropic;
mod expected;
mod google;
mod langchain;
mod litellm;
mod node;
mod openai;
#[path = "../gateway/process.rs"]
mod process;
mod python;
#[path = "../support/scripts.rs"]
mod scripts;
mod world;
