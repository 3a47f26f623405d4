//! Who is asked: each proxy in front of an upstream, as its own documents say how.

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    Cli, Error, Survives,
    child::{Child, beside},
};

/// A proxy that is asked, or the upstream itself.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) child: Child,
    /// Whether its answers have to be the upstream's to the byte.
    pub(crate) is_exact: bool,
}

/// This program in another role.
fn role(role: &str) -> Result<Command, Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--role", role]);
    Ok(command)
}

pub(crate) fn upstream(delay: Duration) -> Result<Child, Error> {
    let delay = delay.as_millis().to_string();
    Child::that_says(role("upstream")?.args(["--delay", &delay]))
}

pub(crate) fn hyper(to: SocketAddr) -> Result<Child, Error> {
    Child::that_says(role("proxy")?.args(["--to", &to.to_string()]))
}

/// `None` where it is not installed.
pub(crate) async fn nginx(folder: &Path, to: SocketAddr) -> Result<Option<Child>, Error> {
    match Command::new("nginx")
        .arg("-v")
        .stderr(Stdio::null())
        .status()
    {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        asked => drop(asked?),
    }
    let config = folder.join("nginx.conf");
    let child = Child::told(|port| {
        let folder = folder.display();
        let said = format!(
            "daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log crit;
             events {{ worker_connections 30000; }}
             http {{
                 access_log off; tcp_nodelay on; keepalive_requests 1000000000;
                 client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
                 uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
                 upstream up {{ server {to}; keepalive 256; keepalive_requests 1000000000; }}
                 server {{
                     listen 127.0.0.1:{port};
                     location / {{
                         proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\";
                         proxy_buffering off; proxy_request_buffering off;
                     }}
                 }}
             }}"
        );
        fs::write(&config, said)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).stderr(Stdio::null());
        Ok(command)
    });
    Ok(Some(child.await?))
}

/// liter-llm's proxy with its limits and its budget on, which are global, from this folder, where it is built once.
pub(crate) async fn liter(install: &Path, folder: &Path, to: SocketAddr) -> Result<Child, Error> {
    let program = install.join("bin/liter-llm");
    if !fs::exists(&program)? {
        let installed = Command::new("cargo")
            .args(["install", "--locked", "liter-llm-cli", "--root"])
            .arg(install)
            .status()?;
        if !installed.success() {
            return Err("liter-llm-cli is not built".into());
        }
    }
    let config = folder.join("liter.toml");
    fs::write(
        &config,
        format!(
            "[general]\nmaster_key = \"sk-load\"\nenable_cost_tracking = true\n\
             [[models]]\nname = \"gpt-4o-mini\"\nprovider_model = \"openai/gpt-4o-mini\"\napi_key = \"sk-load\"\n\
             base_url = \"http://{to}/v1\"\n\
             [rate_limit]\nrpm = 1000000000\ntpm = 1000000000000\n\
             [budget]\nglobal_limit = 1000000000.0\n[security]\noutbound_policy = \"off\"\n"
        ),
    )?;
    Child::told(|port| {
        let mut command = Command::new(&program);
        command
            .args(["api", "--host", "127.0.0.1", "--port", &port.to_string()])
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "error")
            .stderr(Stdio::null());
        Ok(command)
    })
    .await
}

/// The gateway under limits on requests, tokens and money, at five levels each.
pub(crate) fn gateway(
    cli: &Cli,
    ledger: &Path,
    survives: Survives,
    to: SocketAddr,
) -> Result<Child, Error> {
    let config = ledger.with_extension("yaml");
    let (ledger, ahead) = (ledger.display(), cli.ahead);
    let store = match survives {
        Survives::Power => format!("sqlite:{ledger}?ahead={ahead}"),
        Survives::Kill => format!("sqlite:{ledger}?survives=kill&ahead={ahead}"),
    };
    fs::write(&config, quota(&store, to))?;
    let program = match &cli.gateway {
        Some(program) => program.clone(),
        None => beside("tower-quota")?,
    };
    Child::that_says(
        Command::new(program)
            .arg("serve")
            .arg("--config")
            .arg(config),
    )
}

fn quota(store: &str, to: SocketAddr) -> String {
    let levels = [
        "",
        "when: { provider: openai }, ",
        "when: { model: gpt-4o-mini }, ",
        "per: [team], ",
        "per: [agent], ",
    ];
    let mut said = format!(
        "gateway: {{ listen: \"127.0.0.1:0\", upstream: \"http://{to}\" }}\nrate_limiting:\n  store: \"{store}\"\n  \
         prices: {{ openai: {{ gpt-4o-mini: {{ input: 0.15, output: 0.6 }} }} }}\n  limits:\n"
    );
    for level in levels {
        said += &format!(
            "    - {{ {level}quantity: requests, amount: 100000000, every: 60s }}\n    \
             - {{ {level}quantity: tokens, amount: 100000000000, every: 60s }}\n"
        );
    }
    said += "  budgets:\n";
    for level in levels {
        said += &format!("    - {{ {level}amount: 1000000, every: day }}\n");
    }
    said
}
