//! Every kind of row, by number.

use crate::{bullet, minimap, plane, schema::Kind, standing};

/// Every kind of row; a row's `kind` is an index.
pub static KINDS: &[Kind] = &[plane::KIND, bullet::KIND, standing::KIND, minimap::KIND];

const _: () = {
    let mut at = 0;
    while at < KINDS.len() {
        assert!(KINDS[at].number as usize == at, "a kind's number is its place in the list");
        at += 1;
    }
};
