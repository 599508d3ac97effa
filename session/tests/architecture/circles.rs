//! No circle between the files of a crate.
//!
//! The rule, for whoever meets it: if a file needs another, directly or through others, that one must not need it back.
//!
//! * A file may name what the module above it defines (`room/frames.rs` the `Room` of `room.rs`): it is a part of that
//!   module that got a file of its own, so both count as one for all others. The parts among themselves obey the rule
//!   again. A file that does not is no part, though it lies in the same folder.
//! * The root (`lib.rs`, `main.rs`) is a file like any other: if it needs a file, that one must not need what the root
//!   itself defines. What a file only hands on (`pub use`) counts as where it is defined.
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

/// Crates whose circles are still to be dissolved.
const NOT_YET: [&str; 1] = ["game"];

/// Who needs whom, and what for.
type Graph = BTreeMap<(Path, Path), Vec<String>>;

/// Every circle of a crate, told in lines.
fn circles(modules: &Modules) -> Vec<String> {
    // What the root hands on it does not need.
    let edges = modules.edges(|module| !module.is_empty());
    let (upward, others): (Vec<_>, Vec<_>) = edges.into_iter().partition(is_to_the_own_module);
    let (mut seen_from_outside, mut among_parts) = (Graph::new(), Graph::new());
    for Edge { from, to, what } in others {
        let (whole_from, whole_to) = (whole(&from, &upward), whole(&to, &upward));
        if whole_from != whole_to {
            seen_from_outside.entry((whole_from, whole_to)).or_default().push(what.clone());
        }
        among_parts.entry((from, to)).or_default().push(what);
    }
    let mut found = circles_of(&seen_from_outside);
    found.extend(circles_of(&among_parts));
    found.dedup();
    found
}

/// Whether a file names what a module above it defines, the root aside.
fn is_to_the_own_module(edge: &Edge) -> bool {
    !edge.to.is_empty() && edge.from.starts_with(&edge.to)
}

/// The highest module of which this one is a part.
fn whole(module: &Path, upward: &[Edge]) -> Path {
    let is_part_of = |edge: &&Edge| edge.from.starts_with(module) && module.starts_with(&edge.to);
    let above = upward.iter().filter(is_part_of).map(|edge| &edge.to).filter(|to| *to != module);
    above.min_by_key(|to| to.len()).map_or_else(|| module.clone(), |above| whole(above, upward))
}

/// Groups of modules of which each reaches each.
fn circles_of(graph: &Graph) -> Vec<String> {
    let nodes: BTreeSet<&Path> = graph.keys().flat_map(|(from, to)| [from, to]).collect();
    let reached: BTreeMap<_, _> = nodes.iter().map(|node| (*node, reach(graph, node))).collect();
    let mut groups: BTreeSet<Vec<&Path>> = BTreeSet::new();
    for node in &nodes {
        let is_mutual = |other: &&Path| reached[node].contains(other) && reached[other].contains(node);
        groups.insert(nodes.iter().copied().filter(is_mutual).collect());
    }
    groups.iter().filter(|group| !group.is_empty()).map(|group| describe(graph, group)).collect()
}

/// Whatever `start` needs, directly or through others.
fn reach<'a>(graph: &'a Graph, start: &'a Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        let next = graph.keys().filter(|(from, _)| from == node).map(|(_, to)| to);
        open.extend(next.filter(|to| reached.insert(*to)));
    }
    reached
}

fn describe(graph: &Graph, group: &[&Path]) -> String {
    let name = |module: &Path| if module.is_empty() { "(root)".to_owned() } else { module.join("::") };
    let names: Vec<_> = group.iter().map(|module| name(module)).collect();
    let inside = graph.iter().filter(|((from, to), _)| group.contains(&from) && group.contains(&to));
    let lines = inside.map(|((from, to), whats)| {
        let more = if whats.len() > 1 { format!(" and {} more", whats.len() - 1) } else { String::new() };
        format!("\n    {} -> {}: {}{more}", name(from), name(to), whats[0])
    });
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
fn a_module_and_its_parts_are_one_and_parts_obey_among_themselves() {
    let lib = ("lib.rs", "mod a; mod b;");
    let parent = ("a.rs", "mod one; mod two; use one::One; use two::Two; pub struct A;");
    let one = ("a/one.rs", "use super::A; use crate::a::A as B;");
    let two = ("a/two.rs", "use super::one::One; use crate::b::B;");
    assert!(circles_in(&[lib, parent, one, two, ("b.rs", "")]).is_empty());
    // Through the module as a whole, though through different files of it.
    let found = circles_in(&[lib, parent, one, two, ("b.rs", "use crate::a::one::One;")]);
    assert!(found[0].starts_with("a, a::two, b\n") && found.len() == 1, "{found:?}");
    // Parts that need each other.
    let two = ("a/two.rs", "use super::one::One;");
    let found = circles_in(&[lib, parent, ("a/one.rs", "use super::{A, two::Two};"), two, ("b.rs", "")]);
    assert!(found[0].starts_with("a, a::two\n") && found[1].starts_with("a::one, a::two\n"), "{found:?}");
}

#[test]
fn files_in_a_folder_that_name_nothing_above_are_no_parts() {
    let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "pub mod one; pub mod two;"), ("a/one.rs", "use crate::b::B;")];
    let needs_b = [&files[..], &[("a/two.rs", ""), ("b.rs", "use crate::a::two::Two;")]].concat();
    assert!(circles_in(&needs_b).is_empty());
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
