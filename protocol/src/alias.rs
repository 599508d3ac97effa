//! The alias of a private room, for those who may only read along: a name from which the room's own cannot be derived,
//! and which every machine that has the secret can open without asking anybody.
//!
//! Path: [`Key::seal_alias`] makes the name that stands in a reader's link → [`Key::open_alias`] gives the room again.
//! Form: `<kind>-r-<tag><letters>`: the room's private letters under deterministic authenticated encryption, in the SIV
//! construction (Rogaway and Shrimpton 2006) with HMAC-SHA-256: the tag is an HMAC of the room's id, and the letters are
//! masked by an HMAC of the tag; both in base 32 (RFC 4648's "extended hex", in lower case).
//! Invariants: a room has one alias, and it lasts as long as the secret; a name that was not made here opens nothing.
//! Never: a store; a link that was given away can only be taken back by another room, or another secret.

use crate::{
    limits::PATH_NAME_MAX_BYTES,
    room::{Kind, private_letters},
    token::{Key, Role},
};
use data_encoding::BASE32_DNSSEC;
use hmac::Mac;
use std::borrow::Cow;

/// What stands between the kind's word and the sealed letters; no instance has a `-` in it.
const ALIAS: &str = "-r-";
/// 80 bits: whoever forges one has to try it at a server, name by name, and two rooms in 2⁴⁰ have the same.
const TAG_BYTES: usize = 10;
/// The tag's length in base 32, which leaves no bits over.
const TAG_CHARS: usize = TAG_BYTES * 8 / 5;
/// Longest private letters that have an alias; those that a lobby makes have 10. Policy: the room has no reader's link.
const LETTERS_MAX_BYTES: usize = 24;

impl Key {
    /// The alias of the private room with this id; `None`: it is a public room, which needs none, or its name is too long.
    pub fn seal_alias(&self, room: &str) -> Option<String> {
        let (kind, letters) = (Kind::of(room)?, private_letters(room)?);
        if letters.len() > LETTERS_MAX_BYTES {
            return None;
        }
        let tag = BASE32_DNSSEC.encode(&self.alias_tag(room));
        let sealed = self.mask(&tag, letters.as_bytes());
        let alias = [kind.word(), ALIAS, &tag, &BASE32_DNSSEC.encode(&sealed)].concat();
        (alias.len() <= PATH_NAME_MAX_BYTES).then_some(alias)
    }

    /// The id of the room whose alias this is; `None`: of none.
    pub fn open_alias(&self, name: &str) -> Option<String> {
        let (kind, sealed) = (Kind::of(name)?, sealed_part(name)?);
        let (tag, letters) = sealed.split_at_checked(TAG_CHARS)?;
        let given = BASE32_DNSSEC.decode(tag.as_bytes()).ok()?;
        let letters = BASE32_DNSSEC.decode(letters.as_bytes()).ok().filter(|bytes| bytes.len() <= LETTERS_MAX_BYTES)?;
        let letters = String::from_utf8(self.mask(tag, &letters)).ok()?;
        kind.private_rooms(&letters).find(|room| self.is_alias_tag(room, &given))
    }

    /// The name over which tickets and tokens of somebody with this role are signed: a reader's never say which room a
    /// private one is, and are no good for it.
    pub fn signed_name<'a>(&self, role: Role, room: &'a str) -> Cow<'a, str> {
        let alias = if role == Role::Reader { self.seal_alias(room) } else { None };
        alias.map_or(Cow::Borrowed(room), Cow::Owned)
    }

    fn alias_tag(&self, room: &str) -> [u8; TAG_BYTES] {
        let mac = self.hmac(&["alias", room]).finalize().into_bytes();
        *mac.first_chunk().expect("SHA-256 gives more")
    }

    fn is_alias_tag(&self, room: &str, tag: &[u8]) -> bool {
        self.hmac(&["alias", room]).verify_truncated_left(tag).is_ok()
    }

    /// Hides and shows: the same stream for both.
    fn mask(&self, tag: &str, letters: &[u8]) -> Vec<u8> {
        let stream = self.hmac(&["alias stream", tag]).finalize().into_bytes();
        letters.iter().zip(stream).map(|(letter, mask)| letter ^ mask).collect()
    }
}

/// Whether the name has the form of an alias; whether it is one, only [`Key::open_alias`] knows.
///
/// # Examples
/// ```
/// use protocol::alias::is_alias;
/// assert!(is_alias("arena-r-0123456789abcdef") && !is_alias("arena-p-abcdef2345") && !is_alias("cellar-r-a"));
/// ```
pub fn is_alias(name: &str) -> bool {
    sealed_part(name).is_some() && Kind::of(name).is_some()
}

fn sealed_part(name: &str) -> Option<&str> {
    let (word, _) = name.split_once('-')?;
    name[word.len()..].strip_prefix(ALIAS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key {
        Key::new("a secret of enough length").unwrap()
    }

    #[test]
    fn a_private_room_of_any_kind_has_one_alias_that_opens_it_anywhere() {
        let of_before = ["field-abcdef2345".to_owned(), "field-a".to_owned(), "field-a-b".to_owned()];
        for room in Kind::ALL.into_iter().map(|kind| kind.private_room("abcdef2345")).chain(of_before) {
            let alias = key().seal_alias(&room).unwrap();
            assert_eq!(key().seal_alias(&room).as_ref(), Some(&alias));
            assert_eq!(key().open_alias(&alias).as_ref(), Some(&room), "{alias}");
            assert!(
                is_alias(&alias) && Kind::of(&alias) == Kind::of(&room) && !alias.contains("abcdef2345"),
                "{alias}"
            );
            assert_eq!(key().seal_alias(&alias), None, "an alias has none");
            assert_eq!(Key::new("another secret, also long").unwrap().open_alias(&alias), None);
        }
    }

    #[test]
    fn the_same_letters_of_two_kinds_or_times_are_two_rooms() {
        let [now, before] = ["arena-p-abcdef2345", "field-abcdef2345"].map(|room| key().seal_alias(room).unwrap());
        assert_ne!(now, before);
    }

    #[test]
    fn public_rooms_and_names_that_are_too_long_have_no_alias() {
        for room in ["arena", "arena-m1", "cellar-p-a", "status", ""] {
            assert_eq!(key().seal_alias(room), None, "{room}");
        }
        let room = |letters: usize| Kind::Arena.private_room(&"a".repeat(letters));
        assert!(key().seal_alias(&room(LETTERS_MAX_BYTES)).is_some_and(|alias| alias.len() <= PATH_NAME_MAX_BYTES));
        assert_eq!(key().seal_alias(&room(LETTERS_MAX_BYTES + 1)), None);
    }

    #[test]
    fn a_readers_tokens_are_signed_over_the_alias_and_nobody_elses() {
        let room = "arena-p-abcdef2345";
        assert_eq!(key().signed_name(Role::Reader, room), key().seal_alias(room).unwrap());
        assert_eq!(key().signed_name(Role::Reader, "arena-m1"), "arena-m1");
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Reader) {
            assert_eq!(key().signed_name(role, room), room);
        }
    }

    /// On the wire for good: links are kept for years.
    #[test]
    fn an_alias_of_today_opens_tomorrow() {
        assert_eq!(key().seal_alias("arena-p-abcdef2345").as_deref(), Some("arena-r-nqbnjkv1uqd5g62sda0hoom0nmgp7lpa"));
    }

    proptest! {
        #[test]
        fn whatever_letters_a_room_has_its_alias_opens_it(letters in "[a-z0-9-]{1,24}", is_old in any::<bool>()) {
            let room = if is_old { format!("field-{letters}") } else { Kind::Arena.private_room(&letters) };
            let alias = key().seal_alias(&room).unwrap();
            prop_assert!(alias.len() <= PATH_NAME_MAX_BYTES && Kind::of(&alias) == Some(Kind::Arena));
            prop_assert_eq!(key().open_alias(&alias), Some(room));
        }

        #[test]
        fn what_was_not_made_here_opens_nothing(sealed in "[a-z0-9-]{0,56}", any in ".{0,70}") {
            prop_assert_eq!(key().open_alias(&format!("arena-r-{sealed}")), None);
            prop_assert_eq!(key().open_alias(&any), None);
        }

        #[test]
        fn an_alias_with_one_character_changed_opens_nothing(at in 8_usize..40, to in "[a-z0-9]") {
            let alias = key().seal_alias("arena-p-abcdef2345").unwrap();
            let changed = [&alias[..at], &to, &alias[at + 1..]].concat();
            prop_assume!(changed != alias);
            prop_assert_eq!(key().open_alias(&changed), None);
        }
    }
}
