//! The arena's part of the wire, once more from its text alone (`arena/SPEC.md`): what a stranger who read it would write.
//!
//! Path: `tables` reads the text's own tables and compares them with the declarations; `motion` is the motion step as the
//! text tells it, `writer` its coding of rows, and `frames` gives frames written by both to a replica.
//! Invariant: nothing here uses the arena's own coder or step but to compare.

mod frames;
mod motion;
mod tables;
mod writer;
