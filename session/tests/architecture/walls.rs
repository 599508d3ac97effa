//! Walls inside crates: folders and files that may know less than their crate does.

use crate::{
    source::{Code, Path, Source},
    workspace::{files, root, shown},
};
use protocol::room::Kind;
use std::fs;

/// Shells that name kinds in one file, each with it.
const SHELLS: [(&str, &str); 2] = [("net", "net/src/kinds.rs"), ("bots", "bots/src/kinds.rs")];
/// The row machinery: whole modules that it may name, of our crates.
const ROWS: [&[&str]; 3] = [&["crate", "rows"], &["game", "schema"], &["protocol"]];
/// Our crates that are built into the arena.
const OURS: [&str; 4] = ["crate", "game", "protocol", "session"];

/// What the code of a crate below `folder` (of its `src`) names, each with its file.
fn names(krate: &str, folder: &str) -> Vec<(String, Path)> {
    let src = root().join(krate).join("src");
    let mut names = Vec::new();
    for path in files(&src.join(folder)).into_iter().filter(|path| path.extension().is_some_and(|it| it == "rs")) {
        let module: Path = path.with_extension("").strip_prefix(&src).expect("it is below").iter().map(text).collect();
        let source = fs::read_to_string(&path).expect("sources are text");
        let source = Source::parse(&source, &module, Code::WithoutTests).expect("it compiles");
        names.extend(source.all_paths().map(|name| (shown(&path), name.clone())));
    }
    names
}

fn text(part: &std::ffi::OsStr) -> String {
    part.to_string_lossy().into_owned()
}

/// Whether the row machinery may not name this.
fn is_beyond_rows(name: &[String]) -> bool {
    let is_ours = OURS.contains(&name[0].as_str());
    is_ours && !ROWS.iter().any(|allowed| name.iter().zip(*allowed).filter(|(a, b)| a == b).count() == allowed.len())
}

#[test]
fn the_row_machinery_knows_only_the_games_schema_and_the_wire() {
    let names = names("arena", "rows");
    assert!(!names.is_empty(), "the wall stands around nothing");
    for (file, name) in names {
        assert!(!is_beyond_rows(&name), "{file} names {}: rows may know game::schema and protocol", name.join("::"));
    }
}

#[test]
fn a_planted_hole_in_the_wall_is_found() {
    for (text, expected) in [
        ("use game::{schema::Row, PilotId};", true),
        ("use super::super::room::Room;", true),
        ("fn f() { crate::client::f(); }", true),
        ("use session::Host;", true),
        ("use game::schema::{Grid, Row}; use super::codec::Source; use protocol::Tick; use std::fmt;", false),
        ("use crate::rows::replica::Replica;", false),
    ] {
        let module = ["rows".to_owned(), "file".to_owned()];
        let source = Source::parse(text, &module, Code::WithoutTests).unwrap();
        assert_eq!(source.all_paths().any(|name| is_beyond_rows(name)), expected, "{text}");
    }
}

#[test]
fn a_shell_names_kinds_of_room_in_one_file() {
    for (krate, kinds) in SHELLS {
        for (file, name) in names(krate, "").into_iter().filter(|(file, _)| file != kinds) {
            assert!(Kind::from_word(&name[0]).is_none(), "{file} names {}, and only {kinds} may", name.join("::"));
        }
    }
}
