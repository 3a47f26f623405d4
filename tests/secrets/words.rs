//! What is said of what makes no sense: keys, addresses, routes.

use tower_quota::{
    failover::{ApiKey, Provider, Route, Routes, Target},
    gateway::Upstream,
};

use crate::outputs::{Outputs, secret};

#[test]
fn of_what_makes_no_sense_no_secret_is_repeated() {
    let outputs = Outputs::default();
    for wrong in ["\n", "\u{7f}", "\0"] {
        let error = ApiKey::new("main", secret("key") + wrong).unwrap_err();
        outputs.error("a key that cannot stand in a header", &error);
    }
    let error = ApiKey::new("", secret("key")).unwrap_err();
    outputs.error("a key without a label", &error);

    for wrong in [
        "http://me:{}@host/v1",
        "http://host/v1?key={}#there",
        "http://host/v1#{}",
        "host/v1?key={}",
        "ftp://host/v1?key={}",
        "http://ho st/v1?key={}",
        "http://host/v1?key={} and more",
    ] {
        let wrong = wrong.replace("{}", &secret("password"));
        let error = Provider::new("openai", &wrong).unwrap_err();
        outputs.error("a base URL", &error);
        let error = wrong.parse::<Upstream>().unwrap_err();
        outputs.error("an upstream", &error);
    }
    let error = format!("http://host/v1?key={}", secret("key")).parse::<Upstream>();
    outputs.error("an upstream with a query", &error.unwrap_err());

    let base = format!("http://host/v1?key={}", secret("query"));
    let provider = Provider::new("openai", &base).unwrap();
    let provider = provider.key(ApiKey::new("main", secret("key")).unwrap());
    outputs.debug("a provider", &provider);
    let target = || Target::new(&provider, "m");
    let error = Routes::new([("m", Route::ordered([target(), target()]))]).unwrap_err();
    outputs.error("a target that is there twice", &error);
    let twice = provider
        .clone()
        .key(ApiKey::new("main", secret("other")).unwrap());
    let error = Routes::new([("m", Route::ordered([Target::new(&twice, "m")]))]).unwrap_err();
    outputs.error("a key that is there twice", &error);
    outputs.are_clean(40);
}

#[test]
fn what_is_no_secret_is_still_named() {
    let error = Provider::new("openai", "ftp://host/v1?key=x").unwrap_err();
    assert!(error.to_string().contains("ftp://host/v1"), "{error}");
    let error = "ftp://host/v1?key=x".parse::<Upstream>().unwrap_err();
    assert!(error.to_string().contains("ftp://host/v1"), "{error}");
}
