//! `smlp inspect`.

use std::path::{Path, PathBuf};

use smlp::{Encrypt, IntegerMlp, IntegerTensor, Kind, MlpConfig, Result};

use crate::files::{self, KeyArguments};
use crate::outcome::Outcome;
use crate::sealed;

/// Say what a file is. Nothing secret is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smlp inspect owner.public
  smlp inspect --key owner.public x.train
  smlp inspect --key owner.public network.trained")]
pub struct Arguments {
    /// A key, tensor or network.
    file: PathBuf,

    /// The public key of an encrypted tensor or network: tells more, and checks every ciphertext.
    #[arg(short, long)]
    key: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyArguments,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let path = &arguments.file;
    let start = files::start(path)?;
    if sealed::is_sealed(&start) {
        return Ok(sized(path, "sealed private key"));
    }
    let Some(kind) = Kind::of(&start) else {
        return Err(smlp::Error::Malformed {
            what: "file",
            why: format!("{}: no file of smlp's", path.display()),
        });
    };
    let outcome = sized(path, kind.name());
    let keys = &arguments.keys;
    let key = arguments
        .key
        .as_ref()
        .map(|path| keys.any(path))
        .transpose()?;
    Ok(match (kind, key) {
        (Kind::PublicKey, _) => {
            let key = keys.public(path)?;
            outcome
                .with("key", key.id().to_hex())
                .with("bits", key.bits())
                .with("exponent_bits", key.exponent_bits())
                .with("foreign", key.is_foreign())
        }
        (Kind::PrivateKey | Kind::ShortPrivateKey, _) => {
            let key = keys.private(path)?;
            outcome
                .with("key", key.public().id().to_hex())
                .with("bits", key.public().bits())
                .with("exponent_bits", key.public().exponent_bits())
        }
        (Kind::IntegerTensor, _) => {
            let tensor = IntegerTensor::from_bytes(&files::read(path)?)
                .map_err(|e| files::in_file(path, e))?;
            of_tensor(outcome, tensor.shape(), tensor.scale(), tensor.bound())
        }
        (Kind::IntegerNetwork, _) => {
            let network =
                IntegerMlp::from_bytes(&files::read(path)?).map_err(|e| files::in_file(path, e))?;
            of_network(outcome, network.config(), network.step())
        }
        (Kind::EncryptedTensor, Some(key)) => {
            let tensor = files::tensor(path, key.public())?;
            let outcome = outcome
                .with("key", tensor.key().id().to_hex())
                .with("values_per_ciphertext", tensor.values_per_ciphertext());
            of_tensor(outcome, tensor.shape(), tensor.scale(), tensor.bound())
        }
        (Kind::EncryptedNetwork, Some(key)) => {
            let network = files::network(path, key.public())?;
            let outcome = outcome.with("key", network.key().id().to_hex());
            of_network(outcome, network.config(), network.step())
        }
        _ => outcome,
    })
}

fn sized(path: &Path, kind: &str) -> Outcome {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    Outcome::default().with("kind", kind).with("bytes", bytes)
}

fn of_tensor(outcome: Outcome, shape: &[usize], scale: u32, bound: u32) -> Outcome {
    outcome
        .with("shape", format!("{shape:?}"))
        .with("fraction_bits", scale)
        .with("bound_bits", bound)
}

fn of_network(outcome: Outcome, config: &MlpConfig, step: u64) -> Outcome {
    outcome
        .with("layers", format!("{:?}", config.layers))
        .with("activations", format!("{:?}", config.activations))
        .with("fraction_bits", config.fraction_bits)
        .with("weight_bits", config.weight_bits)
        .with("activation_bits", config.activation_bits)
        .with("steps_trained", step)
}
