//! `smlp keygen` and what `smlp inspect` says of its files.

use std::process::Command;

use serde_json::Value;

use crate::scene::{Folder, SMLP};

fn smlp(folder: &Folder, arguments: &[&str]) -> Value {
    let output = Command::new(SMLP)
        .arg("--json")
        .args(arguments)
        .current_dir(folder.path("."))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn keys_are_made_with_usual_and_with_short_exponents() {
    let folder = Folder::new("keys");
    for (name, option, exponents) in [
        ("usual", None, 1024),
        ("short", Some("--short-exponents"), 448),
    ] {
        let mut arguments = vec!["keygen", "--bits", "2048", name];
        arguments.extend(option);
        let made = smlp(&folder, &arguments);
        assert_eq!(made["exponent_bits"], exponents);
        for ending in ["private", "public"] {
            let found = smlp(&folder, &["inspect", &format!("{name}.{ending}")]);
            assert_eq!(found["key"], made["key"], "{name}.{ending}");
            assert_eq!(
                (&found["bits"], &found["exponent_bits"]),
                (&made["bits"], &made["exponent_bits"])
            );
        }
    }
}
