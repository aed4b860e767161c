//! Rows of numbers: CSV and NPY, in and out.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use ndarray::{Array2, ArrayD, Ix1, Ix2};
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement, WriteNpyExt};
use smlp::{Error, Result};

use crate::files::io;

/// A matrix, and the names of its columns where the file had any.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub values: Array2<f64>,
    pub names: Option<Vec<String>>,
}

impl Table {
    /// Reads NPY by its name (`.npy`), CSV otherwise; `-` is CSV on standard input. A first row that is not all
    /// numbers is a header.
    pub fn read(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return from_csv(std::io::stdin().lock(), path);
        }
        let file = BufReader::new(File::open(path).map_err(|e| io(path, e))?);
        match is_npy(path) {
            true => from_npy(file, path),
            false => from_csv(file, path),
        }
    }

    /// Writes NPY or CSV, as [`Table::read`] tells them apart; `-` is standard output.
    pub fn write(&self, path: &Path) -> Result<()> {
        if path == Path::new("-") {
            return self.to_csv(std::io::stdout().lock(), path);
        }
        let file = BufWriter::new(File::create(path).map_err(|e| io(path, e))?);
        match is_npy(path) {
            true => self
                .values
                .write_npy(file)
                .map_err(|e| malformed(path, &e.to_string())),
            false => self.to_csv(file, path),
        }
    }

    fn to_csv(&self, to: impl Write, path: &Path) -> Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        let failed = |e: csv::Error| io(path, e.into());
        if let Some(names) = &self.names {
            writer.write_record(names).map_err(failed)?;
        }
        for row in self.values.rows() {
            let cells = row.iter().map(f64::to_string);
            writer.write_record(cells).map_err(failed)?;
        }
        writer.flush().map_err(|e| io(path, e))
    }

    /// Some of the columns: numbers from 1 on, ranges of them, names; comma-separated.
    pub fn columns(&self, wanted: &str) -> Result<Self> {
        let mut chosen = Vec::new();
        for part in wanted.split(',').map(str::trim) {
            let by_name = self.names.iter().flatten().position(|name| name == part);
            match by_name {
                Some(i) => chosen.push(i),
                None => chosen.extend(range(part, self.values.ncols(), "column")?),
            }
        }
        Ok(Self {
            values: self.values.select(ndarray::Axis(1), &chosen),
            names: self
                .names
                .as_ref()
                .map(|names| chosen.iter().map(|&i| names[i].clone()).collect()),
        })
    }

    /// Some of the rows: numbers from 1 on and ranges of them; comma-separated.
    pub fn rows(&self, wanted: &str) -> Result<Self> {
        let mut chosen = Vec::new();
        for part in wanted.split(',').map(str::trim) {
            chosen.extend(range(part, self.values.nrows(), "row")?);
        }
        Ok(Self {
            values: self.values.select(ndarray::Axis(0), &chosen),
            names: self.names.clone(),
        })
    }

    /// The single column as class numbers 0, 1, ...
    pub fn classes(&self) -> Result<Vec<usize>> {
        if self.values.ncols() != 1 {
            return Err(Error::Shape(format!(
                "labels in {} columns; one is needed, choose it with --columns",
                self.values.ncols()
            )));
        }
        let class = |(row, &value): (usize, &f64)| {
            let fits = (0.0..1e6).contains(&value) && value.fract() == 0.0;
            fits.then_some(value as usize).ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "the label {value} in row {}; labels are 0, 1, 2, ...",
                    row + 1
                ))
            })
        };
        self.values.iter().enumerate().map(class).collect()
    }
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "npy")
}

/// "3", "3-7", "3-" (to the end), counted from 1.
fn range(text: &str, count: usize, what: &str) -> Result<std::ops::Range<usize>> {
    let wrong = || {
        Error::InvalidArgument(format!(
            "{what} '{text}'; there are 1 to {count}, as in 1-{count}"
        ))
    };
    let number = |text: &str| text.parse::<usize>().ok();
    let (first, last) = match text.split_once('-') {
        Some((first, "")) => (number(first), Some(count)),
        Some((first, last)) => (number(first), number(last)),
        None => (number(text), number(text)),
    };
    match (first, last) {
        (Some(first), Some(last)) if 1 <= first && first <= last && last <= count => {
            Ok(first - 1..last)
        }
        _ => Err(wrong()),
    }
}

fn from_csv(from: impl Read, path: &Path) -> Result<Table> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(from);
    let (mut names, mut values, mut columns) = (None, Vec::new(), None);
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|e| malformed(path, &e.to_string()))?;
        let numbers: Vec<Option<f64>> = record.iter().map(|cell| cell.parse().ok()).collect();
        columns.get_or_insert(numbers.len());
        if i == 0 && numbers.iter().any(Option::is_none) {
            names = Some(record.iter().map(str::to_owned).collect());
            continue;
        }
        for (column, number) in numbers.iter().enumerate() {
            values.push(number.ok_or_else(|| {
                let why = format!(
                    "'{}' in row {}, column {} is not a number",
                    &record[column],
                    i + 1,
                    column + 1
                );
                malformed(path, &why)
            })?);
        }
    }
    let columns = columns.unwrap_or(0);
    let rows = values.len().checked_div(columns).unwrap_or(0);
    if rows == 0 {
        return Err(malformed(path, "there are no rows in it"));
    }
    let values = Array2::from_shape_vec((rows, columns), values)
        .expect("the reader refuses rows of other lengths");
    Ok(Table { values, names })
}

fn from_npy(mut from: impl Read, path: &Path) -> Result<Table> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(|e| io(path, e))?;
    let array = [
        element::<f64>(&bytes, |x| x),
        element::<f32>(&bytes, f64::from),
        element::<i64>(&bytes, |x| x as f64),
        element::<i32>(&bytes, f64::from),
        element::<i16>(&bytes, f64::from),
        element::<i8>(&bytes, f64::from),
        element::<u8>(&bytes, f64::from),
        element::<bool>(&bytes, |x| f64::from(u8::from(x))),
    ];
    let mut why = String::new();
    for attempt in array {
        match attempt {
            Ok(array) => return from_array(array, path),
            Err(ReadNpyError::WrongDescriptor(_)) => {
                why = "its elements are of a type that is not read; save it as float64".into();
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err(malformed(path, &why))
}

fn element<T: ReadableElement + Copy>(
    bytes: &[u8],
    number: impl Fn(T) -> f64,
) -> std::result::Result<ArrayD<f64>, ReadNpyError> {
    Ok(ArrayD::<T>::read_npy(bytes)?.map(|x| number(*x)))
}

fn from_array(array: ArrayD<f64>, path: &Path) -> Result<Table> {
    let shape = array.shape().to_vec();
    let column = |array: ArrayD<f64>| {
        let vector = array.into_dimensionality::<Ix1>().ok()?;
        Some(vector.insert_axis(ndarray::Axis(1)))
    };
    let values = match shape.len() {
        1 => column(array),
        _ => array.into_dimensionality::<Ix2>().ok(),
    };
    match values {
        Some(values) if !values.is_empty() => Ok(Table {
            values,
            names: None,
        }),
        _ => Err(malformed(
            path,
            &format!("its shape is {shape:?}; rows and columns are needed"),
        )),
    }
}

fn malformed(path: &Path, why: &str) -> Error {
    Error::Malformed {
        what: "table",
        why: format!("{}: {why}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn csv(text: &str) -> Result<Table> {
        from_csv(text.as_bytes(), Path::new("test.csv"))
    }

    #[test]
    fn csv_with_and_without_a_header() {
        let plain = csv("1,2\n3.5,-4e2\n").unwrap();
        assert_eq!(plain.values, array![[1.0, 2.0], [3.5, -400.0]]);
        assert_eq!(plain.names, None);
        let named = csv("a, b\n1, 2\n").unwrap();
        assert_eq!(named.values, array![[1.0, 2.0]]);
        assert_eq!(named.names, Some(vec!["a".into(), "b".into()]));
        for (wrong, word) in [
            ("", "no rows"),
            ("a,b\n", "no rows"),
            ("1,2\n3\n", "fields"),
            ("1,2\n3,x\n", "'x' in row 2, column 2"),
        ] {
            let error = csv(wrong).unwrap_err().to_string();
            assert!(
                error.contains(word) && error.contains("test.csv"),
                "{error}"
            );
        }
    }

    #[test]
    fn parts_are_chosen_by_number_and_name() {
        let table = csv("a,b,c\n1,2,3\n4,5,6\n").unwrap();
        let columns = |wanted| table.columns(wanted).map(|t| t.values);
        assert_eq!(columns("c,1").unwrap(), array![[3.0, 1.0], [6.0, 4.0]]);
        assert_eq!(columns("2-").unwrap(), array![[2.0, 3.0], [5.0, 6.0]]);
        for wrong in ["0", "4", "2-9", "3-2", "d", ""] {
            let error = columns(wrong).unwrap_err().to_string();
            assert!(error.contains("1 to 3"), "{error}");
        }
        assert_eq!(table.rows("2").unwrap().values, array![[4.0, 5.0, 6.0]]);
        assert_eq!(table.columns("b").unwrap().classes().unwrap(), [2, 5]);
        assert!(table.classes().is_err());
        assert!(csv("1\n-1\n").unwrap().classes().is_err());
        assert!(csv("1\n0.5\n").unwrap().classes().is_err());
    }

    #[test]
    fn npy_of_several_types() {
        let path = Path::new("x.npy");
        let mut bytes = Vec::new();
        array![[1.5f32, 2.0]].write_npy(&mut bytes).unwrap();
        let read = |bytes: &[u8]| from_npy(bytes, path);
        assert_eq!(read(&bytes).unwrap().values, array![[1.5, 2.0]]);
        let mut bytes = Vec::new();
        array![3i64, 4].write_npy(&mut bytes).unwrap();
        assert_eq!(read(&bytes).unwrap().values, array![[3.0], [4.0]]);
        let mut bytes = Vec::new();
        array![[[1.0f64]]].write_npy(&mut bytes).unwrap();
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("[1, 1, 1]"), "{error}");
        assert!(read(b"hello").is_err());
    }
}
