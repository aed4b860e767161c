//! `smlp init`.

use std::path::PathBuf;

use smlp::mlp::seed_from_number;
use smlp::random::Random;
use smlp::{Activation, Error, IntegerMlp, MlpConfig, Result};

use crate::files::{self, AnyKey, KeyArguments};
use crate::outcome::Outcome;

/// Draw the initial weights of a network and encrypt them: the owner's last duty before training.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  smlp init --key owner.private --layers 30,16,2 -o network.initial"
)]
pub struct Arguments {
    /// Where to write the encrypted network.
    #[arg(short, long)]
    output: PathBuf,

    /// The public key, or the private one, which is faster.
    #[arg(short, long)]
    key: PathBuf,

    #[command(flatten)]
    network: NetworkArguments,

    /// Draw from this number, to repeat an experiment. Whoever knows it knows the initial network.
    #[arg(long)]
    seed: Option<u64>,

    #[command(flatten)]
    keys: KeyArguments,
}

/// What a network looks like.
#[derive(Debug, clap::Args)]
pub struct NetworkArguments {
    /// Sizes: inputs, hidden layers, outputs.
    #[arg(long, value_delimiter = ',', required = true)]
    layers: Vec<usize>,

    /// One activation, relu or linear, for each layer after the inputs. [default: relu, the last one linear]
    #[arg(long, value_delimiter = ',', value_parser = activation)]
    activations: Vec<Activation>,

    /// Bits after the point of every number.
    #[arg(long, default_value_t = 16)]
    fraction_bits: u32,

    /// Promise for weights and biases: magnitudes below 2^BITS, fraction bits included. [default: fraction bits + 8]
    #[arg(long, value_name = "BITS")]
    weight_bits: Option<u32>,

    /// The same for inputs, activations and errors. [default: fraction bits + 8]
    #[arg(long, value_name = "BITS")]
    activation_bits: Option<u32>,
}

impl NetworkArguments {
    pub fn config(&self) -> MlpConfig {
        let config = match self.activations.is_empty() {
            true => MlpConfig::relu(&self.layers),
            false => MlpConfig::new(&self.layers, &self.activations),
        };
        let config = config.with_fraction_bits(self.fraction_bits);
        let (weights, activations) = (config.weight_bits, config.activation_bits);
        config.with_bits(
            self.weight_bits.unwrap_or(weights),
            self.activation_bits.unwrap_or(activations),
        )
    }
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let key = arguments.keys.any(&arguments.key)?;
    let config = arguments.network.config();
    let clear = IntegerMlp::draw(config, arguments.seed.map(seed_from_number))?;
    let network = match &key {
        AnyKey::Public(key) => clear.encrypt(key, &Random::os()),
        AnyKey::Private(key) => clear.encrypt(key, &Random::os()),
    }?;
    files::must_be_new(&arguments.output)?;
    files::write_private(&arguments.output, &network.to_bytes()?)?;
    let weights: usize = clear
        .layers()
        .iter()
        .map(|l| l.weight.len() + l.bias.len())
        .sum();
    Ok(Outcome::default()
        .with("layers", format!("{:?}", clear.config().layers))
        .with("parameters", weights)
        .with("key", key.public().id().to_hex())
        .with("output", arguments.output.display().to_string()))
}

fn activation(text: &str) -> Result<Activation> {
    match text {
        "relu" => Ok(Activation::Relu),
        "linear" => Ok(Activation::Linear),
        _ => Err(Error::InvalidArgument(format!(
            "activation '{text}'; there are relu and linear"
        ))),
    }
}
