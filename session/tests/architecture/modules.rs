//! The modules of one crate, and which of them name which.
//!
//! Path: [`Modules::load`] follows `mod` items from the root file; [`Modules::edges`] resolves every path to the module
//! that defines what it names.
//! Invariants: code for tests does not count.

use crate::source::{Code, Import, Path, Source};
use std::collections::BTreeMap;

/// Imports followed until a definition. A longer chain is a circle of re-exports, which rustc refuses.
const CHAIN_MAX: usize = 8;

/// The modules by their paths; the root's is empty.
pub(crate) struct Modules(BTreeMap<Path, Module>);

struct Module {
    file: String,
    source: Source,
}

/// A module names another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: Path,
    pub(crate) to: Path,
    /// Where, and what, for people.
    pub(crate) what: String,
}

impl Modules {
    /// Reads the crate whose root is the file `root`, in the folder `src`; `read` gives files by their path from there.
    pub(crate) fn load(root: &str, read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut modules = Self(BTreeMap::new());
        modules.load_module(Path::new(), root.to_owned(), read);
        modules
    }

    fn load_module(&mut self, path: Path, file: String, read: &dyn Fn(&str) -> Option<String>) {
        let text = read(&file).unwrap_or_else(|| panic!("there is no file {file}"));
        let source = Source::parse(&text, &path, Code::WithoutTests);
        let source = source.unwrap_or_else(|error| panic!("{file} is not understood: {error}"));
        for child in &source.children {
            let path: Path = path.iter().chain([child]).cloned().collect();
            let name = path.join("/");
            let as_file =
                [format!("{name}.rs"), format!("{name}/mod.rs")].into_iter().find(|file| read(file).is_some());
            self.load_module(
                path,
                as_file.unwrap_or_else(|| panic!("{file} declares {child}, which is no file")),
                read,
            );
        }
        self.0.insert(path, Module { file, source });
    }

    /// Who names whom; what the root only hands on it does not name.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (from, module) in &self.0 {
            let counts = |import: &&Import| !import.is_reexport || !from.is_empty();
            let imports = module.source.imports.iter().filter(counts).map(|import| &import.path);
            for path in imports.chain(&module.source.paths) {
                if let Some(to) = self.definition(from, path).filter(|to| to != from) {
                    let what = format!("{} names {}", module.file, path.join("::"));
                    edges.push(Edge { from: from.clone(), to, what });
                }
            }
        }
        edges.sort();
        edges.dedup();
        edges
    }

    /// The module that defines what `path` names in the module `here`; nothing if another crate does.
    fn definition(&self, here: &Path, path: &Path) -> Option<Path> {
        match path.split_first()? {
            (first, rest) if first == "crate" => self.follow(here, rest, CHAIN_MAX),
            // A name alone may be a variable's.
            (first, rest) if self.0[here].source.children.contains(first) && !rest.is_empty() => {
                self.follow(here, &[here.as_slice(), path].concat(), CHAIN_MAX)
            }
            _ => None,
        }
    }

    /// Walks down from the root as far as there are modules, and on through what the last one hands on to `here`.
    fn follow(&self, here: &Path, path: &[String], chain: usize) -> Option<Path> {
        let depth = (0..=path.len()).rev().find(|depth| self.0.contains_key(&path[..*depth]))?;
        let (module, rest) = path.split_at(depth);
        let Some((name, rest)) = rest.split_first() else { return Some(module.to_vec()) };
        let is_seen = |import: &&Import| import.is_reexport || here.starts_with(module);
        let import = self.0[module].source.imports.iter().filter(is_seen).find(|import| import.name == *name);
        let Some(import) = import.filter(|_| chain > 0) else { return self.origin_of_macro(module, name) };
        let target: Path = import.path.iter().chain(rest).cloned().collect();
        match target.split_first() {
            Some((first, rest)) if first == "crate" => self.follow(here, rest, chain - 1),
            Some((first, _)) if self.0[module].source.children.contains(first) => {
                self.follow(here, &[module, &target].concat(), chain - 1)
            }
            _ => None,
        }
    }

    /// The module that defines `name`, which is an item of `module` or a macro that is exported somewhere.
    fn origin_of_macro(&self, module: &[String], name: &String) -> Option<Path> {
        let exports = |(_, module): &(&Path, &Module)| module.source.macros.contains(name);
        let exporting = self.0.iter().find(exports).filter(|_| module.is_empty());
        Some(exporting.map_or(module, |(path, _)| path).to_vec())
    }
}
