//! The room's numbered log: what was said, who came and left, and what else a kind tells everybody.
//!
//! Path: [`Log::push`] numbers and encodes an entry once; a member's frames carry what lies after its [`LogCursor`]
//! ([`Section::encode_after`]).
//! Invariants: numbers grow by one and start at 1; an entry's bytes never change; a reader that fell behind the log
//! sees from the numbers that it missed something. Lines are kept apart as well, for newcomers.

use bytes::Bytes;
use protocol::{
    entry::{Entry, Line, Talk},
    frame::encode_entries,
    limits::{CHAT_HISTORY_MAX_LINES, FRAME_ENTRIES_MAX_COUNT},
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Entries kept for readers that fell behind. Policy: forgotten; the reader sees a gap.
const LOG_MAX_COUNT: usize = 512;

/// Entries, newest last.
#[derive(Debug, Default)]
pub struct Log {
    last: u32,
    /// The last entry that is kept, whatever happens to the machine.
    kept: u32,
    entries: VecDeque<Bytes>,
    chat: VecDeque<Entry>,
}

/// What a member was told of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogCursor {
    /// The newest entry that was handed over.
    pub entry: u32,
    /// The last kept entry that was told.
    pub kept: u32,
}

/// The section of a frame encoded last: nearly everybody wants the same.
#[derive(Debug, Default)]
pub struct Section {
    /// The cursor it lies behind, and the one after it.
    from: LogCursor,
    to: LogCursor,
    /// The newest entry then.
    last: u32,
    bytes: Vec<u8>,
}

/// What lasts of a log: the newest number, and the talk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLog {
    last: u32,
    #[serde(default)]
    chat: Vec<SavedLine>,
}

/// An entry that is a line, by the names of its fields, which a body does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedLine {
    number: u32,
    author: u32,
    line: Line,
}

impl SavedLog {
    /// Whether a room could have written it: numbers below `number_max`, and lines that a room would have taken.
    pub(crate) fn is_sound(&self, number_max: u32) -> bool {
        let are_numbered = self.chat.is_sorted_by(|a, b| a.number < b.number)
            && self.chat.last().is_none_or(|newest| newest.number <= self.last);
        let is_chat = self.chat.len() <= CHAT_HISTORY_MAX_LINES
            && self.chat.iter().all(|line| line.clone().entry().is_sound_chat());
        self.last <= number_max && are_numbered && is_chat
    }
}

impl SavedLine {
    fn of(entry: &Entry) -> Option<Self> {
        let Ok(Some(Talk::Chat(line))) = entry.talk() else { return None };
        Some(Self { number: entry.number, author: entry.author, line })
    }

    fn entry(self) -> Entry {
        Talk::Chat(self.line).entry(self.number, self.author)
    }
}

impl Log {
    /// Numbers an entry and keeps it; `entry` makes it of its number.
    pub fn push(&mut self, entry: impl FnOnce(u32) -> Entry) -> u32 {
        self.last += 1;
        let entry = entry(self.last);
        self.entries.push_back(Bytes::from(entry.encode()));
        if self.entries.len() > LOG_MAX_COUNT {
            self.entries.pop_front();
        }
        if entry.is_chat() {
            self.chat.push_back(entry);
            if self.chat.len() > CHAT_HISTORY_MAX_LINES {
                self.chat.pop_front();
            }
        }
        self.last
    }

    /// Everything up to this entry is kept, whatever happens to the machine.
    pub(crate) fn note_kept(&mut self, entry: u32) {
        self.kept = self.kept.max(entry.min(self.last));
    }

    /// What lasts of it.
    pub(crate) fn save(&self) -> SavedLog {
        SavedLog { last: self.last, chat: self.chat.iter().filter_map(SavedLine::of).collect() }
    }

    /// The log of a room that is restored: numbers go on, talk is there, and whoever comes has seen the rest.
    pub(crate) fn restore(saved: SavedLog) -> Self {
        let chat = saved.chat.into_iter().map(SavedLine::entry).collect();
        Self { last: saved.last, chat, ..Self::default() }
    }

    /// Number of the newest entry, 0 before the first.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// What somebody knows who was told everything.
    pub fn end(&self) -> LogCursor {
        LogCursor { entry: self.last, kept: self.kept }
    }

    /// The talk a newcomer sees, oldest first.
    pub fn history(&self) -> Vec<Entry> {
        self.chat.iter().cloned().collect()
    }
}

impl Section {
    /// Appends a frame's section of entries: those after the cursor, as many as one frame may carry; moves the cursor.
    pub fn encode_after(&mut self, log: &Log, cursor: &mut LogCursor, bytes: &mut Vec<u8>) {
        if (self.from, self.last, self.to.kept) != (*cursor, log.last, log.kept) || self.bytes.is_empty() {
            self.encode(log, *cursor);
        }
        bytes.extend_from_slice(&self.bytes);
        *cursor = self.to;
    }

    fn encode(&mut self, log: &Log, from: LogCursor) {
        let oldest = log.last + 1 - log.entries.len() as u32;
        let first = (from.entry + 1).max(oldest);
        let count = ((log.last + 1 - first) as usize).min(FRAME_ENTRIES_MAX_COUNT);
        let skipped = (first - oldest) as usize;
        let entries = log.entries.range(skipped..skipped + count).map(|entry| &entry[..]);
        self.bytes.clear();
        encode_entries(&mut self.bytes, log.kept, (from.entry, first), entries);
        let to = LogCursor { entry: first + count as u32 - 1, kept: log.kept };
        (self.from, self.to, self.last) = (from, to, log.last);
    }
}
