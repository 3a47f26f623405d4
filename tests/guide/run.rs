//! Does what a page says: its files are written, its gateways served, its commands and programs run, each in its turn.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use tower_quota::{
    config::LiteLlmConfig,
    gateway::Config,
    sim::{SimConfig, SimServer, Simulator},
};

use crate::{
    node, pages,
    pages::Snippet,
    process::{Gateway, soon, tower_quota},
    python,
    redis::{Folder, Server},
    scripts::succeed_in,
    shell::{self, Part},
    upstreams::{lead_to, tool},
};

/// Where the pages say that gateways are.
const ADDRESSES: [&str; 2] = ["127.0.0.1:8080", "127.0.0.1:8081"];
const REDIS: &str = "redis://127.0.0.1:6379/0";

/// What stands instead of the keys that a reader has. None leads anywhere.
pub(crate) const KEYS: [(&str, &str); 4] = [
    ("OPENAI_API_KEY", "sk-openai"),
    ("ANTHROPIC_API_KEY", "sk-anthropic"),
    ("AZURE_KEY", "sk-azure"),
    ("SEARCH_KEY", "sk-search"),
];

/// What the snippets of a page find: a folder, and gateways that are served in it.
pub(crate) struct World {
    sim: SimServer,
    tool: String,
    redis: Option<Server>,
    folder: Folder,
    gateways: Vec<(&'static str, Gateway)>,
    /// The last commands, and what they printed.
    commands: Option<Snippet>,
    printed: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        World {
            sim: Simulator::start(SimConfig::default()).await.unwrap(),
            tool: tool().await,
            redis: None,
            folder: Folder::new(),
            gateways: Vec::new(),
            commands: None,
            printed: String::new(),
        }
    }

    /// Does all that stands on a page but its Rust, which is a test of the documentation, and says how much that was.
    pub(crate) async fn run(mut self, page: &str) -> usize {
        let snippets = pages::snippets(page);
        let others = snippets.iter().filter(|snippet| snippet.info != "rust");
        let mut done = 0;
        for snippet in others {
            println!("{}", snippet.place());
            self.one(snippet).await;
            done += 1;
        }
        done
    }

    async fn one(&mut self, snippet: &Snippet) {
        match snippet.info.as_str() {
            // What is served later is read again where it is served.
            "yaml" | "yaml check" => {
                let config = Config::from_text(&snippet.text, FORMAT, variable);
                let config = config.unwrap_or_else(|error| panic!("{}: {error}", snippet.place()));
                config.gateway.check().unwrap();
                let text = self.with_redis(&snippet.text);
                self.anew("quota.yaml", &text);
                // Its file is where the gateway's is.
                let here = format!("sqlite:{}/", self.folder.file("").display());
                let text = text.replace("sqlite:", &here);
                let config = Config::from_text(&text, FORMAT, variable).unwrap();
                let built = config.rate_limiting.build();
                built.unwrap_or_else(|error| panic!("{}: {error}", snippet.place()));
            }
            "yaml litellm" => {
                let read = LiteLlmConfig::from_text(&snippet.text, variable).unwrap();
                assert!(read.not_understood.is_empty(), "{:?}", read.not_understood);
                read.config.build().unwrap();
                self.anew("config.yaml", &snippet.text);
            }
            "sh" => {
                self.shell(snippet).await;
                self.commands = Some(snippet.clone());
            }
            "text" => soon(self.compare(snippet)).await,
            "python" => {
                let mut command = Command::new(python::interpreter().await);
                let file = self.program(snippet, "program.py").await;
                command.arg(file);
                self.finish(command, snippet).await;
            }
            "js" => {
                let file = self.program(snippet, "program.mjs").await;
                let packages = self.folder.file("node_modules");
                if !packages.exists() {
                    std::os::unix::fs::symlink(node::modules().await, packages).unwrap();
                }
                let mut command = Command::new("node");
                command.arg(file);
                self.finish(command, snippet).await;
            }
            other => panic!("{}: nothing runs `{other}`", snippet.place()),
        }
    }

    /// A new folder with this file in it, where nothing is served.
    fn anew(&mut self, name: &str, text: &str) {
        self.gateways.clear();
        self.printed.clear();
        self.commands = None;
        self.folder = Folder::new();
        fs::write(self.folder.file(name), text).unwrap();
    }

    /// The text with the address of a server of ours, where it names one. It has more time to answer than readers give it: the
    /// machine does much at once.
    fn with_redis(&mut self, text: &str) -> String {
        if !text.contains(REDIS) {
            return text.to_owned();
        }
        let server = self.redis.get_or_insert_with(|| Server::start(&[]));
        let patient = format!("{}?timeout=10s&", server.url());
        text.replace(&format!("{REDIS}?"), &patient)
            .replace(REDIS, &server.url())
    }

    async fn shell(&mut self, snippet: &Snippet) {
        self.printed.clear();
        for part in shell::parts(snippet) {
            match part {
                Part::Serve(args) => self.serve(&args).await,
                Part::Script(script) => {
                    if script.contains("curl ") {
                        self.serve_if_none().await;
                    }
                    let script = shell::kept(&self.here(&script));
                    let mut command = Command::new("sh");
                    command.args(["-e", "-c", &script]);
                    let printed = self.finish(command, snippet).await;
                    self.printed += &printed;
                }
            }
        }
    }

    /// Serves as these arguments say, at a free port in place of the one that is meant.
    async fn serve(&mut self, args: &[&str]) {
        let after = |name: &str| args.iter().skip_while(move |arg| **arg != name).nth(1);
        let said = after("--listen").copied().unwrap_or(ADDRESSES[0]);
        let meant = ADDRESSES.iter().find(|address| **address == said).unwrap();
        let file = after("--config").or_else(|| after("--litellm")).unwrap();
        let file = self.folder.file(file);
        let text = fs::read_to_string(&file).unwrap();
        let mut config: Value = serde_saphyr::from_str(&text).unwrap();
        lead_to(&mut config, &self.sim.base_url(), &self.tool);
        fs::write(file, config.to_string()).unwrap();
        let mut args: Vec<&str> = [&["serve"], args].concat();
        match args.iter().position(|arg| *arg == said) {
            Some(at) => args[at] = "127.0.0.1:0",
            None => args.extend(["--listen", "127.0.0.1:0"]),
        }
        let mut command = tower_quota(&args);
        command.current_dir(self.folder.file("")).envs(KEYS);
        let gateway = Gateway::start_command(command).await;
        self.gateways.push((meant, gateway));
    }

    async fn serve_if_none(&mut self) {
        if self.gateways.is_empty() {
            self.serve(&["--config", "quota.yaml"]).await;
        }
    }

    /// The text with the addresses that gateways really have.
    fn here(&self, text: &str) -> String {
        let gateways = self.gateways.iter();
        let text = gateways.fold(text.to_owned(), |text, (meant, gateway)| {
            text.replace(meant, gateway.addr())
        });
        for address in ADDRESSES {
            assert!(!text.contains(address), "nothing is served at {address}");
        }
        text
    }

    /// Writes a program down, with a gateway where it asks one.
    async fn program(&mut self, snippet: &Snippet, name: &str) -> PathBuf {
        if snippet.text.contains(ADDRESSES[0]) {
            self.serve_if_none().await;
        }
        let file = self.folder.file(name);
        fs::write(&file, self.here(&snippet.text)).unwrap();
        file
    }

    /// Runs it to its end, which has to be a good one: what it prints.
    async fn finish(&self, mut command: Command, snippet: &Snippet) -> String {
        let folder = self.folder.file("");
        let programs = shell::programs(&folder);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(&folder)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("NO_PROXY", "127.0.0.1")
            .env_remove("TOWER_QUOTA_KEY")
            // Who asks no gateway asks the provider itself.
            .env("OPENAI_BASE_URL", format!("{}/v1", self.sim.base_url()))
            .envs(KEYS);
        if let Some((_, gateway)) = self.gateways.first() {
            command.env("GATEWAY", &gateway.base_url);
        }
        succeed_in(command, &snippet.place()).await
    }

    /// What is shown is what the commands before it print. What only looks is asked again until it sees what was done.
    async fn compare(&mut self, snippet: &Snippet) {
        assert!(!snippet.text.trim().is_empty(), "{}", snippet.place());
        loop {
            let Err(missing) = shown(&snippet.text, &self.printed) else {
                return;
            };
            match self.commands.clone() {
                Some(commands) if shell::only_looks(&commands) => self.shell(&commands).await,
                _ => panic!(
                    "{}: `{missing}` is not in\n{}",
                    snippet.place(),
                    self.printed
                ),
            }
        }
    }
}

/// Whether all of it is in what was printed, line by line and in this order; `…` stands for anything. Else what is not.
fn shown<'t>(text: &'t str, printed: &str) -> Result<(), &'t str> {
    let mut rest = printed;
    let pieces = text.lines().flat_map(|line| line.split('…'));
    for piece in pieces.map(str::trim).filter(|piece| !piece.is_empty()) {
        let at = rest.find(piece).ok_or(piece)?;
        rest = &rest[at + piece.len()..];
    }
    Ok(())
}

#[test]
fn what_is_shown_is_in_order_and_what_is_not_there_is_missed() {
    assert_eq!(shown("a … c\nd", "x a b c\ny d"), Ok(()));
    assert_eq!(shown("c … a", "a b c"), Err("a"));
    assert_eq!(shown("e", "a b c"), Err("e"));
}

const FORMAT: tower_quota::config::Format = tower_quota::config::Format::Yaml;

fn variable(name: &str) -> Option<String> {
    let key = KEYS.iter().find(|(known, _)| *known == name);
    key.map(|(_, key)| (*key).to_owned())
}
