//! Saving and restoring a room.
//!
//! Path: [`Room::snapshot`] between two ticks → bytes that others keep → [`Room::restore`].
//! Layout: 4 bytes that every snapshot begins with; format (u32 LE, see [`FORMAT`]); checksum of all that follows (u64
//! LE); tick (u32 LE); one value in bincode's standard configuration.
//! Invariants: a room that was restored goes on as if it had never stopped and everybody had lost their sockets at that
//! moment: sessions, scores, profiles, chat, the events' numbers and resume tokens are those of before. Bytes that are
//! damaged, foreign or say what no room can be are refused, whatever they are, within bounded time and memory.
//! Never: what was on its way on a socket; the rules (they are the machine's: a room wakes up to today's).

use super::{Room, RoomConfig, SessionId};
use crate::{
    events::Events,
    session::{SavedSession, Session},
};
use game::{Game, GameSnapshot, KINDS, PilotId, UnfitSnapshot};
use protocol::{
    codec,
    limits::{CHAT_HISTORY_MAX_LINES, NAME_MAX_BYTES, SNAPSHOT_MAX_BYTES},
    message::{Event, Profile},
};
use serde::{Deserialize, Serialize};
use std::{error, fmt};

const BEGIN: [u8; 4] = *b"ROOM";
/// Counts changes of what is saved. Above it go bits of a hash of the kinds' declarations, since rows are saved by them.
const FORMAT_VERSION: u8 = 2;
/// Sessions and events of a room that is taken up again. Policy: refuse the snapshot.
const NUMBER_MAX: u32 = u32::MAX / 2;
const HEAD_BYTES: usize = 4 + 4 + 8;

/// Everything that lasts.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    game: GameSnapshot,
    next_session: u32,
    /// By id.
    sessions: Vec<(u32, SavedSession)>,
    profiles: Vec<(PilotId, Profile)>,
    fillers: Vec<PilotId>,
    last_event: u32,
    chat: Vec<Event>,
}

/// Why some bytes are no room to take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// No snapshot, or one of another version's rooms.
    Foreign,
    /// Some of it is missing or was changed since.
    Damaged,
    /// The game in it is none by these rules.
    Unfit(UnfitSnapshot),
    /// Sessions, profiles and pilots do not fit each other.
    Inconsistent,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it is no snapshot of this version"),
            Self::Damaged => f.write_str("it is damaged: its checksum does not match"),
            Self::Unfit(error) => error.fmt(f),
            Self::Inconsistent => f.write_str("who is in it does not fit together"),
        }
    }
}

impl error::Error for SnapshotError {}

impl Room {
    /// Everything that lasts, between two ticks; see the module.
    pub fn snapshot(&self) -> Vec<u8> {
        let saved = Saved {
            game: self.game.snapshot(),
            next_session: self.next_session,
            sessions: self.sessions.iter().map(|(id, session)| (id.0, session.save())).collect(),
            profiles: self.profiles.iter().map(|(pilot, profile)| (*pilot, profile.clone())).collect(),
            fillers: self.fillers.clone(),
            last_event: self.events.last(),
            chat: self.events.history(),
        };
        let mut body = self.game.tick().to_le_bytes().to_vec();
        body.extend(codec::encode(&saved));
        let head = [&BEGIN[..], &format().to_le_bytes(), &checksum(&body).to_le_bytes()].concat();
        [head, body].concat()
    }

    /// Takes a room up again under a new epoch; the seed of the configuration is not used.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn restore(config: RoomConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let saved = decode(bytes)?;
        saved.check()?;
        let game = Game::restore(saved.game, config.rules.clone()).map_err(SnapshotError::Unfit)?;
        if !game.pilots().eq(saved.profiles.iter().map(|(pilot, _)| *pilot)) {
            return Err(SnapshotError::Inconsistent);
        }
        let now = game.tick();
        if !saved.sessions.iter().all(|(_, session)| Session::can_restore(session, now)) {
            return Err(SnapshotError::Inconsistent);
        }
        let mut room = Self::around(game, config);
        for (id, session) in &saved.sessions {
            let mut restored = Session::restore(session, now);
            restored.event = saved.last_event;
            if restored.lost_since() == Some(now) {
                // Nobody holds the stick any more.
                room.game.control(restored.pilot, game::Controls::default());
            }
            room.sessions.insert(SessionId(*id), restored);
        }
        room.next_session = saved.next_session;
        room.profiles = saved.profiles.into_iter().collect();
        room.fillers = saved.fillers;
        room.events = Events::restore(saved.last_event, saved.chat);
        room.game.rows(&mut room.mirror);
        room.index_rows(now);
        room.balance_fillers();
        Ok(room)
    }
}

impl Saved {
    /// Whether everybody is there once, and every text is one that a room would have taken.
    fn check(&self) -> Result<(), SnapshotError> {
        let are_ascending = self.sessions.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.profiles.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.sessions.last().is_none_or(|(id, _)| *id < self.next_session);
        let mut flown: Vec<PilotId> = self.sessions.iter().map(|(_, session)| session.pilot).collect();
        flown.extend(&self.fillers);
        flown.sort_unstable();
        let is_everybody = flown.iter().eq(self.profiles.iter().map(|(pilot, _)| pilot));
        let is_profile = |profile: &Profile| profile.name.len() <= NAME_MAX_BYTES && profile.hue < 8;
        let are_profiles = self.profiles.iter().all(|(_, profile)| is_profile(profile));
        let are_numbers = self.next_session.max(self.last_event) <= NUMBER_MAX;
        let is_chat = self.chat.len() <= CHAT_HISTORY_MAX_LINES && self.chat.iter().all(Event::is_chat);
        let fits = are_ascending && is_everybody && are_profiles && are_numbers && is_chat;
        if fits { Ok(()) } else { Err(SnapshotError::Inconsistent) }
    }
}

fn decode(bytes: &[u8]) -> Result<Saved, SnapshotError> {
    let (begin, rest) = bytes.split_first_chunk().ok_or(SnapshotError::Foreign)?;
    let (version, rest) = rest.split_first_chunk().ok_or(SnapshotError::Foreign)?;
    if *begin != BEGIN || u32::from_le_bytes(*version) != format() {
        return Err(SnapshotError::Foreign);
    }
    let (sum, body) = rest.split_first_chunk().ok_or(SnapshotError::Damaged)?;
    let is_whole = bytes.len() <= HEAD_BYTES + SNAPSHOT_MAX_BYTES && u64::from_le_bytes(*sum) == checksum(body);
    let value = body.get(size_of::<u32>()..).filter(|_| is_whole).ok_or(SnapshotError::Damaged)?;
    codec::decode::<_, SNAPSHOT_MAX_BYTES>(value).map_err(|_| SnapshotError::Damaged)
}

/// [`FORMAT_VERSION`] in the low 8 bits, above them a hash of all kinds and fields.
fn format() -> u32 {
    let names = KINDS.iter().flat_map(|kind| kind.fields.iter().map(move |field| (kind.name, field)));
    let text = names.map(|(kind, field)| format!("{kind}.{}:{:?};", field.name, field.range)).collect::<String>();
    checksum(text.as_bytes()) as u32 & !0xff | u32::from(FORMAT_VERSION)
}

/// A hash, 8 bytes at a time: any change within 8 bytes is found, and of others all but one in 2^64. Not against forgers:
/// who can write to the store owns the rooms.
fn checksum(bytes: &[u8]) -> u64 {
    // As `game::schema::Row::hash`.
    const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;
    let add = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| add(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| add(hash, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{message::Hello, token::Key};

    fn config() -> RoomConfig {
        let key = Key::new("a secret of enough length").unwrap();
        RoomConfig::new("arena-m1", key, 1, 1, include_str!("../../../assets/tuning.ron")).unwrap()
    }

    fn busy_room() -> Vec<u8> {
        let mut room = Room::new(config());
        for name in ["Ada", "Bob", "Cyd"] {
            let (version, name) = (protocol::PROTOCOL_VERSION, name.to_owned());
            let hello = Hello { version, ticket: None, resume: None, have_tick: 0, have_event: 0, name, hue: 1 };
            let id = room.join(&hello, true).unwrap();
            room.chat(id, "hello");
        }
        (0..400).for_each(|_| room.tick());
        room.snapshot()
    }

    fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = checksum(&bytes[HEAD_BYTES..]);
        bytes[8..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Room::restore(config(), &bytes).is_err());
            let begun = [&BEGIN[..], &format().to_le_bytes(), &[0; 8], &bytes].concat();
            prop_assert!(Room::restore(config(), &with_checksum(begun)).is_err());
        }
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let good = busy_room();
        assert!(Room::restore(config(), &good).is_ok());
        let refusal = |bytes: &[u8]| Room::restore(config(), bytes).map(|_| ()).unwrap_err();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert_eq!(refusal(&bad), if at < 8 { SnapshotError::Foreign } else { SnapshotError::Damaged }, "at {at}");
        }
        for length in (0..good.len()).step_by(7) {
            assert_eq!(
                refusal(&good[..length]),
                if length < 8 { SnapshotError::Foreign } else { SnapshotError::Damaged }
            );
        }
        assert_eq!(refusal(&[&good[..], &[0]].concat()), SnapshotError::Damaged);
    }

    /// Damage that the checksum knows nothing of: a room either refuses it or lives with it.
    #[test]
    fn what_is_taken_up_can_be_played() {
        let good = busy_room();
        let (mut seed, mut taken) = (1_u64, 0);
        let mut draw = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..3000 {
            let mut bad = good.clone();
            for _ in 0..=draw(2) {
                // Most damage near the small numbers at the front and the back, where it means most.
                let at = HEAD_BYTES
                    + match draw(3) {
                        0 => draw(200),
                        1 => bad.len() - HEAD_BYTES - 1 - draw(400),
                        _ => draw(bad.len() - HEAD_BYTES),
                    };
                bad[at] = draw(256) as u8;
            }
            if let Ok(mut room) = Room::restore(config(), &with_checksum(bad)) {
                taken += 1;
                (0..40).for_each(|_| room.tick());
                assert!(Room::restore(config(), &room.snapshot()).is_ok(), "what it became can be taken up too");
            }
        }
        assert!((100..2900).contains(&taken), "{taken} of 3000 were taken up: the test tests nothing");
    }
}
