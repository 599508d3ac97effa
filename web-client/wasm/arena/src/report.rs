//! Events, standings and figures as JSON for the page (`web-client/shared/session.ts`, `web-client/arena/client-event.ts`).

use arena::{Client, ClientEvent, ClientStats, Killed, Spot, TICK_HZ, wire::PARTS_PER_TICK};
use serde_json::{Value, json};
use session_json::session_event;

/// One event of the client.
pub(crate) fn client_event(event: &ClientEvent, client: &mut Client) -> String {
    match event {
        ClientEvent::Session(event) => session_event(event, client.pilot().into()),
        ClientEvent::Kill(kill) => self::kill(kill, client),
        ClientEvent::ClockJumped { ms, is_own } => json!({"type": "jump", "ms": ms, "own": is_own}),
        ClientEvent::Hit(at) => spot("hit", *at),
        ClientEvent::Explosion(at) => spot("explosion", *at),
        ClientEvent::Shot(at) => spot("shot", *at),
    }
    .to_string()
}

fn kill(kill: &Killed, client: &mut Client) -> Value {
    json!({
        "type": "kill", "killer": kill.killer, "victim": kill.victim, "rammed": kill.rammed,
        "behind_ms": ms_of_parts(kill.view_delay),
        "killer_name": name(client, kill.killer), "victim_name": name(client, kill.victim),
    })
}

/// 16ths of a tick as milliseconds.
fn ms_of_parts(parts: u8) -> f64 {
    f64::from(parts) * 1000.0 / f64::from(TICK_HZ * PARTS_PER_TICK)
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
