//! Compiles the C and C++ programs of tests/c and tests/cpp against the library and runs them:
//! linked both ways, under AddressSanitizer and UndefinedBehaviorSanitizer, and under Valgrind.
//! gcc, g++ and valgrind have to be there.
#![cfg(target_os = "linux")]

mod forgery;
mod native;

use std::collections::BTreeSet;
use std::process::Command;

use forgery::{modulus, with_base, with_fingerprint};
use native::{Scratch, declared_functions, finish, link_flags, repository, run};
use smlp::random::Random;
use smlp::{Encrypt, EncryptedTensor, IntegerTensor, PrivateKey, PublicKey, Security};

const PROGRAMS: [&str; 7] = [
    "c/smoke.c",
    "c/keys.c",
    "c/store.c",
    "c/fork.c",
    "cpp/smoke.cpp",
    "cpp/nulls.cpp",
    "cpp/hostile.cpp",
];

const SANITIZERS: [&str; 3] = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
];

#[derive(Clone, Copy)]
enum Link {
    Shared,
    Static,
}

/// Compiles one program into the scratch folder.
fn compile(scratch: &Scratch, program: &str, link: Link, extra: &[&str]) -> String {
    let (compiler, standard) = match program.ends_with(".c") {
        true => ("gcc", "-std=c11"),
        false => ("g++", "-std=c++17"),
    };
    let root = repository();
    let include = |folder: &str| format!("-I{}", root.join(folder).display());
    let output = scratch.file(&program.replace(['/', '.'], "-"));
    let mut command = Command::new(compiler);
    command
        .args([
            standard,
            "-g",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
        ])
        .args([
            include("include"),
            include("bindings/cpp"),
            include("tests/c"),
        ])
        .args(native::feature_flags())
        .args(extra)
        .arg(root.join("tests").join(program))
        .args(["-o", &output])
        .args(link_flags(scratch, matches!(link, Link::Static)));
    finish(&mut command);
    output
}

/// Arguments of a program: a folder to write to, where it takes one.
fn arguments<'a>(program: &str, folder: &'a str) -> Vec<&'a str> {
    match program.contains("smoke") || program.contains("keys") {
        true => vec![folder],
        false => vec![],
    }
}

/// Files for c/keys.c: a key pair, and others that were made of it.
fn write_keys(scratch: &Scratch) {
    let key = PrivateKey::generate(512, Security::AllowInsecure).unwrap();
    let (public, n) = (key.public(), modulus(key.public()));
    let minus_one = n.clone().square() - 1u32;
    let mut damaged = key.to_bytes().to_vec();
    let h_s = damaged.len() - 40;
    damaged[h_s] ^= 1;
    for (name, bytes) in [
        ("good.public", public.to_bytes()),
        ("good.private", key.to_bytes().to_vec()),
        ("one.public", with_base(public, &1.into())),
        ("minus_one.public", with_base(public, &minus_one)),
        ("n_plus_one.public", with_base(public, &(n + 1u32))),
        ("other.public", with_base(public, &4.into())),
        ("damaged.private", damaged.clone()),
        ("forged.private", with_fingerprint(damaged)),
    ] {
        std::fs::write(scratch.path().join(name), bytes).unwrap();
    }
}

fn compile_and_run_all(name: &str, link: Link, extra: &[&str]) {
    let scratch = Scratch::new(name);
    let folder = scratch.file("");
    write_keys(&scratch);
    for program in PROGRAMS {
        let executable = compile(&scratch, program, link, extra);
        run(&executable, arguments(program, &folder));
    }
}

#[test]
fn shared() {
    compile_and_run_all("shared", Link::Shared, &[]);
}

#[test]
fn statically_linked() {
    compile_and_run_all("static", Link::Static, &[]);
}

#[test]
fn under_sanitizers() {
    compile_and_run_all("sanitizers", Link::Shared, &SANITIZERS);
}

#[test]
fn under_valgrind() {
    let scratch = Scratch::new("valgrind");
    let folder = scratch.file("");
    write_keys(&scratch);
    let suppressions = repository().join("tests/valgrind.supp");
    for program in PROGRAMS {
        let executable = compile(&scratch, program, Link::Shared, &[]);
        // What the threads of a parent held is lost in its children.
        let leaks = match program {
            "c/fork.c" => "no",
            _ => "full",
        };
        let mut command = Command::new("valgrind");
        command
            .args(["-q", "--error-exitcode=9"])
            .arg(format!("--leak-check={leaks}"))
            .arg("--errors-for-leak-kinds=definite,indirect,possible")
            .arg(format!("--suppressions={}", suppressions.display()))
            .arg(executable)
            .args(arguments(program, &folder));
        if ["c/smoke.c", "c/fork.c", "cpp/hostile.cpp"].contains(&program) {
            command.arg("quick");
        }
        finish(&mut command);
    }
}

#[test]
fn null_is_tried_everywhere() {
    let scratch = Scratch::new("nulls");
    let executable = compile(&scratch, "cpp/nulls.cpp", Link::Shared, &[]);
    let tried: BTreeSet<String> = run(executable, [""; 0])
        .lines()
        .map(str::to_owned)
        .collect();
    let needed = declared_functions()
        .into_iter()
        .filter(|function| function.returns == "smlp_status")
        .map(|function| function.name)
        .collect();
    assert_eq!(tried, needed);
}

#[test]
fn rust_writes_cxx_reads_and_back() {
    let scratch = Scratch::new("vectors");
    let key = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
    let values = [1.5, -2.0, 0.0, 0.25, 100.0, -99.75];
    let clear = IntegerTensor::from_f64(&[2, 3], &values, 12, Some(30)).unwrap();
    let secret = EncryptedTensor::encrypt(&clear, &key, &Random::os()).unwrap();
    key.save(&scratch.path().join("rust.private")).unwrap();
    std::fs::write(
        scratch.path().join("rust.tensor"),
        secret.to_bytes().unwrap(),
    )
    .unwrap();

    let executable = compile(&scratch, "cpp/smoke.cpp", Link::Shared, &[]);
    run(executable, ["read", &scratch.file("")]);

    let read = |name: &str| std::fs::read(scratch.path().join(name)).unwrap();
    let public = PublicKey::from_bytes(&read("cpp.public"), Security::AllowInsecure).unwrap();
    assert_eq!(public.id(), key.public().id());
    let twice = EncryptedTensor::from_bytes(&read("cpp.tensor"), &public).unwrap();
    let twice = twice.decrypt(&key).unwrap();
    assert_eq!((twice.shape(), twice.scale()), (&[2, 3][..], 12));
    assert_eq!(twice.to_f64(), values.map(|x| 2.0 * x));
    let plain = IntegerTensor::from_bytes(&read("cpp.clear")).unwrap();
    assert_eq!(plain.values(), twice.values());
}
