//! `smlp record-keygen`.

use std::path::PathBuf;

use smlp::{RecordKey, Result};

use crate::files;
use crate::outcome::Outcome;

/// Make a record key: NAME.record, for the data owner alone, and NAME.record.public, for P1.
///
/// A record says what a training rounded with, so that the owner can repeat it in the clear to the same integers.
/// Whoever has it and P2's view of the training learns about the data: neither P1 nor P2 may get NAME.record.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  smlp record-keygen owner")]
pub struct Arguments {
    /// Where to write, without the endings.
    name: PathBuf,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let with = |ending: &str| {
        let mut name = arguments.name.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let (private, public) = (with(".record"), with(".record.public"));
    files::must_be_new(&private)?;
    files::must_be_new(&public)?;
    let key = RecordKey::generate()?;
    key.save(&private)?;
    files::write(&public, &key.public().to_bytes())?;
    Ok(Outcome::default()
        .with("private", private.display().to_string())
        .with("public", public.display().to_string()))
}
