//! Bodies of which nothing can be read: their status and headers decide.

use crate::form::{
    Form,
    Waits::{Not, Told, Untold},
    check_all,
};

const HTML: &str = "<html><head><title>503 Service Temporarily Unavailable</title></head>\
    <body>Please try again in 30 seconds.</body></html>";
const CUT_OFF: &str = r#"{"error":{"message":"Please try again in 4s.","type":"tok"#;
const QUOTA_CUT_OFF: &str = r#"{"error":{"code":"insufficient_quota","message":"You exc"#;

#[test]
fn the_status_and_the_headers_decide() {
    let junk = [0xff, 0xfe, 0x00, 0x80].repeat(50_000);
    // What gzip makes of an empty text.
    let gzip = *b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
    for (about, body) in [
        ("nothing", Vec::new()),
        ("HTML", HTML.into()),
        ("compressed", gzip.into()),
        ("no text", junk),
        ("a bracket", b"{".to_vec()),
    ] {
        let form = |status| Form::status(status).body(body.clone());
        let form = |status| match about {
            "compressed" => form(status).header("content-encoding", "gzip"),
            _ => form(status),
        };
        check_all([
            (about, form(429), Untold),
            (about, form(503), Untold),
            (about, form(500), Untold),
            (about, form(429).header("retry-after", "5"), Told(5_000)),
            (about, form(400), Not),
            (about, form(402), Not),
        ]);
    }
}

#[test]
fn what_was_read_before_it_broke_off_counts() {
    check_all([
        ("a wait", Form::status(429).body(CUT_OFF), Told(4_000)),
        ("a quota", Form::status(429).body(QUOTA_CUT_OFF), Not),
        (
            "a wait after more than is read",
            Form::status(429).body(format!("{}{CUT_OFF}", " ".repeat(70_000))),
            Untold,
        ),
    ]);
}
