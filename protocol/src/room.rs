//! What rooms are called: names in paths, and the ids under which they last.
//!
//! Path: `/gameserver/<instance>/<room>` → [`is_room`] → [`durable_id`], which names the room to tickets, resume tokens
//! and the store, whichever machine it is on.
//! Invariant: an id is a room's name too: on every machine it means that very room.

use crate::limits::PATH_NAME_MAX_BYTES;

/// Each machine's own public room.
pub const ARENA: &str = "arena";
/// How the name of a private room begins; the lobby adds what nobody guesses.
pub const PRIVATE_PREFIX: &str = "field-";
/// What lies beside the rooms under a machine's path, and so cannot be one.
const RESERVED: [&str; 3] = ["assets", "ping", "status"];

/// The id of a room, wherever it is: the name itself, but every machine has an arena of its own.
///
/// # Examples
/// ```
/// use protocol::room::{ARENA, durable_id};
/// assert_eq!(durable_id("m1", ARENA), "arena-m1");
/// assert_eq!(durable_id("m1", "arena-m1"), "arena-m1");
/// assert_eq!(durable_id("m2", "arena-m1"), "arena-m1");
/// ```
pub fn durable_id(instance: &str, room: &str) -> String {
    if room == ARENA { format!("{ARENA}-{instance}") } else { room.to_owned() }
}

/// The machine whose public room has this id, wherever it is now; `None`: a private one.
///
/// # Examples
/// ```
/// use protocol::room::home_of;
/// assert_eq!(home_of("arena-m1"), Some("m1"));
/// assert_eq!(home_of("field-abcdef2345"), None);
/// ```
pub fn home_of(id: &str) -> Option<&str> {
    id.strip_prefix(ARENA)?.strip_prefix('-').filter(|home| is_instance(home))
}

/// Whether the text may stand in a path, as an instance, a region or a room: 1 to `PATH_NAME_MAX_BYTES` of `a-z`, `0-9`
/// and `-`.
pub fn is_name(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PATH_NAME_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_name_byte)
}

/// Whether the text may be a machine's id: `a-z` and `0-9`, and short enough that its public room has a name.
pub fn is_instance(text: &str) -> bool {
    !text.is_empty() && !text.contains('-') && is_name(&durable_id(text, ARENA))
}

/// Whether the text may be a room's name.
pub fn is_room(text: &str) -> bool {
    is_name(text) && !RESERVED.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["arena", "field-abcdef2345", "m1", "a", &"x".repeat(PATH_NAME_MAX_BYTES)] {
            assert!(is_name(name) && is_room(name), "{name}");
        }
        for text in ["", "Arena", "a/b", "a.b", "..", "a;b", "é", &"x".repeat(PATH_NAME_MAX_BYTES + 1)] {
            assert!(!is_name(text), "{text}");
        }
        assert!(is_name("status") && !is_room("status") && !is_room("assets") && !is_room("ping"));
    }

    #[test]
    fn a_machine_is_called_so_that_its_public_room_has_a_name() {
        assert!(is_instance("148e7d5c6b0318") && is_instance("m1"));
        for text in ["", "m-1", "M1", "m;1", &"x".repeat(PATH_NAME_MAX_BYTES)] {
            assert!(!is_instance(text), "{text}");
        }
    }

    #[test]
    fn an_id_is_a_name_of_the_same_room_everywhere() {
        for (instance, room) in [("m1", ARENA), ("m1", "field-a")] {
            let id = durable_id(instance, room);
            assert_eq!((durable_id(instance, &id), durable_id("m2", &id)), (id.clone(), id.clone()));
        }
        assert_ne!(durable_id("m1", ARENA), durable_id("m2", ARENA));
    }

    #[test]
    fn only_a_public_room_has_a_home() {
        for id in [ARENA, "arena-", "arena-m-1", "arenam1", "field-arena-m1", "field-a"] {
            assert_eq!(home_of(id), None, "{id}");
        }
        assert_eq!(home_of(&durable_id("148e7d5c6b0318", ARENA)), Some("148e7d5c6b0318"));
    }
}
