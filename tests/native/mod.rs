//! What tests that compile C and C++ share: where the library is, running tools, scratch folders.
#![allow(dead_code)] // no test uses all of it

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
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

/// What a program that uses the library is linked with.
pub fn link_flags(scratch: &Scratch, statically: bool) -> Vec<String> {
    // `rustc --print native-static-libs`, without what compilers add by themselves.
    const SYSTEM: [&str; 3] = ["-lpthread", "-lm", "-ldl"];
    if statically {
        let archive = static_library().to_str().unwrap().to_owned();
        return std::iter::once(archive)
            .chain(SYSTEM.map(str::to_owned))
            .collect();
    }
    // Programs ask for the SONAME, which an installation provides.
    let name = scratch.path().join("libsmlp.so.0");
    if !name.exists() {
        symlink(shared_library(), &name).unwrap();
    }
    let folder = scratch.path().display();
    vec![
        name.to_str().unwrap().to_owned(),
        format!("-Wl,-rpath,{folder}"),
        "-lm".to_owned(),
    ]
}

/// Whether the library under test has what stands under SMLP_NET in the header.
pub const NETWORK: bool = cfg!(feature = "net");

/// What tells a compiler that it has.
pub fn feature_flags() -> &'static [&'static str] {
    if NETWORK { &["-DSMLP_NET"] } else { &[] }
}

/// The header without the sections of features that the library under test lacks.
fn without_missing_features(header: &str) -> String {
    let mut kept = String::new();
    let mut missing = false;
    for line in header.lines() {
        match line.trim() {
            "#if defined(SMLP_NET)" => missing = !NETWORK,
            line if line.starts_with("#endif") => missing = false,
            _ if missing => {}
            _ => kept.extend([line, "\n"]),
        }
    }
    kept
}

/// A function that include/smlp.h declares.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    pub name: String,
    pub returns: String,
}

/// All functions that include/smlp.h declares.
pub fn declared_functions() -> Vec<Function> {
    let header = std::fs::read_to_string(repository().join("include/smlp.h")).unwrap();
    let header = without_missing_features(&header);
    // Comments mention functions too.
    let code: String = header
        .split("/*")
        .map(|part| part.split_once("*/").map_or(part, |(_, code)| code))
        .collect();
    let statements = code.split(';').filter_map(|statement| {
        let head = &statement[..statement.find('(')?];
        let start = head.rfind("smlp_")?;
        let returns = head[..start].lines().last()?.trim().to_owned();
        let name = head[start..].to_owned();
        let whole = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (whole && !returns.is_empty() && !returns.starts_with("typedef"))
            .then_some(Function { name, returns })
    });
    statements.collect()
}
