//! `smlp decrypt`.

use std::path::PathBuf;

use ndarray::Array2;
use smlp::mlp::argmax;
use smlp::{Encrypt, Error, IntegerTensor, Kind, Result};

use crate::files::{self, KeyArguments};
use crate::outcome::Outcome;
use crate::table::Table;

/// Decrypt a tensor to CSV or NPY, or a network to a clear one (the owner).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smlp decrypt --key owner.private answer -o answer.csv
  smlp decrypt --key owner.private answer --classes
  smlp decrypt --key owner.private network.trained -o network.clear")]
pub struct Arguments {
    /// The encrypted tensor or network.
    input: PathBuf,

    /// CSV, NPY if its name ends in .npy, or - for standard output; for a network, a file of smlp's.
    #[arg(short, long, default_value = "-")]
    output: PathBuf,

    /// The private key.
    #[arg(short, long)]
    key: PathBuf,

    /// Write the position of the largest value of each row instead of the values.
    #[arg(long)]
    classes: bool,

    #[command(flatten)]
    keys: KeyArguments,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let key = arguments.keys.private(&arguments.key)?;
    let path = &arguments.input;
    let to_stdout = arguments.output.as_os_str() == "-";
    let written = || Outcome::default().with("output", arguments.output.display().to_string());
    if Kind::of(&files::start(path)?) == Some(Kind::EncryptedNetwork) {
        if to_stdout {
            return Err(Error::InvalidArgument(
                "a network is not printed; name a file with --output".into(),
            ));
        }
        let clear = files::network(path, key.public())?.decrypt(&key)?;
        files::must_be_new(&arguments.output)?;
        files::write_private(&arguments.output, &clear.to_bytes()?)?;
        return Ok(written());
    }
    let clear = files::tensor(path, key.public())?.decrypt(&key)?;
    let table = match arguments.classes {
        true => {
            let classes = argmax(&clear)?;
            Table {
                values: Array2::from_shape_fn((classes.len(), 1), |(i, _)| classes[i] as f64),
                names: Some(vec!["class".into()]),
            }
        }
        false => to_table(&clear)?,
    };
    table.write(&arguments.output)?;
    Ok(match to_stdout {
        true => Outcome::silent(),
        false => written(),
    })
}

fn to_table(tensor: &IntegerTensor) -> Result<Table> {
    let (rows, columns) = match *tensor.shape() {
        [] => (1, 1),
        [rows] => (rows, 1),
        [rows, columns] => (rows, columns),
        ref shape => {
            return Err(Error::Shape(format!(
                "a tensor of shape {shape:?}; a table has rows and columns"
            )));
        }
    };
    let values = Array2::from_shape_vec((rows, columns), tensor.to_f64())
        .map_err(|e| Error::Shape(e.to_string()))?;
    Ok(Table {
        values,
        names: None,
    })
}
