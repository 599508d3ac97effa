//! Saving and restoring a room.
//!
//! Path: [`Room::save`] between two ticks → bytes that others keep → [`Room::restore`].
//! Layout: the envelope of [`session::save`], around one value by the names of its fields.
//! Invariants: a room that was restored by the same rules goes on as if it had never stopped and everybody had lost their
//! connections at that moment: sessions, scores, profiles, chat, the events' numbers and resume tokens are those of before.
//! What an older version saved is taken over as far as today's has names for it. Bytes that are damaged, foreign or say
//! what no room can be are refused, whatever they are, within bounded time and memory.
//! Never: what was on its way on a socket; the rules (they are the machine's: a room wakes up to today's).

mod of_version_2;

use super::{
    Room, RoomConfig,
    member::{self, State, View},
};
use game::{Game, GameSnapshot, PilotId, UnfitSnapshot};
use protocol::Tick;
use serde::{Deserialize, Serialize};
use session::{
    Engine, Host, SavedLog, SavedMembers,
    save::{self, Unreadable},
};
use std::{error, fmt};

/// Everything that lasts. A field that is added, here or below, needs a default.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    game: GameSnapshot,
    members: SavedMembers<SavedState>,
    fillers: Vec<PilotId>,
    log: SavedLog,
}

/// What lasts of all that the room keeps of a member.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedState {
    /// When its cells were repaired last.
    repaired: Option<Tick>,
}

/// Why some bytes are no room to take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotError {
    /// No save of a room of this kind, or a damaged one.
    Unreadable(Unreadable),
    /// The game in it is none by these rules.
    Unfit(UnfitSnapshot),
    /// Sessions, profiles and pilots do not fit each other.
    Inconsistent,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Unfit(error) => error.fmt(f),
            Self::Inconsistent => f.write_str("who is in it does not fit together"),
        }
    }
}

impl error::Error for SnapshotError {}

impl Room {
    /// Everything that lasts, between two ticks; see the module.
    pub fn save(&self) -> Vec<u8> {
        let (members, log) = self.host.save(|state| SavedState { repaired: state.repaired });
        let saved = Saved { game: self.game.snapshot(), members, fillers: self.fillers.clone(), log };
        save::seal(Self::KIND, self.game.tick(), &saved)
    }

    /// Restores a room under a new epoch; the seed of the configuration is not used.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn restore(config: RoomConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let saved: Saved = match of_version_2::read(bytes) {
            Some(old) => old.and_then(save::named),
            None => save::open(Self::KIND, bytes),
        }
        .map_err(SnapshotError::Unreadable)?;
        if !saved.members.is_sound(&saved.log, saved.fillers.iter().map(|pilot| pilot.0.into())) {
            return Err(SnapshotError::Inconsistent);
        }
        let game = Game::restore(saved.game, config.rules.clone()).map_err(SnapshotError::Unfit)?;
        let now = game.tick();
        let is_past = |state: &SavedState| state.repaired.is_none_or(|repaired| repaired <= now);
        if !game.pilots().map(|pilot| u32::from(pilot.0)).eq(saved.members.authors())
            || !saved.members.states().all(is_past)
        {
            return Err(SnapshotError::Inconsistent);
        }
        let restore = |state: &SavedState| State::restored(state.repaired);
        let host: Host<View, State> = Host::restore(config.host(), saved.members, saved.log, now, restore);
        let mut room = Self::around(game, host, config);
        room.fillers = saved.fillers;
        for (_, member) in room.host.iter().filter(|(_, member)| member.lost_since() == Some(now)) {
            // Nobody holds the stick any more.
            room.game.control(member::pilot_of(member), game::Controls::default());
        }
        room.game.rows(&mut room.mirror);
        room.index_rows(now);
        room.balance_fillers();
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{
        message::{ClientMessage, Hello, Operation, Packet},
        room::Kind,
        token::{Key, Role},
    };
    use session::{
        save::{HEAD_BYTES, checksum},
        sim,
    };

    fn config() -> RoomConfig {
        let key = Key::new("a secret of enough length").unwrap();
        RoomConfig::new("arena-m1", key, 1, 1, include_str!("../../../assets/tuning.ron")).unwrap()
    }

    fn busy_room() -> Vec<u8> {
        let (mut room, mut number) = (Room::new(config()), 0);
        for name in ["Ada", "Bob", "Cyd"] {
            let hello = Hello::to(Kind::Arena, crate::wire::version(), name, 1);
            number += 1;
            room.connect(sim::connection(number), &hello, Some(Role::Member));
            let chat = ClientMessage::Operation { number: 1, operation: Operation::Chat("hello".to_owned()) };
            room.receive(sim::connection(number), Packet::Session(chat));
        }
        (0..400).for_each(|_| room.tick());
        room.save()
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
            for head in [&b"ROOM\x03\0\0\0        \x05arena\x07\0\0\0"[..], b"ROOM\x02\xa3\x44\x41        \x07\0\0\0"] {
                let begun = with_checksum([head, &bytes].concat());
                prop_assert!(matches!(Room::restore(config(), &begun), Err(SnapshotError::Unreadable(_))));
            }
        }
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let good = busy_room();
        assert!(Room::restore(config(), &good).is_ok());
        let refusal = |bytes: &[u8]| match Room::restore(config(), bytes).map(|_| ()) {
            Err(SnapshotError::Unreadable(reason)) => reason,
            other => panic!("{other:?}"),
        };
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            match at {
                0..4 => assert_eq!(refusal(&bad), Unreadable::Foreign),
                4..8 => assert!(matches!(refusal(&bad), Unreadable::OtherFormat(_))),
                _ => assert_eq!(refusal(&bad), Unreadable::Damaged, "at {at}"),
            }
        }
        for length in (0..good.len()).step_by(97) {
            let expected = if length < 8 { Unreadable::Foreign } else { Unreadable::Damaged };
            assert_eq!(refusal(&good[..length]), expected);
        }
        assert_eq!(refusal(&[&good[..], &[0]].concat()), Unreadable::Damaged);
    }

    /// Damage that the checksum knows nothing of: a room either refuses it or lives with it.
    #[test]
    fn what_is_taken_up_can_be_played() {
        let good = busy_room();
        let value = good.iter().position(|byte| *byte == b'{').unwrap();
        let numbers: Vec<_> = (value..good.len()).filter(|at| good[*at].is_ascii_digit()).collect();
        let (mut seed, mut taken) = (1_u64, 0);
        let mut draw = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..1000 {
            let mut bad = good.clone();
            for _ in 0..=draw(2) {
                let at = numbers[draw(numbers.len())];
                bad[at] = b'0' + draw(10) as u8;
            }
            if let Ok(mut room) = Room::restore(config(), &with_checksum(bad)) {
                taken += 1;
                (0..40).for_each(|_| room.tick());
                assert!(Room::restore(config(), &room.save()).is_ok(), "what it became can be taken up too");
            }
        }
        assert!((100..950).contains(&taken), "{taken} of 1000 were taken up: the test tests nothing");
    }
}
