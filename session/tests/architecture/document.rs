//! ARCHITECTURE.md speaks of what is there: what it names in backticks exists.
//!
//! * A file or folder (`net/src/server.rs`, `placement.rs`, `wasm/`) is one of the repository, told from its root, or by the
//!   end of its path as long as only one has that end; in a row of the table of parts, only one of that part.
//! * A type, what it has, or a variant (`Room`, `Kind::follow`, `arena::Client`, `Moved`) is defined in the sources; of a
//!   name alone only those with a capital and a small letter count.
//! * A name like `SLEEP_AFTER_S` stands somewhere in the sources.

use crate::workspace::{members, root};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};
use syn::{Fields, File, ImplItem, Item, TraitItem, Type};

/// Built, fetched or kept by tools.
const NOT_SOURCES: [&str; 6] = ["target", "node_modules", "dist", "pkg", ".git", "test-results"];
const EXTENSIONS: [&str; 10] = ["rs", "ts", "js", "html", "css", "toml", "json", "ron", "txt", "md"];
/// Words of HTTP that look like types.
const NOT_OURS: [&str; 1] = ["Origin"];

/// What the repository has.
struct Repository {
    /// Files and folders, from the root.
    paths: BTreeSet<String>,
    /// What each type has: fields, variants, functions.
    types: BTreeMap<String, BTreeSet<String>>,
    variants: BTreeSet<String>,
    crates: BTreeSet<String>,
    /// All Rust sources.
    text: String,
}

impl Repository {
    fn read() -> Self {
        let mut repository = Self {
            paths: BTreeSet::new(),
            types: BTreeMap::new(),
            variants: BTreeSet::new(),
            crates: members().into_iter().map(|member| member.name).collect(),
            text: String::new(),
        };
        for path in sources(PathBuf::new()) {
            let shown = path.to_str().expect("our files have ASCII names").to_owned();
            if shown.ends_with(".rs") {
                let text = fs::read_to_string(root().join(&path)).expect("sources are text");
                repository.note_types(&syn::parse_file(&text).expect("it compiles"));
                repository.text += &text;
            }
            repository.paths.extend(path.ancestors().filter_map(|path| path.to_str()).map(str::to_owned));
        }
        repository
    }

    fn note_types(&mut self, file: &File) {
        for item in &file.items {
            let (name, has) = members_of(item);
            if let Item::Enum(item) = item {
                self.variants.extend(item.variants.iter().map(|variant| variant.ident.to_string()));
            }
            if let Some(name) = name {
                self.types.entry(name).or_default().extend(has);
            }
        }
    }

    /// Why `word` cannot stand in this line of the document.
    fn objection(&self, line: &str, word: &str) -> Option<String> {
        let is_path = word.contains('/') || EXTENSIONS.iter().any(|end| word.ends_with(&format!(".{end}")));
        if word.contains(|c: char| c.is_whitespace() || "<>={}:…".contains(c)) && !word.contains("::")
            || word.starts_with('/')
        {
            return None;
        }
        if is_path {
            return self.object_to_path(part_of_row(line), word.trim_end_matches('/'));
        }
        let has = |test: fn(char) -> bool| word.contains(test);
        if word.contains("::") || has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase()) {
            return self.object_to_type(word);
        }
        let is_constant = word.contains('_') && !has(|c| c.is_ascii_lowercase());
        (is_constant && !self.text.contains(word)).then(|| "no source has this name".to_owned())
    }

    fn object_to_path(&self, part: &str, path: &str) -> Option<String> {
        let end = format!("/{path}");
        let fits = |known: &&str| known.ends_with(&end) && known.starts_with(part);
        let found: Vec<&str> = self.paths.iter().map(String::as_str).filter(fits).collect();
        match found.as_slice() {
            _ if self.paths.contains(path) => None,
            [] => Some("there is no such file or folder".into()),
            [_] => None,
            several => Some(format!("this may be any of {}", several.join(", "))),
        }
    }

    fn object_to_type(&self, name: &str) -> Option<String> {
        let mut parts: Vec<&str> = name.split("::").collect();
        if parts.iter().any(|part| !part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
            || NOT_OURS.contains(&name)
        {
            return None;
        }
        if parts.len() > 1 && parts[0].starts_with(|c: char| c.is_ascii_lowercase()) {
            let krate = parts.remove(0);
            if !self.crates.contains(krate) {
                return Some(format!("there is no crate {krate}"));
            }
        }
        let Some(has) = self.types.get(parts[0]) else {
            let is_variant = parts.len() == 1 && self.variants.contains(parts[0]);
            return (!is_variant).then(|| format!("there is no type {}", parts[0]));
        };
        let missing = parts.get(1).filter(|part| !has.contains(**part))?;
        Some(format!("{} has no {missing}", parts[0]))
    }
}

/// Everything below a folder of the repository that a person wrote.
pub(crate) fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(&folder)).expect("it is a folder").map(|entry| entry.expect("it can be read"))
    {
        let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
        if NOT_SOURCES.iter().any(|not| name == *not) {
            continue;
        }
        match entry.file_type().expect("it can be read").is_dir() {
            true => found.extend(sources(path)),
            false => found.push(path),
        }
    }
    found
}

/// An item's type, and what it says that the type has.
fn members_of(item: &Item) -> (Option<String>, Vec<String>) {
    let fields = |fields: &Fields| fields.iter().filter_map(|field| Some(field.ident.as_ref()?.to_string())).collect();
    match item {
        Item::Struct(item) => (Some(item.ident.to_string()), fields(&item.fields)),
        Item::Enum(item) => {
            (Some(item.ident.to_string()), item.variants.iter().map(|it| it.ident.to_string()).collect())
        }
        Item::Type(item) => (Some(item.ident.to_string()), Vec::new()),
        Item::Trait(item) => {
            let functions = item.items.iter().filter_map(|item| match item {
                TraitItem::Fn(function) => Some(function.sig.ident.to_string()),
                TraitItem::Const(constant) => Some(constant.ident.to_string()),
                _ => None,
            });
            (Some(item.ident.to_string()), functions.collect())
        }
        Item::Impl(item) => {
            let functions = item.items.iter().filter_map(|item| match item {
                ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
                ImplItem::Const(constant) => Some(constant.ident.to_string()),
                _ => None,
            });
            let name = match &*item.self_ty {
                Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
                _ => None,
            };
            (name, functions.collect())
        }
        _ => (None, Vec::new()),
    }
}

/// What stands in backticks, each with the number of its line and the line; blocks of code are not looked at.
fn words(text: &str) -> Vec<(usize, &str, &str)> {
    let mut is_code = false;
    let mut words = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            words.extend(line.split('`').skip(1).step_by(2).map(|word| (number, line, word)));
        }
    }
    words
}

/// The folder that a row of the table of parts is about; nothing for any other line.
fn part_of_row(line: &str) -> &str {
    let first = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |"));
    first.map(|(word, _)| word).filter(|word| word.ends_with('/')).unwrap_or_default()
}

#[test]
fn what_architecture_md_names_exists() {
    let repository = Repository::read();
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the document is there");
    let objections = words(&text).into_iter().filter_map(|(number, line, word)| {
        repository.objection(line, word).map(|why| format!("\n  ARCHITECTURE.md:{number}: `{word}`: {why}"))
    });
    let objections: Vec<String> = objections.collect();
    assert!(objections.is_empty(), "names of what is not there:{}", objections.concat());
}

#[test]
fn a_planted_name_is_found() {
    let repository = Repository::read();
    for word in ["net/src/nothing.rs", "nothing.rs", "lib.rs", "nothing/", "Roomm", "Room::nothing", "sync::Room"] {
        assert!(repository.objection("", word).is_some(), "{word}");
    }
    // Put together, since this file is a source too.
    assert!(repository.objection("", &["NOTHING", "MAX_MS"].join("_")).is_some());
    for word in ["Room", "Room::tick", "arena::Client", "Client::poll_send", "Moved", "lobby/", "arena/tables/rows.txt"]
    {
        assert_eq!(repository.objection("", word), None);
    }
    for word in ["Fly-Replay", "HEAD", "POST /api/join", "since", "moved=", "make fuzz"] {
        assert_eq!(repository.objection("", word), None, "that is no name of ours");
    }
    assert_eq!(repository.objection("| `net/` | reads `config.rs` | |", "config.rs"), None);
}

#[test]
fn words_stand_in_backticks_outside_of_code() {
    let found: Vec<_> =
        words("a `b`\n```\n`c`\n```\n`d` `e f`").into_iter().map(|(line, _, word)| (line, word)).collect();
    assert_eq!(found, [(1, "b"), (5, "d"), (5, "e f")]);
}
