//! `bindgen IN OUT_DIR KIND`: turns the compiled wasm crate of a kind into the package that the kind's page imports.
//!
//! Path: the arguments → `wasm-bindgen` as a library → `<kind>.js`, `<kind>_bg.wasm` and `<kind>.d.ts`.
//! Invariant: the generator and the `wasm-bindgen` in the wasm come from one lock file, so they always match (the
//! installed command-line tool would have to be pinned by hand).
//! Never: decides how or when the wasm is built; that is `scripts/build-wasm.sh`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let (input, out_dir, kind) = arguments()?;
    Bindgen::new()
        .input_path(&input)
        .out_name(&kind)
        .web(true)?
        .typescript(true)
        // Function names would be a fifth of the download; what a panic says stays in either way.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&out_dir)
        .with_context(|| format!("turning {} into {}", input.display(), out_dir.display()))
}

/// Where the compiled wasm is, the directory that takes the package, and the base of the package's file names.
fn arguments() -> Result<(PathBuf, PathBuf, String)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match <[String; 3]>::try_from(arguments) {
        Ok([input, out_dir, kind]) => Ok((input.into(), out_dir.into(), kind)),
        Err(_) => bail!("usage: bindgen IN.wasm OUT_DIR KIND"),
    }
}
