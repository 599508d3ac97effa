//! The catalogue of kinds: what each kind of room is called and limited to, as `assets/kinds.ron` says.
//!
//! Path: [`Catalogue::parse`] reads the text once, at a program's start → `catalogue[kind]` wherever a limit is kept.
//! Invariants: plain data; every kind of [`Kind::ALL`] has one entry, and nothing else has; every number is within its
//! range when it comes from a text.
//! Never: what a kind does, a machine, a clock.

use protocol::{limits::RESUME_GRACE_MS, room::Kind};
use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut, RangeInclusive};

/// The catalogue that programs are built with.
const BUILT_IN: &str = include_str!("../../assets/kinds.ron");

/// Connections of a machine for each place in its public rooms: as many again for private rooms, pings, and newcomers
/// who are told that a room is full.
const CONNECTIONS_PER_PLACE_COUNT: u32 = 2;
/// And at least.
const CONNECTIONS_MIN_COUNT: u32 = 2048;

/// Most rooms that `rooms` may say: each has a thread, and a queue that takes half a megabyte.
const ROOMS_MAX_COUNT: u32 = 1024;
const MEMBERS_COUNTS: RangeInclusive<u32> = 1..=50_000;
const READERS_COUNTS: RangeInclusive<u32> = 0..=50_000;
const TICKS_HZ: RangeInclusive<u32> = 10..=120;
/// Longest time without a frame: a page gives up a connection that was silent for 6 s.
const IDLES_MS: RangeInclusive<u32> = 20..=5_000;
const TICK_BUDGET_MIN_US: u32 = 100;
/// Shortest time until a room sleeps: the grace of the last member, and a second.
const SLEEP_MIN_S: u32 = (RESUME_GRACE_MS / 1000) as u32 + 1;
const SLEEP_MAX_S: u32 = 3600;
const SILENCES_S: RangeInclusive<u32> = 6..=600;
const SOCKETS_PER_ADDRESS_COUNTS: RangeInclusive<u32> = 1..=50_000;
const TITLE_MAX_BYTES: usize = 24;
const ABOUT_MAX_BYTES: usize = 120;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Most rooms open at once on a machine; the public room of each kind always has a place among them.
    pub rooms: u32,
    /// In the order of [`Kind::ALL`].
    kinds: Vec<Entry>,
}

/// What a kind is called and limited to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its word.
    kind: String,
    /// Its name on the lobby's board.
    pub title: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Whether its page draws with WebGL; the lobby's page wakes no machine for a browser without.
    pub webgl: bool,
    /// Most members of a room.
    pub members: u32,
    /// Most of those who only look, of a room.
    pub readers: u32,
    /// Ticks a second.
    pub tick_hz: u32,
    /// Ticks from one frame for all who wait to the next.
    pub beat_ticks: u32,
    /// Time after which a frame goes out without news.
    pub idle_ms: u32,
    /// Time of a tick that may be spent on its thread.
    pub tick_budget_us: u32,
    /// Time without anybody after which a room sleeps.
    pub sleep_s: u32,
    /// Longest time for which a client may say nothing.
    pub silence_s: u32,
    /// Sockets of one address in rooms of this kind.
    pub sockets_per_address: u32,
}

impl Catalogue {
    /// What this program was built with.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("a test reads the catalogue that is built in")
    }

    /// Reads RON text.
    ///
    /// # Errors
    /// A sentence that names entry and field, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut catalogue: Self =
            ron::from_str(text).map_err(|error| format!("The catalogue of kinds cannot be read: {error}."))?;
        let words = Kind::ALL.map(Kind::word);
        if let Some(entry) = catalogue.kinds.iter().find(|entry| !words.contains(&&*entry.kind)) {
            let (word, all) = (&entry.kind, words.join("\", \""));
            return Err(format!(
                "The catalogue has an entry for \"{word}\", which is no kind of room: there is \"{all}\"."
            ));
        }
        for word in words {
            match catalogue.kinds.iter().filter(|entry| entry.kind == word).count() {
                1 => {}
                0 => return Err(format!("The catalogue has no entry for \"{word}\"; every kind of room needs one.")),
                _ => return Err(format!("The catalogue has more than one entry for \"{word}\".")),
            }
        }
        catalogue.kinds.sort_by_key(|entry| words.iter().position(|word| *word == entry.kind));
        let rooms = words.len() as u32..=ROOMS_MAX_COUNT;
        check("The catalogue", "rooms", catalogue.rooms, rooms, "")?;
        catalogue.kinds.iter().try_for_each(Entry::check)?;
        Ok(catalogue)
    }

    /// As text that [`Catalogue::parse`] reads.
    pub fn to_ron(&self) -> String {
        ron::to_string(self).expect("numbers and text always serialise")
    }

    /// Every kind with its entry.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &Entry)> {
        Kind::ALL.into_iter().zip(&self.kinds)
    }

    /// Connections that a machine admits.
    pub fn connections(&self) -> u32 {
        let places: u32 = self.kinds.iter().map(|entry| entry.members + entry.readers).sum();
        CONNECTIONS_MIN_COUNT.max(places * CONNECTIONS_PER_PLACE_COUNT)
    }
}

impl Index<Kind> for Catalogue {
    type Output = Entry;

    fn index(&self, kind: Kind) -> &Entry {
        self.kinds.iter().find(|entry| entry.kind == kind.word()).expect("every kind has an entry")
    }
}

impl IndexMut<Kind> for Catalogue {
    fn index_mut(&mut self, kind: Kind) -> &mut Entry {
        self.kinds.iter_mut().find(|entry| entry.kind == kind.word()).expect("every kind has an entry")
    }
}

impl Entry {
    fn check(&self) -> Result<(), String> {
        let whose = format!("The catalogue's entry \"{}\"", self.kind);
        let number = |field, value, range, unit| check(&whose, field, value, range, unit);
        number("members", self.members, MEMBERS_COUNTS, "")?;
        number("readers", self.readers, READERS_COUNTS, "")?;
        number("tick_hz", self.tick_hz, TICKS_HZ, " (a second)")?;
        number("beat_ticks", self.beat_ticks, 1..=self.tick_hz, " (a second)")?;
        number("idle_ms", self.idle_ms, IDLES_MS, " (milliseconds)")?;
        number("tick_budget_us", self.tick_budget_us, TICK_BUDGET_MIN_US..=self.tick_us(), " (microseconds: a tick)")?;
        number("sleep_s", self.sleep_s, SLEEP_MIN_S..=SLEEP_MAX_S, " (seconds)")?;
        number("silence_s", self.silence_s, SILENCES_S, " (seconds)")?;
        number("sockets_per_address", self.sockets_per_address, SOCKETS_PER_ADDRESS_COUNTS, "")?;
        for (field, text, most) in [("title", &self.title, TITLE_MAX_BYTES), ("about", &self.about, ABOUT_MAX_BYTES)] {
            if !(1..=most).contains(&text.len()) {
                return Err(format!("{whose} has {} bytes of {field}. It takes 1 to {most}.", text.len()));
            }
        }
        Ok(())
    }

    /// Length of a tick.
    pub fn tick_us(&self) -> u32 {
        1_000_000 / self.tick_hz
    }

    /// Ticks after which a frame goes out without news.
    pub fn idle_ticks(&self) -> u32 {
        (self.idle_ms * self.tick_hz / 1000).max(1)
    }
}

fn check(whose: &str, field: &str, value: u32, range: RangeInclusive<u32>, unit: &str) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(format!("{whose} has {field}: {value}. It takes a whole number from {least} to {most}{unit}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_of_this_repository_is_good_and_writes_what_it_reads() {
        let catalogue = Catalogue::built_in();
        assert!(catalogue.iter().map(|(kind, _)| kind).eq(Kind::ALL));
        for (kind, entry) in catalogue.iter() {
            assert_eq!((kind.word(), &catalogue[kind]), (&*entry.kind, entry));
            assert!(entry.about.ends_with('.') && !entry.title.ends_with('.'), "{entry:?}");
        }
        assert_eq!(Catalogue::parse(&catalogue.to_ron()), Ok(catalogue));
    }

    #[test]
    fn a_machine_admits_more_connections_than_its_public_rooms_have_places() {
        let mut catalogue = Catalogue::built_in();
        catalogue.iter().for_each(|(_, entry)| assert!(catalogue.connections() > entry.members + entry.readers));
        let before = catalogue.connections();
        catalogue[Kind::ALL[0]].members = 50_000;
        assert!(catalogue.connections() >= 100_000 && before >= CONNECTIONS_MIN_COUNT);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_entry_and_what_would_be_right() {
        let word = Kind::ALL[0].word();
        let text = |change: fn(&mut Entry)| {
            let mut catalogue = Catalogue::built_in();
            change(&mut catalogue[Kind::ALL[0]]);
            catalogue.to_ron()
        };
        let good = Catalogue::built_in();
        for (text, words) in [
            ("(rooms: 3)".to_owned(), "cannot be read"),
            (good.to_ron().replacen("members", "member", 1), "`member`"),
            (
                Catalogue { rooms: 0, ..good.clone() }.to_ron(),
                "The catalogue has rooms: 0. It takes a whole number from",
            ),
            (Catalogue { kinds: vec![], ..good.clone() }.to_ron(), "no entry for"),
            (Catalogue { kinds: [&good.kinds[..], &good.kinds[..1]].concat(), ..good }.to_ron(), "more than one entry"),
            (text(|entry| entry.kind = "cellar".to_owned()), "an entry for \"cellar\", which is no kind of room"),
            (text(|entry| entry.members = 0), "members: 0. It takes a whole number from 1 to 50000."),
            (text(|entry| entry.members = 50_001), "from 1 to 50000."),
            (text(|entry| entry.readers = 50_001), "readers: 50001"),
            (text(|entry| entry.tick_hz = 1), "tick_hz: 1"),
            (text(|entry| entry.beat_ticks = 0), "beat_ticks: 0"),
            (text(|entry| entry.idle_ms = 6_000), "idle_ms: 6000"),
            (text(|entry| entry.tick_budget_us = 1_000_000), "(microseconds: a tick)"),
            (text(|entry| entry.sleep_s = 15), "from 16 to 3600 (seconds)"),
            (text(|entry| entry.silence_s = 1), "silence_s: 1"),
            (text(|entry| entry.sockets_per_address = 0), "sockets_per_address: 0"),
            (text(|entry| entry.title.clear()), "0 bytes of title. It takes 1 to 24."),
        ] {
            let sentence = Catalogue::parse(&text).unwrap_err();
            assert!(sentence.contains(words) && sentence.ends_with('.'), "{sentence}");
            let is_about_an_entry = sentence.contains("entry \"");
            assert!(!is_about_an_entry || sentence.contains(word), "{sentence}");
        }
    }
}
