//! The pure crates stay pure: the same calls give the same results on every machine, and in a browser.
//!
//! Invariants: no runtime, socket, clock, thread, file or lock enters a pure crate by a dependency or by a line, and no
//! map whose order differs from run to run. A length of time (`Duration`) is no clock. That holds for their unit tests too.

use crate::{
    source::{Code, Source},
    workspace::{cargo, files, root, shown},
};
use protocol::room::Kind;
use std::fs;

/// Besides the kinds of room.
const PURE: [&str; 3] = ["game", "protocol", "session"];
const FORBIDDEN_CRATES: [&str; 15] = [
    "tokio",
    "axum",
    "hyper",
    "mio",
    "crossbeam-channel",
    "parking_lot",
    "once_cell",
    "tungstenite",
    "reqwest",
    "socket2",
    "getrandom",
    "rand",
    "chrono",
    "rayon",
    "governor",
];
/// Modules of the standard library.
const FORBIDDEN_MODULES: [&str; 7] = ["time", "fs", "net", "thread", "process", "env", "io"];
/// Types and macros: clocks, maps without an order, locks and other state that is shared without being passed on.
const FORBIDDEN_NAMES: [&str; 13] = [
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "Mutex",
    "RwLock",
    "Condvar",
    "Barrier",
    "Once",
    "OnceLock",
    "LazyLock",
    "LazyCell",
    "thread_local",
];

fn pure() -> impl Iterator<Item = &'static str> {
    PURE.into_iter().chain(Kind::ALL.map(Kind::word))
}

#[test]
fn pure_crates_depend_on_no_runtime() {
    for krate in pure() {
        let tree =
            ["tree", "--offline", "--package", krate, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
        let tree = cargo(&tree);
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&krate));
        let found: Vec<_> = names.iter().filter(|name| FORBIDDEN_CRATES.contains(name)).collect();
        assert!(found.is_empty(), "{krate} must not depend on {found:?}");
    }
}

#[test]
fn pure_sources_name_no_clock_file_thread_or_lock() {
    for path in pure().flat_map(|krate| files(&root().join(krate).join("src"))) {
        let text = fs::read_to_string(&path).expect("sources are text");
        let source = Source::parse(&text, &[], Code::All).expect("it compiles");
        for name in source.all_paths() {
            assert!(!is_forbidden(name), "{} names {}", shown(&path), name.join("::"));
        }
    }
}

fn is_forbidden(path: &[String]) -> bool {
    let is_module = path.first().is_some_and(|first| first == "std")
        && path.get(1).is_some_and(|module| FORBIDDEN_MODULES.contains(&module.as_str()))
        && path.last().is_some_and(|last| last != "Duration");
    let is_name = |segment: &String| FORBIDDEN_NAMES.contains(&segment.as_str()) || segment.starts_with("Atomic");
    is_module || path.iter().any(is_name)
}

#[test]
fn a_planted_impurity_is_found_however_it_is_written() {
    for text in [
        "use std::{fmt, time};",
        "use std::sync::{Arc, Mutex};",
        "static COUNT: core::sync::atomic::AtomicU32 = zero();",
        "fn f() { println!(\"{}\", std::env::consts::OS); }",
        "thread_local! { static A: u32 = 0; }",
        "#[cfg(test)] mod tests { use std::collections::HashMap; }",
    ] {
        let source = Source::parse(text, &[], Code::All).unwrap();
        assert!(source.all_paths().any(|path| is_forbidden(path)), "{text}");
    }
    let pure = "//! Reads no Instant.\nuse std::{collections::BTreeMap, sync::Arc, time::Duration}; /// No `Mutex`.\nfn time() {}";
    let source = Source::parse(pure, &[], Code::All).unwrap();
    assert!(!source.all_paths().any(|path| is_forbidden(path)));
}
