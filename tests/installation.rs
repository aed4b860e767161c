//! `make install` gives what CMake and pkg-config find, also after the installation was moved: the
//! example is built and run by both. What torch compiles is there too, and all of it goes again.
#![cfg(target_os = "linux")]

mod native;

use std::path::{Path, PathBuf};
use std::process::Command;

use native::{Scratch, finish, libraries, repository, run};

const ARGUMENTS: [&str; 4] = ["--bits", "512", "--steps", "2"];

fn make(target: &str, prefix: &str, libdir: &str) {
    let mut make = Command::new("make");
    make.current_dir(repository())
        .args(["-f", "bindings/cpp/install.mk", target])
        .arg(format!("PREFIX={prefix}"))
        .arg(format!("LIBDIR={libdir}"))
        .arg(format!("LIBRARIES={}", libraries().display()));
    finish(&mut make);
}

/// Installs into the scratch folder, then moves everything.
fn installed(scratch: &Scratch, libdir: &str) -> String {
    let first = scratch.file("first");
    make("install-native", &first, libdir);
    let moved = scratch.file("moved here");
    std::fs::rename(first, &moved).unwrap();
    moved
}

fn expect_accuracy(output: &str) {
    assert!(
        output.contains("accuracy") && output.contains("2 steps"),
        "{output}"
    );
}

#[test]
fn cmake_finds_both_libraries() {
    let scratch = Scratch::new("cmake");
    let prefix = installed(&scratch, "lib/x86_64-linux-gnu");
    let (source, build) = (
        repository().join("bindings/cpp/examples"),
        scratch.file("build"),
    );
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(source).args(["-B", &build]).args([
        format!("-Dsmlp_DIR={prefix}/lib/x86_64-linux-gnu/cmake/smlp"),
        "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -pedantic".to_owned(),
    ]);
    finish(&mut configure);
    run("cmake", ["--build", &build]);
    for program in ["xor", "xor_static"] {
        expect_accuracy(&run(format!("{build}/{program}"), ARGUMENTS));
    }
}

#[test]
fn cmake_finds_it_below_a_prefix_and_only_compatible_versions() {
    let scratch = Scratch::new("cmake-prefix");
    let prefix = installed(&scratch, "lib");
    for (version, compatible) in [("0.1", true), ("0.2", false), ("1.0", false)] {
        let source = scratch.file(version);
        std::fs::create_dir_all(&source).unwrap();
        let project = format!(
            "cmake_minimum_required(VERSION 3.16)\nproject(probe LANGUAGES C)\n\
             find_package(smlp {version} REQUIRED)\n"
        );
        std::fs::write(format!("{source}/CMakeLists.txt"), project).unwrap();
        let mut cmake = Command::new("cmake");
        cmake
            .args(["-S", &source, "-B", &format!("{source}/build")])
            .arg(format!("-DCMAKE_PREFIX_PATH={prefix}"));
        let output = cmake.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.success(),
            compatible,
            "version {version}: {text}"
        );
    }
}

#[test]
fn pkg_config_finds_it() {
    let scratch = Scratch::new("pkg-config");
    let prefix = installed(&scratch, "lib");
    let flags = |arguments: &[&str]| {
        let mut command = Command::new("pkg-config");
        command
            .env("PKG_CONFIG_PATH", format!("{prefix}/lib/pkgconfig"))
            .args(arguments)
            .arg("smlp");
        finish(&mut command)
    };
    assert_eq!(flags(&["--modversion"]).trim(), env!("CARGO_PKG_VERSION"));
    let source = repository().join("bindings/cpp/examples/xor.cpp");
    let build = |name: &str, flags: &str| {
        let executable = scratch.file(name);
        // By a shell, which the flags are quoted for.
        let line = format!(
            "g++ -std=c++17 '{}' -o '{executable}' {} '-Wl,-rpath,{prefix}/lib'",
            source.display(),
            flags.trim()
        );
        run("sh", ["-c", &line]);
        expect_accuracy(&run(&executable, ARGUMENTS));
    };
    build("shared", &flags(&["--cflags", "--libs"]));
    let all = flags(&["--cflags", "--static", "--libs"]);
    build("static", &all.replace("-lsmlp", "-l:libsmlp.a"));
    let loaded = run("readelf", ["-d", &scratch.file("shared")]);
    assert!(loaded.contains("[libsmlp.so.0]"), "{loaded}");
    let loaded = run("readelf", ["-d", &scratch.file("static")]);
    assert!(!loaded.contains("libsmlp"), "{loaded}");
}

/// The torch extension can be built from the installation alone: test-pytorch does, where torch is.
#[test]
fn the_torch_extension_has_all_its_sources() {
    let scratch = Scratch::new("extension");
    let prefix = PathBuf::from(installed(&scratch, "lib"));
    let folder = prefix.join("share/smlp/lltm");
    for needed in ["setup.py", "lltm.cpp"] {
        assert!(folder.join(needed).is_file(), "{needed}");
    }
    let mut includes = 0;
    for source in files(&folder) {
        for line in std::fs::read_to_string(&source).unwrap().lines() {
            let Some(rest) = line.strip_prefix("#include \"") else {
                continue;
            };
            let name = rest.split('"').next().unwrap();
            let found = [folder.join(name), prefix.join("include").join(name)]
                .iter()
                .any(|path| path.is_file());
            assert!(found, "{} includes {name}", source.display());
            includes += 1;
        }
    }
    assert!(includes > 4, "{includes} includes");
}

#[test]
fn uninstalling_leaves_no_file() {
    let scratch = Scratch::new("uninstall");
    let prefix = scratch.file("prefix");
    make("install-native", &prefix, "lib");
    assert!(files(Path::new(&prefix)).len() > 20);
    make("uninstall-native", &prefix, "lib");
    assert_eq!(files(Path::new(&prefix)), Vec::<PathBuf>::new());
}

/// Everything below a folder that is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}
