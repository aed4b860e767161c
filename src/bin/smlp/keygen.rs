//! `smlp keygen`.

use std::path::PathBuf;

use smlp::paillier::{DEFAULT_KEY_BITS, secret_file};
use smlp::{Encrypt, ExponentLength, PrivateKey, Result};

use crate::files::{self, KeyArguments};
use crate::outcome::Outcome;
use crate::sealed;

/// Make a key pair: NAME.private, for the owner and P2 alone, and NAME.public, for P1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smlp keygen owner
  smlp keygen --seal --bits 2048 owner
  smlp keygen --seal --passphrase-file /run/secrets/passphrase owner")]
pub struct Arguments {
    /// Where to write, without the endings.
    name: PathBuf,

    /// Bits of the modulus, even; 2048 to 16384.
    #[arg(long, default_value_t = DEFAULT_KEY_BITS)]
    bits: u32,

    /// Short random exponents: training is about twice as fast, on one more assumption (see SECURITY.md).
    #[arg(long)]
    short_exponents: bool,

    /// Seal the private key with a passphrase (Argon2id and ChaCha20-Poly1305).
    #[arg(long)]
    seal: bool,

    #[command(flatten)]
    keys: KeyArguments,
}

/// What the option `--short-exponents` stands for.
pub fn exponents(short: bool) -> ExponentLength {
    match short {
        true => ExponentLength::Short,
        false => ExponentLength::Half,
    }
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let with = |ending: &str| {
        let mut name = arguments.name.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let (private, public) = (with(".private"), with(".public"));
    files::must_be_new(&private)?;
    files::must_be_new(&public)?;
    let name = private.display().to_string();
    let passphrase = match arguments.seal {
        true => Some(arguments.keys.passphrase().choose(&name)?),
        false => None,
    };
    let key = PrivateKey::generate_as(
        arguments.bits,
        exponents(arguments.short_exponents),
        arguments.keys.security(),
    )?;
    match passphrase {
        None => key.save(&private)?,
        Some(passphrase) => {
            secret_file::write(&private, &sealed::seal(&key.to_bytes(), &passphrase)?)?;
        }
    }
    files::write(&public, &key.public().to_bytes())?;
    Ok(Outcome::default()
        .with("key", key.public().id().to_hex())
        .with("bits", key.public().bits())
        .with("exponent_bits", key.public().exponent_bits())
        .with("sealed", arguments.seal)
        .with("private", name)
        .with("public", public.display().to_string()))
}
