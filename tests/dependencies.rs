//! What the cargo features pull in, and that nothing of it is there without them.

use std::collections::BTreeSet;
use std::process::Command;

/// Names of the packages that the library is built from.
fn packages(features: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--edges", "normal,build"])
        .args(["--prefix", "none", "--features", features])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// Packages that Cargo.toml marks as optional.
fn optional() -> BTreeSet<String> {
    include_str!("../Cargo.toml")
        .lines()
        .filter(|line| line.contains("optional = true"))
        .map(|line| line.split_once(" = ").unwrap().0.to_owned())
        .collect()
}

#[test]
fn without_features_there_is_no_runtime_and_no_tls() {
    let (plain, net, cli) = (packages(""), packages("net"), packages("cli"));
    assert!(plain.contains("rug") && plain.is_subset(&net) && net.is_subset(&cli));

    let optional = optional();
    assert!(optional.len() > 20 && optional.is_subset(&cli));
    let found: Vec<_> = plain.intersection(&optional).collect();
    assert!(found.is_empty(), "optional, but always there: {found:?}");
    for heavy in [
        "tokio", "rustls", "ring", "h2", "hyper", "tonic", "prost", "tracing",
    ] {
        assert!(!plain.contains(heavy) && net.contains(heavy), "{heavy}");
    }
    for command in ["clap", "rcgen", "argon2", "toml", "tracing-subscriber"] {
        assert!(!net.contains(command), "{command} is for the command alone");
    }
}

/// All threads come from one module, which makes them anew in a process that was forked: rayon's own pool would
/// hang there for ever.
#[test]
fn rayon_is_named_in_one_module_only() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut naming = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let mut lines = text.lines().map(str::trim_start);
                if lines.any(|line| !line.starts_with("//") && line.contains("rayon")) {
                    naming.insert(path.file_name().unwrap().to_owned());
                }
            }
        }
    }
    assert_eq!(naming, BTreeSet::from(["parallel.rs".into()]));
}
