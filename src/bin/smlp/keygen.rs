//! `smlp keygen`.

use std::path::{Path, PathBuf};

use rug::Integer;
use rug::integer::Order;
use smlp::modular::clear_freed_integers;
use smlp::paillier::{DEFAULT_KEY_BITS, secret_file};
use smlp::{Encrypt, Error, ExponentLength, PrivateKey, Result, Security};
use zeroize::Zeroizing;

use crate::files::{self, KeyArguments};
use crate::outcome::Outcome;
use crate::sealed;

/// Two primes of the largest keys in decimal take 5 KB.
const MAX_PRIMES_BYTES: usize = 1 << 13;

/// Make a key pair: NAME.private, for the owner and P2 alone, and NAME.public, for P1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smlp keygen owner
  smlp keygen --seal --bits 2048 owner
  smlp keygen --primes phe.primes owner
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

    /// Make the key pair of other software (g = N + 1) from its two primes: a file of mode 0600 with p and q in decimal, a
    /// line each. The same primes give the same pair.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bits", "short_exponents"])]
    primes: Option<PathBuf>,

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

/// The key pair of two primes in a file.
fn from_primes(path: &Path, security: Security) -> Result<PrivateKey> {
    clear_freed_integers();
    let text = secret_file::read(path, MAX_PRIMES_BYTES)?;
    let malformed = || Error::Malformed {
        what: "file of primes",
        why: "it does not hold two numbers in decimal, a line each".into(),
    };
    let lines = std::str::from_utf8(&text).map_err(|_| malformed())?.lines();
    let prime = |line: &str| {
        let number: Integer = line.trim().parse().map_err(|_| malformed())?;
        match number > 0 {
            true => Ok(Zeroizing::new(number.to_digits::<u8>(Order::Msf))),
            false => Err(malformed()),
        }
    };
    let primes = lines.map(prime).collect::<Result<Vec<_>>>()?;
    let [p, q] = &primes[..] else {
        return Err(malformed());
    };
    PrivateKey::from_primes(p, q, security)
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
    let security = arguments.keys.security();
    let key = match &arguments.primes {
        None => {
            let exponents = exponents(arguments.short_exponents);
            PrivateKey::generate_as(arguments.bits, exponents, security)?
        }
        Some(path) => from_primes(path, security).map_err(|e| files::in_file(path, e))?,
    };
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
