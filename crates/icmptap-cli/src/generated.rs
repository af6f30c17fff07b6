//! Completions for shells and manual pages, made from the command's definition. They are
//! checked in, in `completions` and `man`, and are as the definition gives them.

use std::{collections::BTreeMap, fs, path::Path};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::args::Cli;

/// By their paths in the crate's folder.
fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut add = |path: String, bytes: Vec<u8>| {
        files.insert(path, String::from_utf8(bytes).unwrap());
    };
    for (shell, name) in [
        (Shell::Bash, "icmptap.bash"),
        (Shell::Fish, "icmptap.fish"),
        (Shell::Zsh, "_icmptap"),
    ] {
        let mut bytes = Vec::new();
        generate(shell, &mut Cli::command(), "icmptap", &mut bytes);
        add(format!("completions/{name}"), bytes);
    }
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    add("man/icmptap.1".to_owned(), page(&cli));
    for command in cli.get_subcommands() {
        let name = format!("icmptap-{}", command.get_name());
        let path = format!("man/{name}.1");
        add(path, page(&command.clone().display_name(name)));
    }
    files
}

fn page(command: &Command) -> Vec<u8> {
    let mut bytes = Vec::new();
    Man::new(command.clone()).render(&mut bytes).unwrap();
    bytes
}

/// To accept a change: `UPDATE=1 cargo test -p icmptap-cli`.
#[test]
fn completions_and_manual_pages_are_as_checked_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let update = std::env::var_os("UPDATE").is_some();
    let files = files();
    for (path, text) in &files {
        let file = folder.join(path);
        if update {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == *text, "{path} is not what the definition gives");
    }
    for kind in ["completions", "man"] {
        for entry in fs::read_dir(folder.join(kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("{kind}/{name}");
            assert!(files.contains_key(&path), "{path} is of no command");
        }
    }
}
