//! The workspace as cargo sees it.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A member of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Names of the crates of ours that it is built with, directly; tests not counted.
    pub(crate) dependencies: Vec<String>,
    /// Its library and its programs, as far as their sources are below `src`.
    pub(crate) roots: Vec<PathBuf>,
}

/// The repository's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Runs cargo in the repository and returns what it prints.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output();
    let output = run.expect("cargo runs this test, so it is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// All members of the workspace.
pub(crate) fn members() -> Vec<Member> {
    let text = cargo(&["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo prints JSON");
    list(&metadata["packages"]).iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let folder = Path::new(text(&package["manifest_path"])).parent().expect("a manifest lies in a folder");
    // A dependency without a kind is a normal one; one of ours is given by its path.
    let is_ours = |dependency: &&Value| dependency["kind"].is_null() && dependency["path"].is_string();
    let dependencies = list(&package["dependencies"]).iter().filter(is_ours);
    let targets = list(&package["targets"]).iter().map(|target| PathBuf::from(text(&target["src_path"])));
    Member {
        name: text(&package["name"]).to_owned(),
        dependencies: dependencies.map(|dependency| text(&dependency["name"]).to_owned()).collect(),
        roots: targets.filter(|path| path.starts_with(folder.join("src"))).collect(),
    }
}

/// Every file below a folder; none if there is no such folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A path for people: as seen from the repository's folder.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("cargo's documentation says it is a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo's documentation says it is a text")
}
