//! The kinds of room, and what rooms are called: names in paths, and the ids under which they last.
//!
//! Path: `/gameserver/<instance>/<room>` → [`Kind::of`] → [`durable_id`], which names the room to tickets, resume tokens
//! and the store, whichever machine it is on.
//! Names: `<kind>` is a machine's own public room of that kind, `<kind>-<instance>` the same room on any machine,
//! `<kind>-p-<letters>` a private one, `<kind>-r-<letters>` a private one's alias for readers ([`crate::alias`]). `field-<letters>` is a private arena from before there were other kinds.
//! Invariants: an id is a room's name too: on every machine it means that very room; a kind's word and number never
//! change their meaning.

use crate::limits::PATH_NAME_MAX_BYTES;

/// How the names of private arenas began when there was no other kind.
const PRIVATE_ARENA_OF_BEFORE: &str = "field-";
/// What stands between the kind's word and the letters of a private room; no instance has a `-` in it.
const PRIVATE: &str = "-p-";

/// Each machine's own public arena.
pub const ARENA: &str = Kind::Arena.word();

/// A kind of room. To add one is to add a variant, its number and its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The dogfight.
    Arena,
    /// The chat room.
    Lounge,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 2] = [Self::Arena, Self::Lounge];

    /// As it stands on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Arena => 0,
            Self::Lounge => 1,
        }
    }

    /// As it stands in names, in files and in what people type: `a-z` only, and unlike what else lies under a machine's
    /// path (`assets`, `ping`, `status`).
    pub const fn word(self) -> &'static str {
        match self {
            Self::Arena => "arena",
            Self::Lounge => "lounge",
        }
    }

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The kind that is called this.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The kind of the room with this name or id; `None`: no room is called this.
    ///
    /// # Examples
    /// ```
    /// use protocol::room::Kind;
    /// assert_eq!(Kind::of("arena"), Some(Kind::Arena));
    /// assert_eq!(Kind::of("arena-p-abcdef2345"), Some(Kind::Arena));
    /// assert_eq!(Kind::of("field-abcdef2345"), Some(Kind::Arena));
    /// assert_eq!(Kind::of("cellar"), None);
    /// ```
    pub fn of(room: &str) -> Option<Self> {
        let word = room.split_once('-').map_or(room, |(word, _)| word);
        match room.starts_with(PRIVATE_ARENA_OF_BEFORE) {
            _ if !is_name(room) => None,
            true => Some(Self::Arena),
            false => Self::from_word(word),
        }
    }

    /// The name of a new private room with these letters, which nobody guesses.
    pub fn private_room(self, letters: &str) -> String {
        [self.word(), PRIVATE, letters].concat()
    }

    /// All private rooms of this kind that have these letters.
    pub(crate) fn private_rooms(self, letters: &str) -> impl Iterator<Item = String> {
        let names = [self.private_room(letters), [PRIVATE_ARENA_OF_BEFORE, letters].concat()];
        names.into_iter().filter(move |name| Self::of(name) == Some(self))
    }

    /// The id of a machine's own public room of this kind, on whichever machine it is asked for.
    pub fn public_room(self, instance: &str) -> String {
        [self.word(), "-", instance].concat()
    }
}

/// The letters of a private room's name; `None`: it is none.
pub(crate) fn private_letters(room: &str) -> Option<&str> {
    let of_its_kind = |kind: Kind| room.strip_prefix(kind.word())?.strip_prefix(PRIVATE);
    let letters = room.strip_prefix(PRIVATE_ARENA_OF_BEFORE).or_else(|| Kind::of(room).and_then(of_its_kind))?;
    (!letters.is_empty()).then_some(letters)
}

/// The id of a room, wherever it is: the name itself, but every machine has public rooms of its own.
///
/// # Examples
/// ```
/// use protocol::room::durable_id;
/// assert_eq!(durable_id("m1", "arena"), "arena-m1");
/// assert_eq!(durable_id("m1", "arena-m1"), "arena-m1");
/// assert_eq!(durable_id("m2", "arena-m1"), "arena-m1");
/// ```
pub fn durable_id(instance: &str, room: &str) -> String {
    Kind::from_word(room).map_or_else(|| room.to_owned(), |kind| kind.public_room(instance))
}

/// The machine whose public room has this id, wherever it is now; `None`: a private one.
///
/// # Examples
/// ```
/// use protocol::room::home_of;
/// assert_eq!(home_of("arena-m1"), Some("m1"));
/// assert_eq!(home_of("arena-p-abcdef2345"), None);
/// assert_eq!(home_of("field-abcdef2345"), None);
/// ```
pub fn home_of(id: &str) -> Option<&str> {
    let (word, home) = id.split_once('-')?;
    Kind::from_word(word).map(|_| home).filter(|home| is_instance(home))
}

/// Whether the text may stand in a path, as an instance, a region or a room: 1 to `PATH_NAME_MAX_BYTES` of `a-z`, `0-9`
/// and `-`.
pub fn is_name(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PATH_NAME_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_name_byte)
}

/// Whether the text may be a machine's id: `a-z` and `0-9`, and short enough that its public rooms have names.
pub fn is_instance(text: &str) -> bool {
    !text.is_empty() && !text.contains('-') && Kind::ALL.into_iter().all(|kind| is_name(&kind.public_room(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S3.1.
    #[test]
    fn names_are_short_and_plain() {
        for name in ["arena", "field-abcdef2345", "m1", "a", &"x".repeat(PATH_NAME_MAX_BYTES)] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "Arena", "a/b", "a.b", "..", "a;b", "é", &"x".repeat(PATH_NAME_MAX_BYTES + 1)] {
            assert!(!is_name(text) && Kind::of(text).is_none(), "{text}");
        }
    }

    /// SPEC S2.2 and S3.1.
    #[test]
    fn a_kind_has_a_number_and_a_word_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
            assert!(kind.word().bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(!["assets", "ping", "status", "field"].contains(&kind.word()));
            let names = [kind.word().to_owned(), kind.public_room("m1"), kind.private_room("abcdefgh23")];
            assert!(names.iter().all(|name| Kind::of(name) == Some(kind)), "{names:?}");
        }
        assert_eq!(Kind::of("field-abcdef2345"), Some(Kind::Arena), "links of before still lead somewhere");
        for name in ["status", "assets", "ping", "cellar", "arenas", "arena.", "-arena", "fields-a", "field"] {
            assert_eq!(Kind::of(name), None, "{name}");
        }
        assert_eq!(Kind::from_number(u8::MAX), None);
    }

    #[test]
    fn a_machine_is_called_so_that_its_public_rooms_have_names() {
        assert!(is_instance("148e7d5c6b0318") && is_instance("m1"));
        for text in ["", "m-1", "M1", "m;1", &"x".repeat(PATH_NAME_MAX_BYTES)] {
            assert!(!is_instance(text), "{text}");
        }
    }

    /// SPEC S3.2.
    #[test]
    fn an_id_is_a_name_of_the_same_room_everywhere() {
        for room in Kind::ALL.into_iter().flat_map(|kind| [kind.word().to_owned(), kind.private_room("abc")]) {
            let id = durable_id("m1", &room);
            assert_eq!((durable_id("m1", &id), durable_id("m2", &id)), (id.clone(), id));
        }
        for kind in Kind::ALL {
            assert_ne!(durable_id("m1", kind.word()), durable_id("m2", kind.word()));
        }
    }

    #[test]
    fn only_a_public_room_has_a_home() {
        for id in ["arena", "arena-", "arena-m-1", "arenam1", "field-arena-m1", "field-a", "arena-p-a"] {
            assert_eq!(home_of(id), None, "{id}");
        }
        assert_eq!(home_of(&durable_id("148e7d5c6b0318", "arena")), Some("148e7d5c6b0318"));
    }
}
