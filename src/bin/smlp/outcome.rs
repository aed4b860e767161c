//! How a command ends: what it prints, and its exit code.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use serde_json::{Map, Value};
use smlp::Error;

/// The table of `smlp --help`.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  something else failed
    2  wrong usage
    3  input that cannot be used: malformed, of another key, of a wrong shape, out of range
    4  a file could not be read or written
    5  no answer from the key server until the deadline
    6  the key server refused
    7  refused for safety: a small key, a secret that others may read, a wrong passphrase
  130  interrupted; what was reached is saved

Example:
  smlp keygen owner";

/// What a command has to say at its end: named values, printed line by line or as one JSON object.
#[derive(Debug, Default)]
pub struct Outcome(Vec<(&'static str, Value)>);

impl Outcome {
    /// Nothing to say.
    pub fn silent() -> Self {
        Self::default()
    }

    /// Adds a value.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// As one JSON object.
    pub fn to_json(&self) -> String {
        let object: Map<String, Value> = self
            .0
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        Value::Object(object).to_string()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            match value {
                Value::String(text) => writeln!(f, "{name:width$}  {text}")?,
                other => writeln!(f, "{name:width$}  {other}")?,
            }
        }
        Ok(())
    }
}

/// Prints the end of a command and turns it into an exit code.
pub fn report(outcome: smlp::Result<Outcome>, json: bool) -> ExitCode {
    match outcome {
        Ok(outcome) => {
            let text = match json {
                true if !outcome.0.is_empty() => outcome.to_json() + "\n",
                true => String::new(),
                false => outcome.to_string(),
            };
            // A reader that has seen enough (head) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("smlp: {error}");
            ExitCode::from(code(&error))
        }
    }
}

fn code(error: &Error) -> u8 {
    match error {
        Error::InvalidArgument(_)
        | Error::Shape(_)
        | Error::Scale { .. }
        | Error::Bound { .. }
        | Error::OutOfRange { .. }
        | Error::NotFinite { .. }
        | Error::KeyMismatch { .. }
        | Error::Malformed { .. }
        | Error::Limit { .. } => 3,
        Error::Io { .. } => 4,
        Error::Transport(_) => 5,
        Error::Refused(_) => 6,
        Error::Insecure(_) => 7,
        Error::Cancelled => 130,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_lined_up() {
        let outcome = Outcome::default().with("key", "abc").with("rows", 3);
        assert_eq!(outcome.to_string(), "key   abc\nrows  3\n");
        assert_eq!(outcome.to_json(), r#"{"key":"abc","rows":3}"#);
    }

    #[test]
    fn every_code_is_in_the_table() {
        for code in [3, 4, 5, 6, 7, 130].map(|code: u8| format!("\n{code:5}  ")) {
            assert!(EXIT_CODES.contains(&code), "{code}");
        }
        assert_eq!(code(&Error::Cancelled), 130);
        assert_eq!(code(&Error::Finished(String::new())), 1);
    }
}
