//! include/smlp.h is what src/ffi/ says, compiles as C and as C++, and names exactly the symbols
//! that the shared library exports. After a change of the ABI: `SMLP_BLESS=1 cargo test --test header`.

mod native;

use std::collections::BTreeSet;
use std::path::Path;

use native::{Scratch, declared_functions, repository, run, shared_library};

/// The files of src/ffi/ in the order in which the header presents them.
const SOURCES: [&str; 23] = [
    "status",
    "bytes",
    "private_key",
    "public_key",
    "tensor",
    "tensor_conversion",
    "tensor_views",
    "tensor_arithmetic",
    "p1",
    "call",
    "p2",
    "transport",
    "network",
    "record",
    "session",
    "mlp_options",
    "estimate",
    "mlp",
    "mlp_training",
    "fit_options",
    "store",
    "store_key",
    "store_operations",
];

fn generated() -> String {
    let config = cbindgen::Config::from_file(repository().join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(repository().join(format!("src/ffi/{source}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn committed() -> String {
    std::fs::read_to_string(repository().join("include/smlp.h")).unwrap()
}

#[test]
fn every_source_is_presented() {
    let helpers = ["mod", "arguments", "failure"];
    let files: BTreeSet<String> = std::fs::read_dir(repository().join("src/ffi"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !helpers.contains(&name.as_str()))
        .collect();
    assert_eq!(files, SOURCES.map(str::to_owned).into());
}

#[test]
fn the_committed_header_is_up_to_date() {
    let header = generated();
    if std::env::var_os("SMLP_BLESS").is_some() {
        std::fs::write(repository().join("include/smlp.h"), &header).unwrap();
    }
    assert!(
        header == committed(),
        "include/smlp.h is out of date; run SMLP_BLESS=1 cargo test --test header"
    );
}

#[test]
fn it_compiles_as_c_and_as_cxx_even_twice() {
    let scratch = Scratch::new("header");
    let flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];
    let include = format!("-I{}", repository().join("include").display());
    for (compiler, standard, file) in [
        ("gcc", "-std=c11", "twice.c"),
        ("g++", "-std=c++17", "twice.cpp"),
        ("g++", "-std=c++20", "twice.cpp"),
    ] {
        let file = scratch.write(file, "#include \"smlp.h\"\n#include \"smlp.h\"\n");
        for network in ["-USMLP_NET", "-DSMLP_NET"] {
            let rest = [standard, network, &include, &file];
            run(compiler, flags.iter().copied().chain(rest));
        }
    }
}

/// Each header of the binding includes what it needs, and smlp.hpp includes every one.
#[test]
fn every_header_of_the_binding_compiles_alone_and_twice() {
    let scratch = Scratch::new("binding");
    let folder = repository().join("bindings/cpp");
    let headers: BTreeSet<String> = std::fs::read_dir(folder.join("smlp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".hpp"))
        .map(|name| format!("smlp/{name}"))
        .collect();
    let umbrella = std::fs::read_to_string(folder.join("smlp.hpp")).unwrap();
    let included = umbrella
        .lines()
        .filter_map(|line| line.strip_prefix("#include \"smlp/"))
        .map(|rest| format!("smlp/{}", rest.split('"').next().unwrap()))
        .collect();
    assert_eq!(headers, included, "smlp.hpp includes every header");

    let twice = |header: &str| {
        let source = format!("#include \"{header}\"\n#include \"{header}\"\n");
        scratch.write(&format!("{}.cpp", header.replace('/', "-")), &source)
    };
    let binding = format!("-I{}", folder.display());
    let include = format!("-I{}", repository().join("include").display());
    let compile = |standard: &str, network: &str, sources: &[String]| {
        let flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
        let rest = [standard, network, &include, &binding];
        let sources = sources.iter().map(String::as_str);
        run("g++", flags.into_iter().chain(rest).chain(sources));
    };
    let alone: Vec<String> = headers.iter().map(|header| twice(header)).collect();
    compile("-std=c++17", "-DSMLP_NET", &alone);
    let all = [twice("smlp.hpp")];
    for standard in ["-std=c++17", "-std=c++20"] {
        for network in ["-USMLP_NET", "-DSMLP_NET"] {
            compile(standard, network, &all);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_library_exports_what_the_header_declares() {
    let library = shared_library();
    let listing = run(
        "nm",
        ["-D", "--defined-only", "--format=posix", &path(&library)],
    );
    let exported: BTreeSet<String> = listing
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    let declared: BTreeSet<String> = declared_functions()
        .into_iter()
        .map(|function| function.name)
        .collect();
    let (missing, surplus): (Vec<_>, Vec<_>) = (
        declared.difference(&exported).collect(),
        exported.difference(&declared).collect(),
    );
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "declared, not exported: {missing:?}; exported, not declared: {surplus:?}"
    );
    assert!(declared.len() > 50 && declared.contains("smlp_tensor_matmul"));
    assert_eq!(declared.contains("smlp_transport_connect"), native::NETWORK);
}

#[cfg(target_os = "linux")]
#[test]
fn the_library_has_its_soname() {
    let listing = run("readelf", ["-d", &path(&shared_library())]);
    assert!(
        listing.contains("Library soname: [libsmlp.so.0]"),
        "{listing}"
    );
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The first C++ example of each README compiles.
#[test]
fn the_readmes_compile() {
    let scratch = Scratch::new("readme");
    for (name, file) in [("root", "README.md"), ("binding", "bindings/cpp/README.md")] {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        let example = text.split("```cpp\n").nth(1).unwrap();
        let example = example.split("```").next().unwrap();
        let (includes, body) = example.split_once("\n\n").unwrap();
        let program = format!("{includes}\nint main() {{\n{body}\n}}\n");
        let source = scratch.write(&format!("{name}.cpp"), &program);
        let include = |folder: &str| format!("-I{}", repository().join(folder).display());
        let (header, binding) = (include("include"), include("bindings/cpp"));
        let flags = [
            "-std=c++20",
            "-Wall",
            "-Werror",
            "-Wno-unused",
            "-fsyntax-only",
        ];
        run(
            "g++",
            flags.into_iter().chain([&*header, &binding, &source]),
        );
    }
}
