//! Builds the gameserver again when its pages were built again: cargo does not see files that are new in an embedded folder.
fn main() {
    println!("cargo:rerun-if-changed=../web-client/dist/rooms");
}
