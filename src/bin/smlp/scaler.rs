//! Standardising columns: mean 0 and standard deviation 1, with parameters that are kept for later rows.

use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use smlp::{Error, Result};

use crate::files;

/// Mean and standard deviation of each column of some training rows. They are the owner's: they tell about the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scaler {
    /// Of these rows. Columns that do not vary are only centred.
    pub fn fit(rows: &Array2<f64>) -> Self {
        let mean: Vec<f64> = rows
            .columns()
            .into_iter()
            .map(|c| c.sum() / c.len() as f64)
            .collect();
        let deviation = rows.columns().into_iter().zip(&mean).map(|(column, mean)| {
            let squares: f64 = column.iter().map(|x| (x - mean).powi(2)).sum();
            let deviation = (squares / column.len() as f64).sqrt();
            if deviation > 0.0 { deviation } else { 1.0 }
        });
        Self {
            deviation: deviation.collect(),
            mean,
        }
    }

    /// Standardised rows.
    pub fn apply(&self, rows: &Array2<f64>) -> Result<Array2<f64>> {
        if rows.ncols() != self.mean.len() {
            return Err(Error::Shape(format!(
                "{} columns to standardise with parameters of {}; choose the same columns",
                rows.ncols(),
                self.mean.len()
            )));
        }
        let mut out = rows.clone();
        for (i, mut column) in out.columns_mut().into_iter().enumerate() {
            column.mapv_inplace(|x| (x - self.mean[i]) / self.deviation[i]);
        }
        Ok(out)
    }

    pub fn load(path: &Path) -> Result<Self> {
        let malformed = |why: String| Error::Malformed {
            what: "scaler",
            why: format!("{}: {why}", path.display()),
        };
        let scaler: Self =
            serde_json::from_slice(&files::read(path)?).map_err(|e| malformed(e.to_string()))?;
        let usable = |x: &f64| x.is_finite() && *x > 0.0;
        if scaler.mean.len() != scaler.deviation.len() || !scaler.deviation.iter().all(usable) {
            return Err(malformed(
                "one mean and one positive deviation for each column are needed".into(),
            ));
        }
        Ok(scaler)
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self).expect("numbers are JSON");
        files::write_private(path, (text + "\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn columns_are_standardised() {
        let rows = array![[1.0, 5.0], [3.0, 5.0]];
        let scaler = Scaler::fit(&rows);
        assert_eq!(
            scaler.apply(&rows).unwrap(),
            array![[-1.0, 0.0], [1.0, 0.0]]
        );
        assert_eq!(
            scaler.apply(&array![[2.0, 6.0]]).unwrap(),
            array![[0.0, 1.0]]
        );
        assert!(scaler.apply(&array![[1.0]]).is_err());
    }
}
