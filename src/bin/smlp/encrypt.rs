//! `smlp encrypt`.

use std::path::PathBuf;

use ndarray::Array2;
use smlp::fixed::DEFAULT_FRACTION_BITS;
use smlp::{Error, IntegerTensor, Result};

use crate::files::{self, KeyArguments};
use crate::outcome::Outcome;
use crate::scaler::Scaler;
use crate::table::Table;

/// Encrypt rows of numbers (CSV or NPY) for P1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smlp encrypt --key owner.private data.csv --columns 1-30 --rows 1-455 --standardise scaler.json --packed -o x.train
  smlp encrypt --key owner.private data.csv --columns target --rows 1-455 --one-hot 2 --packed -o y.train
  smlp encrypt --key owner.public query.csv --columns 1-30 --scaler scaler.json -o query")]
pub struct Arguments {
    /// CSV, or NPY if its name ends in .npy; - reads CSV from standard input.
    input: PathBuf,

    /// Where to write the encrypted tensor.
    #[arg(short, long)]
    output: PathBuf,

    /// The public key, or the private one, which is faster.
    #[arg(short, long)]
    key: PathBuf,

    /// Columns to take: numbers from 1 on, ranges, names; all by default.
    #[arg(long, value_name = "LIST")]
    columns: Option<String>,

    /// Rows to take: numbers from 1 on, ranges; all by default.
    #[arg(long, value_name = "LIST")]
    rows: Option<String>,

    /// Give each column mean 0 and standard deviation 1, and write the parameters to this file. They tell about the
    /// data: they are for whoever may see it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scaler", "one_hot"])]
    standardise: Option<PathBuf>,

    /// Standardise with parameters that --standardise wrote.
    #[arg(long, value_name = "FILE", conflicts_with = "one_hot")]
    scaler: Option<PathBuf>,

    /// Turn one column of labels 0, 1, ... into so many columns of zeros and ones.
    #[arg(long, value_name = "CLASSES")]
    one_hot: Option<usize>,

    /// Bits after the point; those of the network.
    #[arg(long, default_value_t = DEFAULT_FRACTION_BITS)]
    fraction_bits: u32,

    /// Promise that magnitudes are below 2^BITS, fraction bits included; at most the activation bits of the network. It is
    /// checked here, and nowhere later.
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_FRACTION_BITS + 8)]
    bound: u32,

    /// Put many values into a ciphertext: smaller files and less work, for rows that a network takes.
    #[arg(long)]
    packed: bool,

    /// Room for masks of up to so many bits of statistical security, for --packed. The default serves trainings that
    /// show the key server up to 2^39 values.
    #[arg(long, default_value_t = smlp::tensor::UPLOAD_SIGMA)]
    sigma: u32,

    #[command(flatten)]
    keys: KeyArguments,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let key = arguments.keys.any(&arguments.key)?;
    let mut table = Table::read(&arguments.input)?;
    if let Some(rows) = &arguments.rows {
        table = table.rows(rows)?;
    }
    if let Some(columns) = &arguments.columns {
        table = table.columns(columns)?;
    }
    let values = match (&arguments.standardise, &arguments.scaler, arguments.one_hot) {
        (Some(path), _, _) => {
            let scaler = Scaler::fit(&table.values);
            let values = scaler.apply(&table.values)?;
            scaler.save(path)?;
            values
        }
        (_, Some(path), _) => Scaler::load(path)?.apply(&table.values)?,
        (_, _, Some(classes)) => one_hot(&table.classes()?, classes)?,
        _ => table.values,
    };
    let shape = [values.nrows(), values.ncols()];
    let flat: Vec<f64> = values.iter().copied().collect();
    let clear = IntegerTensor::from_f64(
        &shape,
        &flat,
        arguments.fraction_bits,
        Some(arguments.bound),
    )?;
    let packed_for = arguments.packed.then_some(arguments.sigma);
    let encrypted = key.encrypt(&clear, packed_for)?;
    let bytes = encrypted.to_bytes()?;
    files::write(&arguments.output, &bytes)?;
    Ok(Outcome::default()
        .with("rows", shape[0])
        .with("columns", shape[1])
        .with("key", key.public().id().to_hex())
        .with("values_per_ciphertext", encrypted.values_per_ciphertext())
        .with("bytes", bytes.len())
        .with("output", arguments.output.display().to_string()))
}

fn one_hot(labels: &[usize], classes: usize) -> Result<Array2<f64>> {
    let mut rows = Array2::zeros((labels.len(), classes));
    for (row, &label) in labels.iter().enumerate() {
        if label >= classes {
            return Err(Error::InvalidArgument(format!(
                "the label {label} in row {} with --one-hot {classes}; labels are 0 to {}",
                row + 1,
                classes.saturating_sub(1)
            )));
        }
        rows[(row, label)] = 1.0;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn labels_become_columns() {
        assert_eq!(one_hot(&[1, 0], 2).unwrap(), array![[0.0, 1.0], [1.0, 0.0]]);
        assert!(one_hot(&[2], 2).is_err());
        assert!(one_hot(&[0], 0).is_err());
    }
}
