//! What providers send (`tests/wire/`), with what should be read from them.
//!
//! `X` is a body, `X.headers` its headers, `X.expect.json` what to find. Values are invented, shapes
//! are documented or recorded ones. A file that is put there is tested without a word here.

// Helpers of tests are not seen as tests by the lint.
#![allow(clippy::unwrap_used)]

mod calls;
mod cut_off;
mod cuts;
mod dropped;
mod errors;
mod headers;
#[path = "../support/later.rs"]
mod later;
mod readings;
mod sample;
mod shown;

use later::LaterStore;
