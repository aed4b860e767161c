//! The command `smlp`: the three roles from a shell. Cargo feature `cli`.
//!
//! One file for each subcommand; each has its arguments, with the texts of `--help`, and a `run` that returns
//! what to print. The rest:
//!
//! | file | owns |
//! |---|---|
//! | `files` | reading and writing keys, tensors and networks, with errors that name the file |
//! | `sealed` | private keys under a passphrase |
//! | `table` | rows of numbers in CSV and NPY |
//! | `server` | how `train` and `predict` reach P2 |
//! | `interrupt` | Ctrl-C as a wish to stop |
//! | `outcome` | exit codes |

#![forbid(unsafe_code)]

mod certificate;
mod config;
mod decrypt;
mod encrypt;
mod estimate;
mod evaluate;
mod files;
mod init;
mod inspect;
mod interrupt;
mod keygen;
mod outcome;
mod predict;
mod record_keygen;
mod scaler;
mod sealed;
mod serve;
mod server;
mod table;
mod train;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use outcome::Outcome;

/// Train and use a multilayer perceptron on data that stays encrypted.
///
/// Three parties: the data owner holds the keys and the clear data (keygen, record-keygen, encrypt, init, decrypt, evaluate); P1
/// holds encrypted data and an encrypted network (train, predict); P2 holds the private key and answers P1's masked
/// questions (serve). P1 and P2 belong to different organisations.
#[derive(Debug, Parser)]
#[command(name = "smlp", version, after_help = outcome::EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Print one JSON object a line instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Arguments),
    RecordKeygen(record_keygen::Arguments),
    Certificate(certificate::Arguments),
    Encrypt(encrypt::Arguments),
    Init(init::Arguments),
    Inspect(inspect::Arguments),
    Estimate(estimate::Arguments),
    Serve(serve::Arguments),
    Train(train::Arguments),
    Predict(predict::Arguments),
    Decrypt(decrypt::Arguments),
    Evaluate(evaluate::Arguments),
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  smlp completions bash > /etc/bash_completion.d/smlp")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    let outcome = match arguments.command {
        Command::Keygen(arguments) => keygen::run(arguments),
        Command::RecordKeygen(arguments) => record_keygen::run(arguments),
        Command::Certificate(arguments) => certificate::run(arguments),
        Command::Encrypt(arguments) => encrypt::run(arguments),
        Command::Init(arguments) => init::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Estimate(arguments) => estimate::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Train(arguments) => train::run(arguments, json),
        Command::Predict(arguments) => predict::run(arguments),
        Command::Decrypt(arguments) => decrypt::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "smlp",
                &mut std::io::stdout(),
            );
            Ok(Outcome::silent())
        }
    };
    outcome::report(outcome, json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    /// Each subcommand shows how it is used, and the example parses.
    #[test]
    fn every_help_has_an_example_that_parses() {
        let mut leaves = Vec::new();
        let mut root = Arguments::command();
        root.build();
        collect(&root, &mut leaves);
        assert!(leaves.len() >= 12, "{leaves:?}");
        for (name, help) in leaves {
            let (_, examples) = help
                .split_once("Example")
                .unwrap_or_else(|| panic!("{name} has no example"));
            let joined = examples.replace("\\\n", " ");
            let lines: Vec<&str> = joined
                .lines()
                .filter(|line| line.trim_start().starts_with("smlp "))
                .collect();
            assert!(!lines.is_empty(), "{name}");
            for line in lines {
                let words = line.split('>').next().unwrap().split_whitespace();
                if let Err(error) = Arguments::try_parse_from(words) {
                    panic!("{name}: {line}\n{error}");
                }
            }
        }
    }

    fn collect(command: &clap::Command, into: &mut Vec<(String, String)>) {
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            if sub.has_subcommands() {
                collect(sub, into);
            } else {
                let help = sub.get_after_help().map(ToString::to_string);
                into.push((sub.get_name().to_owned(), help.unwrap_or_default()));
            }
        }
    }
}
