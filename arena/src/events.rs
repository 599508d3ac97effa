//! The room's numbered log of events: chat, kills, joins.
//!
//! Path: `push` numbers and encodes an event once; a session's frames carry what lies after its cursor.
//! Invariants: numbers grow by one and start at 1; an entry's bytes never change; a reader that fell behind the log
//! sees from the numbers that it missed something. Chat is kept apart as well, for newcomers.

use bytes::Bytes;
use protocol::{
    limits::{CHAT_HISTORY_MAX_LINES, FRAME_EVENTS_MAX_COUNT},
    message::Event,
};
use std::collections::VecDeque;

/// Events kept for readers that fell behind. Policy: forgotten; the reader sees a gap.
const LOG_MAX_COUNT: usize = 512;

/// Events, newest last.
#[derive(Debug, Default)]
pub(crate) struct Events {
    last: u32,
    log: VecDeque<Bytes>,
    chat: VecDeque<Event>,
    section: Section,
}

/// The section encoded last: nearly everybody wants the same.
#[derive(Debug, Default)]
struct Section {
    /// The cursor it lies behind, and the newest event then.
    cursor: u32,
    last: u32,
    bytes: Vec<u8>,
    next_cursor: u32,
}

impl Events {
    /// Numbers an event and keeps it.
    pub(crate) fn push(&mut self, event: Event) {
        self.last += 1;
        self.log.push_back(Bytes::from(event.encode()));
        if self.log.len() > LOG_MAX_COUNT {
            self.log.pop_front();
        }
        if matches!(event, Event::Chat { .. }) {
            self.chat.push_back(event);
            if self.chat.len() > CHAT_HISTORY_MAX_LINES {
                self.chat.pop_front();
            }
        }
    }

    /// The log of a room that is taken up again: numbers go on, chat is kept, and whoever comes has seen the rest.
    pub(crate) fn restore(last: u32, chat: Vec<Event>) -> Self {
        Self { last, chat: chat.into(), ..Self::default() }
    }

    /// Number of the newest event, 0 before the first.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    /// The chat a newcomer sees, oldest first.
    pub(crate) fn history(&self) -> Vec<Event> {
        self.chat.iter().cloned().collect()
    }

    /// Appends a frame's event section: the events after `cursor`, as many as one frame may carry; returns the new cursor.
    ///
    /// Bytes: number of the first (u32 LE), count (u8), then per event its length (u16 LE) and bytes.
    pub(crate) fn encode_after(&mut self, cursor: u32, bytes: &mut Vec<u8>) -> u32 {
        if (self.section.cursor, self.section.last) != (cursor, self.last) {
            self.encode_section(cursor);
        }
        bytes.extend_from_slice(&self.section.bytes);
        self.section.next_cursor
    }

    fn encode_section(&mut self, cursor: u32) {
        let oldest = self.last + 1 - self.log.len() as u32;
        let first = (cursor + 1).max(oldest);
        let count = ((self.last + 1 - first) as usize).min(FRAME_EVENTS_MAX_COUNT);
        let bytes = &mut self.section.bytes;
        bytes.clear();
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.push(count as u8);
        for event in self.log.iter().skip((first - oldest) as usize).take(count) {
            bytes.extend_from_slice(&(event.len() as u16).to_le_bytes());
            bytes.extend_from_slice(event);
        }
        let section = &mut self.section;
        (section.cursor, section.last, section.next_cursor) = (cursor, self.last, first + count as u32 - 1);
    }
}
