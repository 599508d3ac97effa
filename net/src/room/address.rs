//! A room as the path of a page or a socket names it.
//!
//! Invariants: what is shown to whoever came by a reader's alias, and signed for them, names the room by that alone; which
//! room that is, the secret tells and no store.

use protocol::{
    alias::is_alias,
    room::{Kind, durable_id},
    token::Key,
};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomAddress {
    /// Its durable id.
    pub(crate) id: Arc<str>,
    /// What it is called here, and what tickets and tokens are signed over: the id, or the alias.
    pub(crate) name: Arc<str>,
}

impl RoomAddress {
    /// Of the last part of a path on this machine; `None`: an alias that was not made here.
    pub(crate) fn of(room: &str, instance: &str, key: &Key) -> Option<Self> {
        let name: Arc<str> = durable_id(instance, room).into();
        let id = if is_alias(&name) { key.open_alias(&name)?.into() } else { Arc::clone(&name) };
        Some(Self { id, name })
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        Kind::of(&self.id).expect("only rooms of a kind have an address")
    }

    /// Whether people only read along here.
    pub(crate) fn is_alias(&self) -> bool {
        self.id != self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S3.1.
    #[test]
    fn an_alias_leads_to_its_room_and_is_all_that_is_shown() {
        let key = Key::new("a secret of enough length").unwrap();
        let of = |room: &str| RoomAddress::of(room, "m1", &key);
        let alias = key.seal_alias("arena-p-abcdef2345").unwrap();
        let read = of(&alias).unwrap();
        assert_eq!((&*read.id, &*read.name, read.is_alias()), ("arena-p-abcdef2345", &*alias, true));
        let public = of("arena").unwrap();
        assert_eq!((&*public.id, &*public.name, public.is_alias()), ("arena-m1", "arena-m1", false));
        assert_eq!(of("arena-r-abcdef2345"), None);
    }
}
