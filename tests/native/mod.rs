//! What tests that compile C and C++ share: where the library is, running tools, scratch folders.
#![allow(dead_code)] // no test uses all of it

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder in which Cargo puts the libraries that it built for this test, just before it.
/// (Copies one level up, beside the executables, are made by `cargo build` alone and may be old.)
pub fn libraries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

/// libsmlp.so, as fresh as this test.
pub fn shared_library() -> PathBuf {
    existing("libsmlp.so")
}

/// libsmlp.a, as fresh as this test.
pub fn static_library() -> PathBuf {
    existing("libsmlp.a")
}

fn existing(name: &str) -> PathBuf {
    let path = libraries().join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path
}

/// Runs a program to its successful end and returns what it printed. A missing one is a failure.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    finish(&mut command)
}

/// As [`run`] for a prepared command.
#[track_caller]
pub fn finish(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}; install it"),
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// A folder of a test's own, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("smlp-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
