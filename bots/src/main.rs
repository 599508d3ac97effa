//! Filled in by its first commit.
fn main() {}
