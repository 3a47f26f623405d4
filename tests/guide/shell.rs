//! Commands as pages have them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{pages::Snippet, scripts::succeed};

/// A gateway to serve, or commands to run.
pub(crate) enum Part<'t> {
    /// The arguments.
    Serve(Vec<&'t str>),
    Script(String),
}

/// A snippet of commands in parts: a gateway that is served goes on while what follows is run.
pub(crate) fn parts(snippet: &Snippet) -> Vec<Part<'_>> {
    let (mut parts, mut script, mut goes_on) = (Vec::new(), String::new(), false);
    for line in snippet.text.lines() {
        if let Some(args) = line.strip_prefix("tower-quota serve ") {
            if !script.is_empty() {
                parts.push(Part::Script(std::mem::take(&mut script)));
            }
            parts.push(Part::Serve(args.split_whitespace().collect()));
            continue;
        }
        let known = ["tower-quota ", "curl ", "export "];
        assert!(
            goes_on || known.iter().any(|known| line.starts_with(known)),
            "{}: nothing runs `{line}`",
            snippet.place()
        );
        goes_on = line.ends_with('\\');
        script += line;
        script.push('\n');
    }
    if !script.is_empty() {
        parts.push(Part::Script(script));
    }
    parts
}

/// Whether nothing changes by these commands.
pub(crate) fn only_looks(snippet: &Snippet) -> bool {
    let looks = ["tower-quota report ", "tower-quota status"];
    let mut lines = snippet.text.lines();
    lines.all(|line| looks.iter().any(|looks| line.starts_with(looks)))
}

/// Commands that know what was exported before, in the same folder, and keep it.
pub(crate) fn kept(script: &str) -> String {
    format!("[ ! -f exported ] || . ./exported\n{script}\nexport -p > exported\n")
}

/// A folder with `tower-quota`, which asks the gateway of the test where it would ask the usual one.
pub(crate) fn programs(folder: &Path) -> PathBuf {
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).unwrap();
    let program = programs.join("tower-quota");
    let real = env!("CARGO_BIN_EXE_tower-quota");
    let script = format!(
        "#!/bin/sh
case \" $* \" in
*' --state '*|*' --ledger '*) exec '{real}' \"$@\" ;;
' admin '*|' status '*|' report '*) exec '{real}' \"$@\" --url \"$GATEWAY\" ;;
esac
exec '{real}' \"$@\"
"
    );
    if !program.exists() {
        // A child writes it: what is open for writing in this process is so too in whatever another test starts just then, and
        // cannot be executed meanwhile.
        let text = folder.join("program.sh");
        fs::write(&text, script).unwrap();
        let mut install = Command::new("install");
        install.args(["-m", "755"]).arg(text).arg(&program);
        succeed(&mut install, "it is of the coreutils");
    }
    programs
}
