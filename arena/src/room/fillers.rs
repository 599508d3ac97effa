//! Profiles of the computer pilots that fill an empty room.

use game::PilotId;
use protocol::profile::Profile;

/// First names of aviators and cloud types: short, friendly, told apart at a glance.
const CALL_SIGNS: [&str; 32] = [
    "Amelia",
    "Bessie",
    "Cirrus",
    "Dumont",
    "Elly",
    "Fulmar",
    "Garros",
    "Hanna",
    "Icarus",
    "Jorge",
    "Kestrel",
    "Lilienthal",
    "Maryse",
    "Nimbus",
    "Otto",
    "Petrel",
    "Quimby",
    "Raymonde",
    "Stratus",
    "Tern",
    "Ursula",
    "Vesna",
    "Wren",
    "Xavier",
    "Yvonne",
    "Zephyr",
    "Alcock",
    "Bleriot",
    "Cumulus",
    "Dunlin",
    "Earhart",
    "Fokker",
];

/// How this filler appears.
pub(crate) fn profile(pilot: PilotId) -> Profile {
    let name = CALL_SIGNS[usize::from(pilot.0) % CALL_SIGNS.len()];
    Profile { name: name.to_owned(), hue: (pilot.0 % 8) as u8, is_bot: true }
}
