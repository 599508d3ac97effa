//! Which crate may be built with which, directly. Tests of a crate may use any.

use crate::workspace::members;

/// Every crate of ours with those that it may know.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("game", &[]),
    ("protocol", &[]),
    ("webserver", &[]),
    ("catalogue", &["protocol"]),
    ("session", &["protocol"]),
    ("arena", &["game", "protocol", "session"]),
    // The kinds of room in one file only: see `walls.rs`.
    ("net", &["arena", "catalogue", "protocol", "session", "webserver"]),
    ("lobby", &["catalogue", "protocol", "webserver"]),
    ("fly-local", &[]),
    ("bots", &["arena", "game", "protocol", "session"]),
    ("rehearsal", &["arena", "fly-local", "game", "protocol", "session"]),
    ("bench", &["arena", "catalogue", "game", "net", "protocol", "rehearsal", "session"]),
    ("wasm-arena", &["arena", "protocol", "session"]),
    ("bindgen", &[]),
];

#[test]
fn crates_know_only_those_below_them() {
    for member in members() {
        let known = ALLOWED.iter().find(|(name, _)| *name == member.name);
        let (_, allowed) = known.unwrap_or_else(|| panic!("say in {} what {} may depend on", file!(), member.name));
        for name in &member.dependencies {
            assert!(allowed.contains(&name.as_str()), "{} must not depend on {name}", member.name);
        }
    }
}
