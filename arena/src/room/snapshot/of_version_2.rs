//! Saves of before fields had names: one value in bincode, of which every version needed the very shape.
//!
//! Path: [`read`] recognises the last such format by its number and gives what is in it by names, as if it had been saved
//! like that.
//! Invariant: the structs here are that format: their order, and what stands in `PLANE`, `BULLET` and `SECTOR`, never
//! change. Names are those of the oldest save that has some; what is called otherwise since is the reader's business.
//! Can go when no store has such a save any more.

use protocol::{codec, limits::SNAPSHOT_MAX_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use session::save::{self, Unreadable};

/// 2 in the low 8 bits, above them a hash of all kinds and fields as they were then.
const FORMAT: u32 = 0x4144_a302;
const TICK_BYTES: usize = 4;

type Fields = [i32; 16];

const PLANE: [&str; 15] = [
    "x", "y", "heading", "speed", "steer", "throttle", "boost", "fire", "health", "energy", "cooldown", "shield",
    "shots", "unrest", "reel",
];
const BULLET: [&str; 5] = ["x", "y", "vx", "vy", "ttl"];
const SECTOR: [&str; 16] =
    ["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15"];

#[derive(Deserialize)]
struct Saved {
    game: Game,
    members: Members,
    fillers: Vec<u16>,
    log: Log,
}

#[derive(Deserialize)]
struct Game {
    tick: u32,
    seed: u64,
    field_cells: i32,
    last_pilot: u16,
    is_board_stale: bool,
    minimap: Vec<Fields>,
    pilots: Vec<(Pilot, [Past; 16], Option<Fields>)>,
    bullets: Vec<(u32, Fields)>,
}

#[derive(Serialize, Deserialize)]
struct Pilot {
    id: u16,
    is_bot: bool,
    wanted: Controls,
    view_delay: u32,
    status: Status,
    score: i32,
    shots: i32,
    is_leaving: bool,
}

#[derive(Serialize, Deserialize)]
struct Controls {
    steer: i32,
    throttle: i32,
    boost: bool,
    fire: bool,
}

#[derive(Serialize, Deserialize)]
enum Status {
    New,
    Flying,
    Down { since: u32, is_ready: bool },
    Returning(SpawnPoint),
}

#[derive(Serialize, Deserialize)]
struct SpawnPoint {
    tick: u32,
    at: (i32, i32),
    heading: i32,
}

#[derive(Deserialize)]
struct Past {
    tick: u32,
    place: (i32, i32),
    is_open: bool,
}

#[derive(Serialize, Deserialize)]
struct Members {
    next: u32,
    members: Vec<(u32, Member)>,
    profiles: Vec<(u16, Profile)>,
}

#[derive(Serialize, Deserialize)]
struct Member {
    author: u16,
    epoch: u32,
    generation: u32,
    confirmed: u32,
    is_connected: bool,
    heard: u32,
    chat_full_at: u32,
    #[serde(serialize_with = "state")]
    state: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Profile {
    name: String,
    hue: u8,
    is_bot: bool,
}

#[derive(Deserialize)]
struct Log {
    last: u32,
    chat: Vec<Event>,
}

/// Only chat was kept.
#[derive(Deserialize)]
enum Event {
    Chat { pilot: u16, name: String, text: String },
}

/// What is in a save of this format, by names; `None`: it is in another format.
///
/// # Errors
/// [`Unreadable::Damaged`]: nothing that this format says.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Value, Unreadable>> {
    let body = save::unseal(bytes).ok().filter(|(format, _)| *format == FORMAT).map(|(_, body)| body)?;
    let saved = body.get(TICK_BYTES..).and_then(|value| codec::decode::<Saved, SNAPSHOT_MAX_BYTES>(value).ok());
    Some(saved.map(named).ok_or(Unreadable::Damaged))
}

fn named(saved: Saved) -> Value {
    let Saved { game, members, fillers, log } = saved;
    json!({ "game": named_game(game), "members": members, "fillers": fillers, "log": named_log(log) })
}

/// Lines did not tell their number or time: they count as the newest entries, of no known time.
fn named_log(log: Log) -> Value {
    let first = log.last.saturating_sub(log.chat.len() as u32) + 1;
    let line = |(number, event): (u32, Event)| {
        let Event::Chat { pilot, name, text } = event;
        json!({ "number": number, "author": pilot, "line": { "name": name, "text": text, "at_s": 0 } })
    };
    let chat: Vec<_> = (first..).zip(log.chat).map(line).collect();
    json!({ "last": log.last, "chat": chat })
}

fn named_game(game: Game) -> Value {
    let Game { tick, seed, field_cells, last_pilot, is_board_stale, minimap, pilots, bullets } = game;
    let planes = pilots.iter().filter_map(|(pilot, _, plane)| Some((pilot.id.into(), plane.as_ref()?.to_vec())));
    let pasts = pilots.iter().flat_map(|(pilot, pasts, _)| {
        let row = |past: &Past| vec![past.tick as i32, past.place.0, past.place.1, past.is_open.into()];
        pasts.iter().filter(|past| past.tick != 0).map(move |past| (pilot.id.into(), row(past)))
    });
    let lines = (0..).zip(minimap).map(|(line, fields)| (line, fields.to_vec()));
    let rows = json!({
        "plane": rows(&PLANE, planes),
        "bullet": rows(&BULLET, bullets.into_iter().map(|(id, fields)| (id, fields.to_vec()))),
        "sector": rows(&SECTOR, lines),
        "history": rows(&["tick", "x", "y", "is_open"], pasts),
    });
    let pilots: Vec<_> = pilots.into_iter().map(|(pilot, ..)| pilot).collect();
    json!({
        "tick": tick, "seed": seed, "field_cells": field_cells, "last_pilot": last_pilot,
        "is_board_stale": is_board_stale, "pilots": pilots, "rows": rows,
    })
}

fn rows(names: &[&str], rows: impl Iterator<Item = (u32, Vec<i32>)>) -> Value {
    let (ids, values): (Vec<_>, Vec<_>) = rows.unzip();
    let values: Vec<_> = values.iter().flat_map(|values| &values[..names.len()]).collect();
    json!({ "fields": names, "ids": ids, "values": values })
}

/// What the arena kept of a member, which had no name.
fn state<S: serde::Serializer>(repaired: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    json!({ "repaired": repaired }).serialize(serializer)
}
