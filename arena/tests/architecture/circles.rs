//! No circle between the files of a crate.
//!
//! The rule, for whoever meets it: look at the modules side by side in one folder, each together with everything below
//! it. If one of them needs another, directly or through others, that one must not need it back.
//!
//! * A module file and the files in its folder are one thing seen from outside: `room.rs` and `room/frames.rs` may name
//!   each other, since a child is a part of its parent that got a file of its own. The children among themselves obey
//!   the rule again.
//! * The root (`lib.rs`, `main.rs`) is a module like any other: if it needs a module, that one must not need what the
//!   root itself defines. What the root only hands on (`pub use`) counts as where it is defined.
//! * Code for tests does not count.

use crate::{
    modules::{Edge, Modules},
    source::Path,
    workspace::{members, shown},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// What stands for the root among the modules beside each other.
const ROOT: &str = "(root)";

/// Crates whose circles are still to be dissolved.
const NOT_YET: [&str; 3] = ["game", "net", "lobby"];

/// Edges between modules that lie side by side.
type Graph = BTreeMap<(String, String), Vec<String>>;

/// Every circle of a crate, told in lines.
fn circles(modules: &Modules) -> Vec<String> {
    let mut levels: BTreeMap<Path, Graph> = BTreeMap::new();
    for edge in modules.edges(|module| !module.is_empty()) {
        let Some((level, from, to)) = beside(&edge) else { continue };
        levels.entry(level).or_default().entry((from, to)).or_default().push(edge.what);
    }
    levels.values().flat_map(circles_of).collect()
}

/// The level at which an edge runs between two modules side by side. None between a module and one below it.
fn beside(edge: &Edge) -> Option<(Path, String, String)> {
    let depth = edge.from.iter().zip(&edge.to).take_while(|(from, to)| from == to).count();
    let at = |path: &Path| match path.get(depth) {
        Some(name) => Some(name.clone()),
        None => (depth == 0).then(|| ROOT.to_owned()),
    };
    Some((edge.from[..depth].to_vec(), at(&edge.from)?, at(&edge.to)?))
}

/// Groups of modules of which each reaches each.
fn circles_of(graph: &Graph) -> Vec<String> {
    let nodes: BTreeSet<&String> = graph.keys().flat_map(|(from, to)| [from, to]).collect();
    let reached: BTreeMap<_, _> = nodes.iter().map(|node| (*node, reach(graph, node))).collect();
    let mut groups: BTreeSet<Vec<&String>> = BTreeSet::new();
    for node in &nodes {
        let group: Vec<_> = nodes
            .iter()
            .copied()
            .filter(|other| reached[node].contains(other) && reached[other].contains(node))
            .collect();
        if !group.is_empty() {
            groups.insert(group);
        }
    }
    groups.iter().map(|group| describe(graph, group)).collect()
}

/// Whatever `start` needs, directly or through others.
fn reach<'a>(graph: &'a Graph, start: &'a String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        let next = graph.keys().filter(|(from, _)| from == node).map(|(_, to)| to);
        open.extend(next.filter(|to| reached.insert(*to)));
    }
    reached
}

fn describe(graph: &Graph, group: &[&String]) -> String {
    let inside = graph.iter().filter(|((from, to), _)| group.contains(&from) && group.contains(&to));
    let lines = inside.map(|((from, to), whats)| {
        let more = if whats.len() > 1 { format!(" and {} more", whats.len() - 1) } else { String::new() };
        format!("\n    {from} -> {to}: {}{more}", whats[0])
    });
    let names: Vec<&str> = group.iter().map(|name| name.as_str()).collect();
    format!("{}{}", names.join(", "), lines.collect::<String>())
}

#[test]
fn no_files_of_a_crate_form_a_circle() {
    let mut found = Vec::new();
    for member in members().into_iter().filter(|member| !NOT_YET.contains(&member.name.as_str())) {
        for root in &member.roots {
            let folder = root.parent().expect("a file lies in a folder");
            let file = root.file_name().expect("a root is a file").to_string_lossy();
            let modules = Modules::load(&file, &|path| fs::read_to_string(folder.join(path)).ok());
            found.extend(circles(&modules).into_iter().map(|circle| format!("\n  {}: {circle}", shown(root))));
        }
    }
    assert!(found.is_empty(), "files that need each other (the rule is in {}):{}", file!(), found.concat());
}

/// The circles of a crate of small files.
fn circles_in(files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
    circles(&Modules::load("lib.rs", &read))
}

/// The names in the first circle of two modules `a` and `b`.
fn circle_of(a: &str, b: &str) -> Option<String> {
    let found = circles_in(&[("lib.rs", "mod a; mod b; pub use a::A;"), ("a.rs", a), ("b.rs", b)]);
    found.first().map(|circle| circle.lines().next().expect("it has a first line").to_owned())
}

#[test]
fn a_planted_circle_is_found_however_it_is_written() {
    let names_b = [
        "use crate::b::B;",
        "use crate::{b::{self, B}};",
        "use super::{\n    b::B,\n};",
        "pub use crate::b::*;",
        "fn f() { crate::b::f(); }",
        "fn f() -> super::b::B { todo!() }",
        "fn f() { assert!(matches!(1, _ if crate::b::f())); }",
        "fn f() { use crate::b; b::f() }",
    ];
    for text in names_b {
        assert_eq!(circle_of(text, "use crate::a::f;").as_deref(), Some("a, b"), "{text}");
        assert_eq!(circle_of(text, "use std::fmt;"), None, "{text}");
    }
    // As `pub(crate)` is no need of the root's.
    assert_eq!(circle_of("pub(crate) fn f() {}", "use crate::a::f;"), None);
    // An exported macro is the root's by its path only.
    let macro_of_a = "#[macro_export] macro_rules! m { () => {} } use crate::b::B;";
    assert_eq!(circle_of(macro_of_a, "use crate::m;").as_deref(), Some("a, b"));
    // What the root hands on is `a`'s all the same.
    assert_eq!(circle_of(names_b[0], "fn f() -> crate::A { todo!() }").as_deref(), Some("a, b"));
}

#[test]
fn a_circle_is_told_with_its_files_and_names() {
    let found = circles_in(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A; use crate::d::D;"),
        ("d.rs", ""),
    ]);
    let expected = "a, b, c\n    a -> b: a.rs names crate::b::B\n    b -> c: b.rs names crate::c::C\n    \
                    c -> a: c.rs names crate::a::A";
    assert_eq!(found, [expected]);
}

#[test]
fn a_module_and_its_folder_are_one_and_children_obey_among_themselves() {
    let lib = ("lib.rs", "mod a; mod b;");
    let parent = ("a.rs", "mod one; mod two; use one::One; pub struct A;");
    let child = ("a/one.rs", "use super::A; use crate::a::A as B;");
    assert!(circles_in(&[lib, parent, child, ("a/two.rs", "use super::one::One;"), ("b.rs", "")]).is_empty());
    let circle = "use super::two::Two; use super::A;";
    let found = circles_in(&[lib, parent, ("a/one.rs", circle), ("a/two.rs", "use super::one::One;"), ("b.rs", "")]);
    assert!(found[0].starts_with("one, two\n") && found.len() == 1, "{found:?}");
    // Different files of a folder, but the folder and its neighbour need each other.
    let found =
        circles_in(&[lib, parent, child, ("a/two.rs", "use crate::b::B;"), ("b.rs", "use crate::a::one::One;")]);
    assert!(found[0].starts_with("a, b\n") && found.len() == 1, "{found:?}");
}

#[test]
fn the_root_is_a_module_too() {
    let found = circles_in(&[("lib.rs", "mod a; use a::f; pub struct Hub;"), ("a.rs", "use crate::Hub;")]);
    assert!(found[0].starts_with("(root), a\n"), "{found:?}");
    assert!(circles_in(&[("lib.rs", "mod a; pub use a::f; pub struct Hub;"), ("a.rs", "use crate::Hub;")]).is_empty());
}

#[test]
fn code_for_tests_forms_no_circle() {
    let tests = "#[cfg(test)] use crate::b::B; #[cfg(test)] mod tests { use crate::b::B; }";
    assert_eq!(circle_of(tests, "use crate::a::A;"), None);
    assert_eq!(circle_of("/// See [`crate::b`].\nfn f() {}", "use crate::a::A;"), None);
}
