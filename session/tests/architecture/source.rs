//! What a Rust file names: the paths in its `use` items, types, expressions, patterns and macros.
//!
//! Invariants: a path that begins with `crate`, `self` or `super` is told from the crate's root, beginning with `crate`.
//! Names that a macro makes up, and those in attributes, are not seen.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Ident, ImplItemFn, ItemFn, ItemImpl, ItemMacro, ItemMod, ItemUse, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

/// A path as its segments.
pub(crate) type Path = Vec<String>;

/// A file's names.
#[derive(Default)]
pub(crate) struct Source {
    /// Modules that it declares and that lie in files of their own.
    pub(crate) children: Vec<String>,
    pub(crate) imports: Vec<Import>,
    /// Macros that it exports, which makes them the root's.
    pub(crate) macros: Vec<String>,
    /// Every path that stands anywhere but in a `use`, with at least one segment.
    pub(crate) paths: Vec<Path>,
}

/// One name that a `use` brings in.
pub(crate) struct Import {
    /// The name; `*` for all.
    pub(crate) name: String,
    pub(crate) path: Path,
    /// It is there for others, not for the file itself.
    pub(crate) is_reexport: bool,
}

/// Which code counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    All,
    WithoutTests,
}

impl Source {
    /// Parses a file that is the module `module` (a path from the root, without `crate`).
    pub(crate) fn parse(text: &str, module: &[String], code: Code) -> syn::Result<Self> {
        let mut collector = Collector { module: module.to_vec(), depth: 0, code, source: Self::default() };
        collector.visit_file(&syn::parse_file(text)?);
        Ok(collector.source)
    }

    /// All paths, of imports too.
    pub(crate) fn all_paths(&self) -> impl Iterator<Item = &Path> {
        self.imports.iter().map(|import| &import.path).chain(&self.paths)
    }
}

struct Collector {
    /// Where we are, with modules inside the file.
    module: Path,
    /// Modules inside the file that we are in.
    depth: usize,
    code: Code,
    source: Source,
}

impl Collector {
    fn skips(&self, attributes: &[Attribute]) -> bool {
        self.code == Code::WithoutTests && attributes.iter().any(is_for_tests)
    }

    fn add(&mut self, path: Path) {
        let path = absolute(&self.module, path);
        self.source.paths.push(path);
    }

    /// Every name that a tree of imports brings in, below `prefix`.
    fn import(&mut self, tree: &UseTree, prefix: &[String], is_reexport: bool) {
        let with = |ident: &Ident| prefix.iter().cloned().chain([ident.to_string()]).collect::<Path>();
        let (name, path) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), is_reexport),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, prefix, is_reexport));
            }
            // `use a::{self}` is `use a`.
            UseTree::Name(name) if name.ident == "self" && !prefix.is_empty() => {
                (prefix[prefix.len() - 1].clone(), prefix.to_vec())
            }
            UseTree::Name(name) => (name.ident.to_string(), with(&name.ident)),
            UseTree::Rename(rename) => (rename.rename.to_string(), with(&rename.ident)),
            UseTree::Glob(_) => ("*".into(), prefix.to_vec()),
        };
        self.source.imports.push(Import { name, path: absolute(&self.module, path), is_reexport });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if self.skips(&item.attrs) {
            return;
        }
        if item.content.is_none() && self.depth == 0 {
            self.source.children.push(item.ident.to_string());
        }
        self.module.push(item.ident.to_string());
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !self.skips(&item.attrs) {
            self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !self.skips(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !self.skips(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !self.skips(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        let is_exported = item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"));
        self.source.macros.extend(item.ident.iter().filter(|_| is_exported).map(Ident::to_string));
        visit::visit_item_macro(self, item);
    }

    // A visibility's path (`pub(crate)`) names nothing that is needed.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        paths_in(item.tokens.clone()).into_iter().for_each(|path| self.add(path));
        visit::visit_macro(self, item);
    }
}

/// The paths among a macro's tokens, which have no syntax yet: names with `::` between them.
fn paths_in(tokens: TokenStream) -> Vec<Path> {
    let (mut paths, mut colons) = (vec![Path::new()], 0);
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if colons == 2 => {
                paths.last_mut().expect("there is always one").push(ident.to_string());
            }
            TokenTree::Ident(ident) => paths.push(vec![ident.to_string()]),
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                colons += 1;
                continue;
            }
            TokenTree::Group(group) => {
                paths.extend(paths_in(group.stream()));
                paths.push(Path::new());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => paths.push(Path::new()),
        }
        colons = 0;
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// Told from the root, if it begins with `crate`, `self` or `super`; a path that does not stays as it is.
fn absolute(module: &[String], path: Path) -> Path {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    let base = match path.first().map(String::as_str) {
        Some("crate") => return path,
        // What belongs to `Self` is in this file.
        Some("self") if path.len() > 1 => module,
        Some("super") => &module[..module.len().saturating_sub(supers)],
        _ => return path,
    };
    let rest = path.iter().skip(supers.max(1));
    ["crate".to_owned()].iter().chain(base).chain(rest).cloned().collect()
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
        || attribute.path().is_ident("cfg")
            && attribute.parse_args::<Ident>().is_ok_and(|condition| condition == "test")
}
