//! Events, standings and figures as JSON for the page (`web-client/shared/session.ts`, `web-client/arena/client-event.ts`).

use arena::{Client, ClientEvent, ClientStats, Spot};
use protocol::{
    TICK_HZ,
    message::{Event, PARTS_PER_TICK},
};
use serde_json::{Value, json};
use session::SessionEvent;

/// One event of the client.
pub(crate) fn client_event(event: &ClientEvent, client: &mut Client) -> String {
    match event {
        ClientEvent::Session(SessionEvent::Welcomed { resumed, continues, profile, history }) => {
            let lines: Vec<Value> = history.iter().filter_map(chat_line).collect();
            let (member, name, hue) = (client.pilot(), &profile.name, profile.hue);
            json!({
                "type": "welcome", "member": member, "resumed": resumed, "continues": continues,
                "name": name, "hue": hue, "history": lines,
            })
        }
        ClientEvent::Session(SessionEvent::Entry(entry)) => self::entry(entry, client),
        ClientEvent::Session(SessionEvent::Notice(text)) => json!({"type": "notice", "text": text}),
        ClientEvent::Session(SessionEvent::Service { level, is_slow }) => {
            json!({"type": "service", "level": level.number(), "slow": is_slow})
        }
        ClientEvent::ClockJumped { ms, is_own } => json!({"type": "jump", "ms": ms, "own": is_own}),
        ClientEvent::Session(SessionEvent::Ended { code, .. }) => json!({"type": "ended", "code": code}),
        ClientEvent::Hit(at) => spot("hit", *at),
        ClientEvent::Explosion(at) => spot("explosion", *at),
        ClientEvent::Shot(at) => spot("shot", *at),
    }
    .to_string()
}

/// An entry of the room's event log.
fn entry(entry: &Event, client: &mut Client) -> Value {
    match entry {
        Event::Chat { pilot, name, text } => json!({"type": "chat", "member": pilot, "name": name, "text": text}),
        Event::Kill { killer, victim, rammed, view_delay } => json!({
            "type": "kill", "killer": killer, "victim": victim, "rammed": rammed, "behind_ms": ms_of_parts(*view_delay),
            "killer_name": name(client, *killer), "victim_name": name(client, *victim),
        }),
        Event::Joined { pilot, profile } => json!({"type": "joined", "member": pilot, "name": profile.name}),
        Event::Left { pilot, name } => json!({"type": "left", "member": pilot, "name": name}),
    }
}

/// 16ths of a tick as milliseconds.
fn ms_of_parts(parts: u8) -> f64 {
    f64::from(parts) * 1000.0 / f64::from(TICK_HZ * PARTS_PER_TICK)
}

fn chat_line(entry: &Event) -> Option<Value> {
    match entry {
        Event::Chat { pilot, name, text } => Some(json!({"member": pilot, "name": name, "text": text})),
        _ => None,
    }
}

fn spot(kind: &str, at: Spot) -> Value {
    json!({"type": kind, "pilot": at.pilot, "x": at.x, "y": at.y})
}

/// A call sign, or a stand-in until it is known.
fn name(client: &mut Client, pilot: u16) -> String {
    client.profile(pilot).map_or_else(|| format!("Pilot {pilot}"), |profile| profile.name.clone())
}

/// The top list.
pub(crate) fn standings(client: &mut Client) -> String {
    let lines = client
        .standings()
        .into_iter()
        .map(|(rank, pilot, score)| json!({"rank": rank, "pilot": pilot, "name": name(client, pilot), "score": score}));
    Value::Array(lines.collect()).to_string()
}

/// Figures of the line.
pub(crate) fn stats(stats: &ClientStats) -> String {
    json!({
        "rtt_ms": stats.rtt_ms, "jitter_ms": stats.jitter_ms, "lead_ticks": stats.lead_ticks,
        "ahead_ticks": stats.ahead_ticks, "interp_ticks": stats.delay_ticks, "frames": stats.frames,
        "bytes_in": stats.bytes_in, "bytes_out": stats.bytes_out,
        "corrections": stats.corrections, "correction_lengths": stats.correction_lengths, "late_packets": stats.late_packets,
        "shots_met": stats.shots.met, "shots_confirmed": stats.shots.confirmed, "shots_unseen": stats.shots.unseen,
    })
    .to_string()
}
