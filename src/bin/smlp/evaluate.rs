//! `smlp evaluate`.

use std::path::PathBuf;

use smlp::{Error, Result};

use crate::outcome::Outcome;
use crate::table::Table;

/// Compare decrypted outputs with labels: accuracy, and the confusion matrix.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  smlp evaluate answer.csv --labels data.csv --columns target --rows 456-569")]
pub struct Arguments {
    /// Outputs, one column a class (CSV or NPY; - for standard input): the largest value of a row is its class.
    outputs: PathBuf,

    /// CSV or NPY with the labels 0, 1, ...
    #[arg(long)]
    labels: PathBuf,

    /// The column of the labels: a number from 1 on, or its name.
    #[arg(long, value_name = "COLUMN")]
    columns: Option<String>,

    /// Rows of the labels: numbers from 1 on, ranges; all by default.
    #[arg(long, value_name = "LIST")]
    rows: Option<String>,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let outputs = Table::read(&arguments.outputs)?.values;
    let mut labels = Table::read(&arguments.labels)?;
    if let Some(rows) = &arguments.rows {
        labels = labels.rows(rows)?;
    }
    if let Some(columns) = &arguments.columns {
        labels = labels.columns(columns)?;
    }
    let labels = labels.classes()?;
    let confusion = confusion(&outputs, &labels)?;
    let right: usize = (0..confusion.len()).map(|i| confusion[i][i]).sum();
    Ok(Outcome::default()
        .with("rows", labels.len())
        .with("right", right)
        .with("accuracy", right as f64 / labels.len() as f64)
        .with("confusion", confusion))
}

/// How often a label (row) was given a class (column).
fn confusion(outputs: &ndarray::Array2<f64>, labels: &[usize]) -> Result<Vec<Vec<usize>>> {
    let classes = outputs.ncols();
    if outputs.nrows() != labels.len() {
        return Err(Error::Shape(format!(
            "{} rows of outputs, {} labels; choose the same rows with --rows",
            outputs.nrows(),
            labels.len()
        )));
    }
    let mut counts = vec![vec![0; classes]; classes];
    for (row, &label) in outputs.rows().into_iter().zip(labels) {
        if label >= classes {
            return Err(Error::InvalidArgument(format!(
                "the label {label}, with outputs for {classes} classes"
            )));
        }
        let best = (1..classes).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        counts[label][best] += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn outputs_are_counted() {
        let outputs = array![[0.9, 0.1], [0.2, 0.3], [0.5, 0.5], [0.0, 1.0]];
        assert_eq!(
            confusion(&outputs, &[0, 1, 1, 0]).unwrap(),
            [[1, 1], [1, 1]]
        );
        assert!(confusion(&outputs, &[0, 1, 1]).is_err());
        assert!(confusion(&outputs, &[0, 1, 1, 2]).is_err());
    }
}
