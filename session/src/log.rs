//! The room's numbered log: chat, who came and left, and what else a kind tells everybody.
//!
//! Path: [`Log::push`] numbers and encodes an entry once; a member's frames carry what lies after its cursor
//! ([`Section::encode_after`]).
//! Invariants: numbers grow by one and start at 1; an entry's bytes never change; a reader that fell behind the log
//! sees from the numbers that it missed something. Chat is kept apart as well, for newcomers.

use bytes::Bytes;
use protocol::{
    limits::{CHAT_HISTORY_MAX_LINES, FRAME_EVENTS_MAX_COUNT},
    message::Event,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Entries kept for readers that fell behind. Policy: forgotten; the reader sees a gap.
const LOG_MAX_COUNT: usize = 512;

/// Entries, newest last.
#[derive(Debug, Default)]
pub struct Log {
    last: u32,
    entries: VecDeque<Bytes>,
    chat: VecDeque<Event>,
}

/// The section of a frame encoded last: nearly everybody wants the same.
#[derive(Debug, Default)]
pub struct Section {
    /// The cursor it lies behind, and the newest entry then.
    cursor: u32,
    last: u32,
    bytes: Vec<u8>,
    next_cursor: u32,
}

/// What lasts of a log: the newest number, and the chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLog {
    last: u32,
    chat: Vec<Event>,
}

impl SavedLog {
    /// Whether a room could have written it: numbers below `number_max`, and lines that a room would have taken.
    pub(crate) fn is_sound(&self, number_max: u32) -> bool {
        let is_chat = self.chat.len() <= CHAT_HISTORY_MAX_LINES && self.chat.iter().all(Event::is_chat);
        self.last <= number_max && is_chat
    }
}

impl Log {
    /// Numbers an entry and keeps it.
    pub fn push(&mut self, entry: Event) {
        self.last += 1;
        self.entries.push_back(Bytes::from(entry.encode()));
        if self.entries.len() > LOG_MAX_COUNT {
            self.entries.pop_front();
        }
        if matches!(entry, Event::Chat { .. }) {
            self.chat.push_back(entry);
            if self.chat.len() > CHAT_HISTORY_MAX_LINES {
                self.chat.pop_front();
            }
        }
    }

    /// What lasts of it.
    pub(crate) fn save(&self) -> SavedLog {
        SavedLog { last: self.last, chat: self.history() }
    }

    /// The log of a room that is restored: numbers go on, chat is kept, and whoever comes has seen the rest.
    pub(crate) fn restore(saved: SavedLog) -> Self {
        Self { last: saved.last, chat: saved.chat.into(), ..Self::default() }
    }

    /// Number of the newest entry, 0 before the first.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// The chat a newcomer sees, oldest first.
    pub fn history(&self) -> Vec<Event> {
        self.chat.iter().cloned().collect()
    }
}

impl Section {
    /// Appends a frame's section of entries: those after `cursor`, as many as one frame may carry; returns the new cursor.
    ///
    /// Bytes: number of the first (u32 LE), count (u8), then per entry its length (u16 LE) and bytes.
    pub fn encode_after(&mut self, log: &Log, cursor: u32, bytes: &mut Vec<u8>) -> u32 {
        if (self.cursor, self.last) != (cursor, log.last) {
            self.encode(log, cursor);
        }
        bytes.extend_from_slice(&self.bytes);
        self.next_cursor
    }

    fn encode(&mut self, log: &Log, cursor: u32) {
        let oldest = log.last + 1 - log.entries.len() as u32;
        let first = (cursor + 1).max(oldest);
        let count = ((log.last + 1 - first) as usize).min(FRAME_EVENTS_MAX_COUNT);
        self.bytes.clear();
        self.bytes.extend_from_slice(&first.to_le_bytes());
        self.bytes.push(count as u8);
        for entry in log.entries.iter().skip((first - oldest) as usize).take(count) {
            self.bytes.extend_from_slice(&(entry.len() as u16).to_le_bytes());
            self.bytes.extend_from_slice(entry);
        }
        (self.cursor, self.last, self.next_cursor) = (cursor, log.last, first + count as u32 - 1);
    }
}
