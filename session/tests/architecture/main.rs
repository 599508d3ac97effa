//! The architecture as tests: which crates and files may know each other, what pure crates may name, whether
//! ARCHITECTURE.md speaks of what is there, and whether tests prove the wire's text.
//!
//! Path: `workspace.rs` asks cargo for the crates, `source.rs` parses their files; the other files each keep one rule.
//! Invariants: a failure names file and line's content, so that whoever reads it knows what to change.

mod arrows;
mod circles;
mod document;
mod modules;
mod purity;
mod source;
mod spec;
mod walls;
mod workspace;
