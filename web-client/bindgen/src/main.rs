//! `bindgen IN OUT_DIR`: turns the compiled wasm crate into the package that the page imports.
//!
//! Path: the arguments → `wasm-bindgen` as a library → `aerodrome.js`, `aerodrome_bg.wasm` and `aerodrome.d.ts`.
//! Invariant: the generator and the `wasm-bindgen` in the wasm come from one lock file, so they always match (the
//! installed command-line tool would have to be pinned by hand).
//! Never: decides how or when the wasm is built; that is `scripts/build-wasm.sh`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

/// The base of the package's file names.
const PACKAGE: &str = "aerodrome";

fn main() -> Result<()> {
    let (input, out_dir) = arguments()?;
    Bindgen::new()
        .input_path(&input)
        .out_name(PACKAGE)
        .web(true)?
        .typescript(true)
        // Function names would be a fifth of the download; what a panic says stays in either way.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&out_dir)
        .with_context(|| format!("turning {} into {}", input.display(), out_dir.display()))
}

/// Where the compiled wasm is, and the directory that takes the package.
fn arguments() -> Result<(PathBuf, PathBuf)> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(input), Some(out_dir), None) => Ok((input, out_dir)),
        _ => bail!("usage: bindgen IN.wasm OUT_DIR"),
    }
}
