//! The dashboard: a page that asks for what is under `/quota/` and draws it. Its files are in the program; no
//! asset comes from elsewhere, and nothing is known to the page but what the key that is typed into it may see.

use axum::{Router, response::IntoResponse, routing::get};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

/// Nothing from another host, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const FILES: [(&str, &str, &str); 7] = [
    (
        "/quota/",
        "text/html; charset=utf-8",
        include_str!("index.html"),
    ),
    (
        "/quota/assets/style.css",
        "text/css; charset=utf-8",
        include_str!("style.css"),
    ),
    (
        "/quota/assets/main.js",
        "text/javascript; charset=utf-8",
        include_str!("main.js"),
    ),
    (
        "/quota/assets/ask.js",
        "text/javascript; charset=utf-8",
        include_str!("ask.js"),
    ),
    (
        "/quota/assets/draw.js",
        "text/javascript; charset=utf-8",
        include_str!("draw.js"),
    ),
    (
        "/quota/assets/spend.js",
        "text/javascript; charset=utf-8",
        include_str!("spend.js"),
    ),
    (
        "/quota/assets/plot.js",
        "text/javascript; charset=utf-8",
        include_str!("plot.js"),
    ),
];

pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let router = Router::new().route(
        "/quota",
        get(|| async {
            (
                http::StatusCode::PERMANENT_REDIRECT,
                [(LOCATION, "/quota/")],
            )
        }),
    );
    FILES
        .into_iter()
        .fold(router, |router, (path, kind, text)| {
            router.route(path, get(move || async move { file(kind, text) }))
        })
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // Another version of the program has other files under the same names.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
