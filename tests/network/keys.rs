//! `smlp keygen` and what `smlp inspect` says of its files.

use std::process::{Command, Output};

use rug::Integer;
use rug::integer::Order;
use serde_json::Value;
use smlp::Security;
use smlp::paillier::secret_file;
use smlp::store::{KeyNumber, StoreKey};

use crate::scene::{Folder, SMLP};

fn run(folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(SMLP)
        .arg("--json")
        .args(arguments)
        .current_dir(folder.path("."))
        .output()
        .unwrap()
}

fn smlp(folder: &Folder, arguments: &[&str]) -> Value {
    let output = run(folder, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What python-paillier's `private_key.p` and `.q` are, in a file.
#[test]
fn primes_of_other_software_make_one_key_wherever_they_are_read() {
    let folder = Folder::new("primes");
    let numbers = StoreKey::generate(2048, Security::Required).unwrap();
    let [n, p, q] = [KeyNumber::Modulus, KeyNumber::P, KeyNumber::Q]
        .map(|which| Integer::from_digits(&numbers.number(which).unwrap(), Order::Msf));
    let write = |name: &str, text: String| {
        secret_file::write(&folder.path(name), text.as_bytes()).unwrap();
    };
    write("primes", format!("{p}\n{q}\n"));
    write("exchanged", format!("{q}\n {p}"));
    let made = smlp(&folder, &["keygen", "--primes", "primes", "one"]);
    let again = smlp(&folder, &["keygen", "--primes", "exchanged", "two"]);
    assert_eq!((&made["key"], &made["bits"]), (&again["key"], &2048.into()));
    for name in ["one.private", "two.public"] {
        assert_eq!(smlp(&folder, &["inspect", name])["key"], made["key"]);
    }
    for (i, text) in [
        String::new(),
        format!("{p}"),
        format!("{p}\n{q}\n{n}"),
        format!("{p}\n{n}"),
        format!("{p}\n-{q}"),
        format!("{p} {q}"),
        format!("{p}\n{p}"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("wrong{i}");
        write(&name, text);
        let output = run(&folder, &["keygen", "--primes", &name, "three"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains(&name),
            "{i}: {told}"
        );
        assert!(!told.contains(&p.to_string()), "{told}");
        assert!(!folder.path("three.private").exists());
    }
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
