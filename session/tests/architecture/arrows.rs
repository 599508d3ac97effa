//! Which crate may be built with which, directly. Tests of a crate may use any.

use crate::workspace::members;
use protocol::room::Kind;

/// Crates of ours with those that they may know; a kind's are below.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("game", &[]),
    ("protocol", &[]),
    ("webserver", &[]),
    ("catalogue", &["protocol"]),
    ("session", &["protocol"]),
    ("arena", &["game", "protocol", "session"]),
    // The kinds of room in one file only: see `walls.rs`.
    ("net", &["KINDS", "catalogue", "protocol", "session", "webserver"]),
    ("lobby", &["catalogue", "protocol", "webserver"]),
    ("fly-local", &[]),
    ("bots", &["KINDS", "game", "protocol", "session"]),
    ("rehearsal", &["KINDS", "fly-local", "game", "protocol", "session"]),
    ("bench", &["KINDS", "catalogue", "game", "net", "protocol", "rehearsal", "session"]),
    ("session-json", &["protocol", "session"]),
    ("bindgen", &[]),
];

/// What a kind's crate may know, unless the table says otherwise, and its bindings for the browser beside the kind itself.
const OF_A_KIND: &[&str] = &["protocol", "session"];
const OF_ITS_BINDINGS: &[&str] = &["protocol", "session-json"];

/// Whether a crate of ours may know another.
fn may_know(name: &str, other: &str) -> bool {
    let is_kind = |name: &str| Kind::from_word(name).is_some();
    if let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) {
        return allowed.contains(&other) || allowed.contains(&"KINDS") && is_kind(other);
    }
    match name.strip_prefix("wasm-") {
        Some(kind) if is_kind(kind) => other == kind || OF_ITS_BINDINGS.contains(&other),
        None if is_kind(name) => OF_A_KIND.contains(&other),
        _ => panic!("say in {} what {name} may depend on", file!()),
    }
}

#[test]
fn crates_know_only_those_below_them() {
    for member in members() {
        for name in &member.dependencies {
            assert!(may_know(&member.name, name), "{} must not depend on {name}", member.name);
        }
    }
}
