//! Alerts as webhooks want them.

use serde_json::{Value, json};

use super::{Alert, Form};

/// The body of the request.
pub(super) fn body(form: Form, alert: &Alert) -> Value {
    match form {
        Form::Json => json!(alert),
        Form::Slack => {
            let over = if alert.is_over { "over: " } else { "" };
            let text = format!("tower-quota, {}: {over}{}", alert.kind.name(), alert.text);
            // Nothing that a caller is named with is bold, or a link, or calls somebody.
            json!({ "text": escaped(&text), "mrkdwn": false })
        }
    }
}

/// By Slack's rule: `<` begins links and calls of people, `&` what stands for others. Addresses are links by themselves, and
/// others that take this form have links as Markdown has them and call people by `@`: a space without width is in between.
fn escaped(text: &str) -> String {
    const APART: char = '\u{200b}';
    let (mut escaped, mut last) = (String::with_capacity(text.len()), ' ');
    for c in text.chars() {
        if matches!((last, c), (':', '/') | (']', '(') | ('@', _)) {
            escaped.push(APART);
        }
        last = c;
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::Kind;

    #[test]
    fn a_name_calls_nobody_in_slack_and_stays_itself_in_json() {
        let name = "a<!channel> & <https://evil.example|you>";
        let alert = Alert::now(Kind::Spent, name, false, name);
        let slack = body(Form::Slack, &alert);
        let text = slack["text"].as_str().unwrap();
        assert_eq!(
            text,
            "tower-quota, spent: a&lt;!channel&gt; &amp; &lt;https:\u{200b}//evil.example|you&gt;"
        );
        for (name, said) in [
            ("@everyone", "@\u{200b}everyone"),
            ("[you](http://evil)", "[you]\u{200b}(http:\u{200b}//evil)"),
            (
                "cost $10.00/hour for agent=a",
                "cost $10.00/hour for agent=a",
            ),
        ] {
            let alert = Alert::now(Kind::Spent, name, false, name);
            let text = body(Form::Slack, &alert)["text"].to_string();
            assert_eq!(text, format!("\"tower-quota, spent: {said}\""));
        }
        let json = body(Form::Json, &alert);
        assert_eq!(
            (&json["subject"], &json["kind"]),
            (&name.into(), &"spent".into())
        );
        let over = Alert::now(Kind::Breaker, "t", true, "t serves again");
        let slack = body(Form::Slack, &over);
        assert_eq!(slack["text"], "tower-quota, breaker: over: t serves again");
    }
}
