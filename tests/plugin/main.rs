//! The CUDA plugin without a GPU: library → plugin → cust → a test double of the driver that runs
//! the kernels on an emulator. And everything that can go wrong, which must cost time only.
//!
//! What the environment says is read once a process, so every case is a process: this test program
//! runs itself with one of the ignored tests below.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "../native/mod.rs"]
mod native;
mod unsound;

use native::{Scratch, finish, libraries, repository};
use smlp::modular::exponentiation::{Exponents, choose, multi_power, pack, power};
use smlp::modular::{Comb, Limbs, Modulus, Residues, backend, plugin_report};
use smlp::{Encrypt, EncryptedTensor, IntegerTensor, PrivateKey, Security, random::Random};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The plugin and the folder of the double, built once.
fn built() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = libraries().join("../..").canonicalize().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(repository())
            .args(["build", "--release", "--locked", "-q", "-p", "smlp-cuda"])
            .arg("--target-dir")
            .arg(&target);
        finish(&mut cargo);
        let double = target.join("cuda");
        let mut make = Command::new("make");
        make.current_dir(repository().join("cuda"))
            .args(["-s", "double"])
            .arg(format!("BUILD={}", double.display()));
        finish(&mut make);
        (target.join("release/libsmlp_cuda.so"), double)
    })
}

/// An ignored test of this program, to be run as a process of its own, with the plugin and the
/// double in reach.
fn process(test: &str) -> Command {
    let (plugin, double) = built();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("SMLP_PLUGIN", plugin)
        .env("LD_LIBRARY_PATH", double)
        .env_remove("SMLP_BACKEND");
    command
}

/// What a process printed after `key`.
#[track_caller]
fn line(output: &str, key: &str) -> String {
    let line = output.lines().find_map(|l| l.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no line {key} in {output}"))
        .trim()
        .to_string()
}

/// What comes out without any plugin.
fn expected() -> &'static str {
    static EXPECTED: OnceLock<String> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let output = finish(process("computes").env("SMLP_BACKEND", "gmp"));
        assert_eq!(line(&output, "BACKEND"), "gmp");
        line(&output, "VALUES")
    })
}

#[test]
#[ignore = "run by other tests as a process"]
fn computes() {
    println!("\nBACKEND {}", backend().unwrap().name());
    let mut seed = 1u64;
    let mut next = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        seed ^ seed >> 31
    };
    let mut root: Vec<u64> = (0..16).map(|_| next()).collect();
    (root[0], root[15]) = (root[0] | 1, root[15] | 1 << 63);
    let ring = backend().unwrap().square_ring(Modulus::new(&root).unwrap());
    let count = 9;
    let mut limbs: Vec<u64> = (0..32 * count).map(|_| next()).collect();
    for number in limbs.chunks_exact_mut(32) {
        number[31] >>= 2;
    }
    let bases = Residues::from_limbs(&ring, limbs).unwrap();
    let exponents = Limbs::from_words((0..count * 4).map(|_| next() >> 20).collect(), 1);
    let e = Exponents::new(&exponents, 44);
    let indices: Vec<_> = (0..count * 4).map(|i| i * 5 % count).collect();
    let powers = power(&bases, &e);
    let sums = powers.products(&indices, 4);
    let mut out = vec![
        multi_power(&bases, &indices, &e, 4),
        Comb::new(&bases.gather(&[2]), 44).power(&exponents, 44),
        pack(
            &powers,
            Some(&e),
            50,
            3,
            &[Some(1), None, Some(2), Some(0), Some(8), None],
        ),
        choose(
            &powers,
            &bases,
            &[true, false, true, false, true, false, true, false, true],
        ),
        sums.invert().unwrap().square(3),
        sums,
    ];
    out.push(Residues::concatenate(&[&powers, &out[0]]));
    let hex: Vec<_> = out
        .iter()
        .flat_map(|r| r.limbs().iter().map(|l| format!("{l:x}")))
        .collect();
    println!("VALUES {}", hex.join(","));
    println!("REPORT {}", plugin_report());
}

#[test]
#[ignore = "run by other tests as a process"]
fn encrypts_and_decrypts() {
    println!("\nBACKEND {}", backend().unwrap().name());
    let key = PrivateKey::generate(1024, Security::AllowInsecure).unwrap();
    let values: Vec<f64> = (0..40).map(|i| f64::from(i) / 4.0 - 5.0).collect();
    let clear = IntegerTensor::from_f64(&[40], &values, 12, Some(30)).unwrap();
    let x = EncryptedTensor::encrypt(&clear, &key, &Random::os()).unwrap();
    let y = EncryptedTensor::encrypt(&clear, key.public(), &Random::os()).unwrap();
    let sum = x.add(&y).unwrap().decrypt(&key).unwrap().to_f64();
    let twice: Vec<_> = values.iter().map(|v| 2.0 * v).collect();
    assert_eq!(sum, twice);
    println!("REPORT {}", plugin_report());
}

#[test]
#[ignore = "run by other tests as a process"]
fn asks_for_a_backend() {
    match backend() {
        Ok(backend) => println!("\nBACKEND {}", backend.name()),
        Err(error) => println!("\nERROR {error}"),
    }
    println!("REPORT {}", plugin_report());
}

/// What was on the device when the process forked is computed with in the child, and freed there, without the plugin.
#[test]
#[ignore = "run by other tests as a process"]
fn forks() {
    let ring = |backend: &dyn smlp::modular::Backend| {
        let root: Vec<u64> = (0..16).map(|i| (2 * i + 1) | (1 << 63)).collect();
        backend.square_ring(Modulus::new(&root).unwrap())
    };
    let ring = ring(backend().unwrap());
    let bases = Residues::from_limbs(&ring, (1..=32 * 9).collect()).unwrap();
    let exponents = Limbs::from_words((1..=9).map(|i| i * 987_654_321).collect(), 1);
    let powers = |bases: &Residues| power(bases, &Exponents::new(&exponents, 44));
    let (before, mut held) = (powers(&bases), Some(powers(&bases)));
    // SAFETY: the child computes, which takes threads and memory, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let computed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert_eq!(powers(&bases).limbs(), before.limbs());
            let square = before.multiply(&powers(&bases));
            assert_eq!(square.limbs(), before.square(1).limbs());
            drop(held.take());
            let report = plugin_report();
            assert!(
                report.contains("forked") && report.contains("spawn"),
                "{report}"
            );
            match std::env::var_os("SMLP_BACKEND") {
                None => assert!(PrivateKey::generate(64, Security::AllowInsecure).is_ok()),
                Some(_) => assert!(backend().is_err_and(|e| e.to_string().contains("forked"))),
            }
        }));
        // SAFETY: takes a number.
        unsafe { libc::_exit(i32::from(computed.is_err())) };
    }
    let mut status = -1;
    // SAFETY: the place is valid.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(powers(&bases).limbs(), before.limbs());
    println!("\nCHILD {status}\nREPORT {}", plugin_report());
}

#[test]
fn a_child_does_without_the_device() {
    for insists in [false, true] {
        let mut command = process("forks");
        if insists {
            command.env("SMLP_BACKEND", "cuda");
        }
        let output = finish(&mut command);
        assert_eq!(line(&output, "CHILD"), "0", "{output}");
        assert_eq!(
            line(&output, "REPORT"),
            "cuda: emulated device, 1 multiprocessors"
        );
    }
}

#[test]
fn the_plugin_computes_what_gmp_computes_and_leaves_nothing_behind() {
    let scratch = Scratch::new("plugin");
    let report = scratch.file("report");
    let output = finish(process("computes").env("SMLP_DOUBLE_REPORT", &report));
    assert_eq!(line(&output, "BACKEND"), "cuda");
    assert_eq!(line(&output, "VALUES"), expected());
    assert_eq!(
        line(&output, "REPORT"),
        "cuda: emulated device, 1 multiprocessors"
    );
    let report = std::fs::read_to_string(report).unwrap();
    let numbers: Vec<usize> = report
        .split_whitespace()
        .filter_map(|w| w.parse().ok())
        .collect();
    assert!(numbers[0] > 20, "launches: {report}");
    // Two buffers of the device itself live as long as the process.
    assert_eq!(numbers[1..], [0, 2], "{report}");
}

#[test]
fn every_unsound_call_of_the_table_is_refused() {
    line(&finish(&mut process("unsound::abuses_the_table")), "DONE");
}

#[test]
fn ciphertexts_of_the_plugin_decrypt() {
    let output = finish(&mut process("encrypts_and_decrypts"));
    assert_eq!(line(&output, "BACKEND"), "cuda");
    assert!(!line(&output, "REPORT").contains("CPU"), "{output}");
}

#[test]
fn a_device_that_fails_half_way_costs_nothing_but_time() {
    for launches in [0, 1, 2, 5, 9, 14, 20, 26] {
        let output =
            finish(process("computes").env("SMLP_DOUBLE_FAIL_AFTER", launches.to_string()));
        assert_eq!(line(&output, "BACKEND"), "cuda");
        assert_eq!(line(&output, "VALUES"), expected(), "after {launches}");
        let report = line(&output, "REPORT");
        assert!(
            report.contains("gone over to the CPU: CUDA error 700"),
            "after {launches}: {report}"
        );
    }
}

#[test]
fn too_little_memory_costs_nothing_but_time() {
    // The buffers for transfers take 8 MB.
    for bytes in [8 << 20, (8 << 20) + 20_000, (8 << 20) + 60_000] {
        let output = finish(process("computes").env("SMLP_DOUBLE_MEMORY", bytes.to_string()));
        assert_eq!(line(&output, "VALUES"), expected(), "{bytes} bytes");
        let report = line(&output, "REPORT");
        let told = report.contains("for want of memory");
        assert!(told, "{bytes} bytes: {report}");
    }
}

/// Without a usable device the CPU serves, and the reason is told when asked; a caller who insists
/// on the device is refused with it.
#[track_caller]
fn refused(reason: &str, prepare: impl Fn(&mut Command)) {
    let mut command = process("asks_for_a_backend");
    prepare(&mut command);
    let output = finish(&mut command);
    assert_ne!(line(&output, "BACKEND"), "cuda");
    let report = line(&output, "REPORT");
    assert!(
        report.starts_with("cuda: not used: ") && report.contains(reason),
        "{report}"
    );
    let output = finish(command.env("SMLP_BACKEND", "cuda"));
    let error = line(&output, "ERROR");
    assert!(
        error.contains("SMLP_BACKEND is 'cuda'") && error.contains(reason),
        "{error}"
    );
}

#[test]
fn without_a_driver_or_device_the_reason_is_told() {
    let scratch = Scratch::new("driver");
    // A driver that is none, in case this machine has a real one.
    std::fs::write(scratch.file("libcuda.so.1"), "").unwrap();
    let folder = PathBuf::from(scratch.file("libcuda.so.1"));
    let folder = folder.parent().unwrap();
    refused("no CUDA driver: ", |c| {
        c.env("LD_LIBRARY_PATH", folder);
    });
    refused("CUDA error 100", |c| {
        c.env("SMLP_DOUBLE_DEVICES", "0");
    });
    refused(
        "the driver refuses the kernels for 512 bits: CUDA error 222",
        |c| {
            c.env("SMLP_DOUBLE_REFUSE_PTX", "1");
        },
    );
    refused("CUDA error 2", |c| {
        c.env("SMLP_DOUBLE_MEMORY", "1000");
    });
    refused("/nowhere/plugin.so: ", |c| {
        c.env("SMLP_PLUGIN", "/nowhere/plugin.so");
    });
    refused("SMLP_PLUGIN is empty", |c| {
        c.env("SMLP_PLUGIN", "");
    });
}

#[test]
fn another_backend_that_is_asked_for_needs_no_plugin() {
    let output = finish(process("asks_for_a_backend").env("SMLP_BACKEND", "gmp"));
    assert_eq!(line(&output, "BACKEND"), "gmp");
    assert!(line(&output, "REPORT").contains("SMLP_BACKEND is 'gmp'"));
}
