//! Signed tokens: join tickets, resume tokens, replay states.
//!
//! Path: a `sign_*` on one side, the matching `verify_*` on the other; both are HMAC-SHA-256 (RFC 2104) under one
//! shared secret, with the purpose inside the signed text so that one kind can never pass for another.
//! Invariants: the secret never travels; comparison takes constant time; the text has no `;` (Fly-Replay's separator).
//! Never: a clock (unix seconds are an argument), a store (who used a ticket is the caller's to remember).

use crate::{limits, room::durable_id};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Shortest secret accepted. Policy: refuse to start.
pub const SECRET_MIN_BYTES: usize = 16;
/// Clocks of two machines may differ by this much: a machine that measures a difference of more than 10 s does not start, and
/// what measuring leaves open and whole seconds take is in it. Policy: a token from further in the future is refused.
pub const CLOCK_SKEW_MAX_S: u64 = 12;
/// Bytes of the HMAC that are kept: 128 bits are beyond guessing for things that live a minute.
const MAC_BYTES: usize = 16;

/// The signing secret that lobby and gameservers share.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Not of the form these functions write, or too long.
    Malformed,
    /// The signature is not ours, or it was made for something else.
    Forged,
    /// Valid once, too old now (or from too far in the future).
    Expired,
}

impl std::fmt::Display for TokenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is malformed",
            Self::Forged => "the token's signature does not match",
            Self::Expired => "the token has expired",
        })
    }
}

impl std::error::Error for TokenError {}

/// What the holder of a join ticket may have opened, if the room is not open yet. Each grants what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// Nothing: for whoever only looks into a room that is open.
    Watch,
    /// The machine's own public room, and a private room that was kept.
    Enter,
    /// Another machine's public room that was kept: that machine is lost.
    Move,
    /// A private room of a name that was never used before.
    Open,
}

impl Grant {
    /// Every grant.
    pub const ALL: [Self; 4] = [Self::Watch, Self::Enter, Self::Move, Self::Open];

    /// As it stands in a ticket.
    fn word(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Enter => "enter",
            Self::Move => "move",
            Self::Open => "open",
        }
    }
}

/// What somebody may do in a room. Each may do what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// See, and change nothing.
    Reader,
    /// Take part.
    Member,
    /// Keep order among the members.
    Moderator,
    /// Decide about the room: whoever had it made.
    Host,
    /// Change what the room goes by while it runs.
    Designer,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 5] = [Self::Reader, Self::Member, Self::Moderator, Self::Host, Self::Designer];

    /// As it stands in tokens.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Host => "host",
            Self::Designer => "designer",
        }
    }

    /// The role that is called this.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// What a verified join ticket says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// What may be opened for it.
    pub grant: Grant,
    /// What its holder may do there.
    pub role: Role,
    /// Unique per ticket; the room's machine accepts each once.
    pub nonce: u64,
    /// Unix seconds after which it is void.
    pub expires_s: u64,
}

/// What a verified resume token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The life of the room in which the member came: a member of another life may have the same number.
    pub epoch: u32,
    /// The member.
    pub member: u32,
    /// Counts the member's connections; only the newest token is good.
    pub generation: u32,
    /// What the member may do.
    pub role: Role,
}

impl Key {
    /// A key from the shared secret; `None` when it is shorter than [`SECRET_MIN_BYTES`].
    pub fn new(secret: &str) -> Option<Self> {
        (secret.len() >= SECRET_MIN_BYTES)
            .then(|| Self(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length")))
    }

    /// A ticket for one join of `room`, by whichever of its names, on `instance`, void `TICKET_TTL_S` after `now_s`. Form:
    /// `grant.nonce.expires.role.mac`.
    pub fn sign_ticket(
        &self,
        (instance, room): (&str, &str),
        (grant, role): (Grant, Role),
        nonce: u64,
        now_s: u64,
    ) -> String {
        let ticket = Ticket { grant, role, nonce, expires_s: now_s + limits::TICKET_TTL_S };
        let mac = truncated(self.ticket_hmac(instance, room, ticket));
        format!("{}.{nonce:x}.{}.{}.{mac}", grant.word(), ticket.expires_s, role.word())
    }

    /// Checks a ticket's signature, place and age; whether it was used before is the caller's to know.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify_ticket(&self, text: &str, instance: &str, room: &str, now_s: u64) -> Result<Ticket, TokenError> {
        let [word, nonce, expires, role, mac] = split(text)?;
        let grant = Grant::ALL.into_iter().find(|grant| grant.word() == word).ok_or(TokenError::Malformed)?;
        let nonce = u64::from_str_radix(nonce, 16).map_err(|_| TokenError::Malformed)?;
        let expires_s: u64 = expires.parse().map_err(|_| TokenError::Malformed)?;
        let role = Role::from_word(role).ok_or(TokenError::Malformed)?;
        let ticket = Ticket { grant, role, nonce, expires_s };
        verify(self.ticket_hmac(instance, room, ticket), mac)?;
        if now_s > expires_s || expires_s > now_s + limits::TICKET_TTL_S + CLOCK_SKEW_MAX_S {
            return Err(TokenError::Expired);
        }
        Ok(ticket)
    }

    fn ticket_hmac(&self, instance: &str, room: &str, ticket: Ticket) -> Hmac<Sha256> {
        let Ticket { grant, role, nonce, expires_s } = ticket;
        let id = durable_id(instance, room);
        self.hmac(&["ticket", instance, &id, grant.word(), &nonce.to_string(), &expires_s.to_string(), role.word()])
    }

    /// A resume token of the room with this durable id. It has no age of its own: the member's grace ends it. Form:
    /// `epoch.member.generation.role.mac`.
    pub fn sign_resume(&self, room: &str, resume: Resume) -> String {
        let [epoch, member, generation] = [resume.epoch, resume.member, resume.generation].map(|n| n.to_string());
        let role = resume.role.word();
        let mac = self.mac(&["resume", room, &epoch, &member, &generation, role]);
        format!("{epoch}.{member}.{generation}.{role}.{mac}")
    }

    /// Checks a resume token; whether its generation is the newest is the caller's to know.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] or [`TokenError::Forged`] (a token of another room is forged here).
    pub fn verify_resume(&self, text: &str, room: &str) -> Result<Resume, TokenError> {
        let [epoch, member, generation, role, mac] = split(text)?;
        self.check(mac, &["resume", room, epoch, member, generation, role])?;
        let number = |digits: &str| digits.parse().map_err(|_| TokenError::Malformed);
        let role = Role::from_word(role).ok_or(TokenError::Malformed)?;
        Ok(Resume { epoch: number(epoch)?, member: number(member)?, generation: number(generation)?, role })
    }

    /// The state of a Fly-Replay for this request path (without query). Form: `time.hop.mac`.
    pub fn sign_replay(&self, instance: &str, path: &str, now_s: u64, hop: u8) -> String {
        let (time, hop) = (now_s.to_string(), hop.to_string());
        format!("{time}.{hop}.{}", self.mac(&["replay", instance, path, &time, &hop]))
    }

    /// Checks a replay state and returns its hop: 0 from the lobby, 1 when a gameserver sent it on.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify_replay(&self, text: &str, instance: &str, path: &str, now_s: u64) -> Result<u8, TokenError> {
        let (signed_s, hop) = self.replay_time(text, instance, path)?;
        if now_s > signed_s + limits::REPLAY_TTL_S || signed_s > now_s + CLOCK_SKEW_MAX_S {
            return Err(TokenError::Expired);
        }
        Ok(hop)
    }

    /// When the replay state was signed, unix seconds, and its hop; however long ago that was.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] or [`TokenError::Forged`].
    pub fn replay_time(&self, text: &str, instance: &str, path: &str) -> Result<(u64, u8), TokenError> {
        let [time, hop, mac] = split(text)?;
        self.check(mac, &["replay", instance, path, time, hop])?;
        let (signed_s, hop) = (time.parse(), hop.parse());
        Ok((signed_s.map_err(|_| TokenError::Malformed)?, hop.map_err(|_| TokenError::Malformed)?))
    }

    /// The proof that a private room was made for its holder, for the room's durable id. It lasts as long as the secret. Form:
    /// the MAC alone.
    pub fn sign_host(&self, room: &str) -> String {
        self.mac(&["host", room])
    }

    /// Checks a proof that a room was made for its holder.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] or [`TokenError::Forged`] (the proof of another room is forged here).
    pub fn verify_host(&self, text: &str, room: &str) -> Result<(), TokenError> {
        self.check(text, &["host", room])
    }

    fn mac(&self, parts: &[&str]) -> String {
        truncated(self.hmac(parts))
    }

    fn check(&self, mac: &str, parts: &[&str]) -> Result<(), TokenError> {
        verify(self.hmac(parts), mac)
    }

    /// Each part goes in behind its length, so that no two lists of parts sign the same text.
    pub(crate) fn hmac(&self, parts: &[&str]) -> Hmac<Sha256> {
        let mut hmac = self.0.clone();
        for part in parts {
            hmac.update(&(part.len() as u64).to_le_bytes());
            hmac.update(part.as_bytes());
        }
        hmac
    }
}

fn truncated(hmac: Hmac<Sha256>) -> String {
    hex(&hmac.finalize().into_bytes()[..MAC_BYTES])
}

fn verify(hmac: Hmac<Sha256>, mac: &str) -> Result<(), TokenError> {
    let bytes = unhex(mac).ok_or(TokenError::Malformed)?;
    hmac.verify_truncated_left(&bytes).map_err(|_| TokenError::Forged)
}

fn split<const PARTS: usize>(text: &str) -> Result<[&str; PARTS], TokenError> {
    if text.len() > limits::TOKEN_MAX_BYTES {
        return Err(TokenError::Malformed);
    }
    let parts: Vec<&str> = text.split('.').collect();
    parts.try_into().map_err(|_| TokenError::Malformed)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; MAC_BYTES]> {
    if text.len() != MAC_BYTES * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; MAC_BYTES];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key {
        Key::new("a secret of enough length").unwrap()
    }

    #[test]
    fn short_secrets_are_refused() {
        assert!(Key::new("short").is_none());
    }

    /// SPEC S3.3.
    #[test]
    fn a_ticket_is_good_for_its_place_and_time_only() {
        let ticket = key().sign_ticket(("m1", "arena"), (Grant::Enter, Role::Member), 99, 1000);
        let said = Ticket { grant: Grant::Enter, role: Role::Member, nonce: 99, expires_s: 1060 };
        assert_eq!(key().verify_ticket(&ticket, "m1", "arena", 1030), Ok(said));
        assert_eq!(key().verify_ticket(&ticket, "m2", "arena", 1030), Err(TokenError::Forged));
        assert_eq!(key().verify_ticket(&ticket, "m1", "other", 1030), Err(TokenError::Forged));
        assert!(key().verify_ticket(&ticket, "m1", "arena-m1", 1030).is_ok(), "the same room by its other name");
        assert_eq!(key().verify_ticket(&ticket, "m1", "arena", 1061), Err(TokenError::Expired));
        assert_eq!(key().verify_ticket(&ticket, "m1", "arena", 900), Err(TokenError::Expired));
        let stranger = Key::new("another secret, also long").unwrap();
        assert_eq!(stranger.verify_ticket(&ticket, "m1", "arena", 1030), Err(TokenError::Forged));
    }

    #[test]
    fn what_a_ticket_grants_is_signed() {
        for grant in Grant::ALL {
            let ticket = key().sign_ticket(("m1", "field-a"), (grant, Role::Member), 99, 1000);
            assert_eq!(key().verify_ticket(&ticket, "m1", "field-a", 1030).map(|said| said.grant), Ok(grant));
            for other in Grant::ALL.into_iter().filter(|other| *other != grant) {
                let raised = ticket.replacen(grant.word(), other.word(), 1);
                assert_eq!(key().verify_ticket(&raised, "m1", "field-a", 1030), Err(TokenError::Forged), "{raised}");
            }
        }
        for text in
            ["99.1060.00", "all.63.1060.member.00", ".63.1060.member.00", "open.63.1060.00", "open.63.1060.king.00"]
        {
            assert_eq!(key().verify_ticket(text, "m1", "field-a", 1030), Err(TokenError::Malformed), "{text}");
        }
    }

    #[test]
    fn what_a_holder_may_do_is_signed() {
        for role in Role::ALL {
            let ticket = key().sign_ticket(("m1", "field-a"), (Grant::Enter, role), 99, 1000);
            let token = key().sign_resume("field-a", Resume { epoch: 1, member: 5, generation: 2, role });
            assert_eq!(key().verify_ticket(&ticket, "m1", "field-a", 1030).map(|said| said.role), Ok(role));
            assert_eq!(key().verify_resume(&token, "field-a").map(|said| said.role), Ok(role));
            for other in Role::ALL.into_iter().filter(|other| *other != role) {
                let [ticket, token] = [&ticket, &token].map(|text| text.replacen(role.word(), other.word(), 1));
                assert_eq!(key().verify_ticket(&ticket, "m1", "field-a", 1030), Err(TokenError::Forged), "{ticket}");
                assert_eq!(key().verify_resume(&token, "field-a"), Err(TokenError::Forged), "{token}");
            }
        }
    }

    /// SPEC S3.9.
    #[test]
    fn a_hosts_proof_is_good_for_its_room_only() {
        let proof = key().sign_host("arena-p-a");
        assert_eq!(key().verify_host(&proof, "arena-p-a"), Ok(()));
        assert_eq!(key().verify_host(&proof, "arena-p-b"), Err(TokenError::Forged));
        assert_eq!(key().verify_host(&proof[1..], "arena-p-a"), Err(TokenError::Malformed));
        let stranger = Key::new("another secret, also long").unwrap();
        assert_eq!(stranger.verify_host(&proof, "arena-p-a"), Err(TokenError::Forged), "the secret was changed");
    }

    /// SPEC S11.1.
    #[test]
    fn a_replay_state_is_good_for_its_path_only() {
        let state = key().sign_replay("m1", "/gameserver/m1/arena", 1000, 0);
        assert!(!state.contains(';'));
        assert_eq!(key().verify_replay(&state, "m1", "/gameserver/m1/arena", 1001), Ok(0));
        assert_eq!(key().verify_replay(&state, "m1", "/gameserver/m1/else", 1001), Err(TokenError::Forged));
        assert_eq!(key().verify_replay(&state, "m1", "/gameserver/m1/arena", 1031), Err(TokenError::Expired));
        assert_eq!(key().verify_replay(&state, "m1", "/gameserver/m1/arena", 1000 - CLOCK_SKEW_MAX_S), Ok(0));
        let early_s = 999 - CLOCK_SKEW_MAX_S;
        assert_eq!(key().verify_replay(&state, "m1", "/gameserver/m1/arena", early_s), Err(TokenError::Expired));
        assert_eq!(key().replay_time(&state, "m1", "/gameserver/m1/arena"), Ok((1000, 0)));
        assert_eq!(
            key().verify_replay(&state.replace(".0.", ".1."), "m1", "/gameserver/m1/arena", 1001),
            Err(TokenError::Forged)
        );
    }

    /// SPEC S3.7.
    #[test]
    fn one_kind_never_passes_for_another() {
        let resume = Resume { epoch: 1, member: 5, generation: 2, role: Role::Member };
        let text = key().sign_resume("arena-m1", resume);
        assert_eq!(key().verify_resume(&text, "arena-m1"), Ok(resume));
        assert_eq!(key().verify_resume(&text, "arena-m2"), Err(TokenError::Forged));
        assert_eq!(key().verify_resume(&text.replacen("1.", "2.", 1), "arena-m1"), Err(TokenError::Forged));
        assert!(key().verify_ticket(&text, "m1", "arena", 0).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,300}") {
            prop_assert!(key().verify_ticket(&text, "m", "r", 0).is_err());
            prop_assert!(key().verify_resume(&text, "r").is_err());
            prop_assert!(key().verify_host(&text, "r").is_err());
            prop_assert!(key().verify_replay(&text, "m", "/p", 0).is_err());
        }
    }
}
