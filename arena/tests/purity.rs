//! The pure crates stay pure: no runtime, socket, clock, thread or file can enter by a dependency or by a line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PURE: [&str; 3] = ["game", "protocol", "arena"];
const FORBIDDEN_CRATES: [&str; 12] = [
    "tokio",
    "axum",
    "hyper",
    "mio",
    "crossbeam-channel",
    "tungstenite",
    "reqwest",
    "socket2",
    "getrandom",
    "rand",
    "chrono",
    "rayon",
];
const FORBIDDEN_WORDS: [&str; 9] =
    ["std::time", "std::fs", "std::net", "std::thread", "std::process", "std::env", "Instant", "SystemTime", "HashMap"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Names of the crates that `krate` is built with.
fn dependencies(krate: &str) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", krate, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo ran this test, so it is there");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).expect("crate names are ASCII");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn pure_crates_depend_on_no_runtime() {
    for krate in PURE {
        let dependencies = dependencies(krate);
        assert!(dependencies.iter().any(|name| name == krate));
        let found: Vec<_> = dependencies.iter().filter(|name| FORBIDDEN_CRATES.contains(&name.as_str())).collect();
        assert!(found.is_empty(), "{krate} must not depend on {found:?}");
    }
}

#[test]
fn arrows_between_crates_point_one_way() {
    let ours = ["game", "protocol", "arena", "webserver", "net", "lobby", "fly-local", "bots", "wasm"];
    let allowed: [(&str, &[&str]); 9] = [
        ("game", &[]),
        ("protocol", &[]),
        ("arena", &["game", "protocol"]),
        ("webserver", &[]),
        ("net", &["game", "protocol", "arena", "webserver"]),
        ("lobby", &["protocol", "webserver"]),
        ("fly-local", &[]),
        ("bots", &["game", "protocol", "arena"]),
        ("wasm", &["game", "protocol", "arena"]),
    ];
    for (krate, allowed) in allowed {
        for name in dependencies(krate).iter().filter(|name| ours.contains(&name.as_str()) && *name != krate) {
            assert!(allowed.contains(&name.as_str()), "{krate} must not depend on {name}");
        }
    }
    let net = fs::read_to_string(root().join("net/Cargo.toml")).expect("net has a manifest");
    assert!(!net.contains("game."), "net knows the game only through arena");
}

#[test]
fn pure_sources_name_no_clock_file_or_thread() {
    for krate in PURE {
        for path in sources(&root().join(krate).join("src")) {
            let text = fs::read_to_string(&path).expect("sources are text");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (number, line) in code.enumerate() {
                for word in FORBIDDEN_WORDS {
                    assert!(!line.contains(word), "{} names {word}: {line} (code line {number})", path.display());
                }
            }
        }
    }
}

/// Every file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("crates have sources").map(|entry| entry.expect("it can be read").path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}
