//! Events, standings and figures as JSON for the page (`web-client/shared/session.ts`, `web-client/arena/client-event.ts`).

use arena::{Client, ClientEvent, ClientStats, Killed, Spot, TICK_HZ, wire::PARTS_PER_TICK};
use protocol::entry::{Entry, Talk};
use serde_json::{Value, json};
use session::SessionEvent;

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

/// What every room tells; `member` is whom others know us by.
fn session_event(event: &SessionEvent, member: u32) -> Value {
    match event {
        SessionEvent::Welcomed { resumed, continues, role, profile, history } => json!({
            "type": "welcome", "member": member, "resumed": resumed, "continues": continues, "role": role.word(),
            "name": profile.name, "hue": profile.hue, "history": history.iter().filter_map(line).collect::<Vec<_>>(),
        }),
        SessionEvent::Entry { number, author, talk } => talk_event(*number, *author, talk),
        SessionEvent::Kept(entry) => json!({"type": "kept", "entry": entry}),
        SessionEvent::Taken { id, entry } => json!({"type": "taken", "id": id, "entry": entry}),
        SessionEvent::Declined { id, sentence } => json!({"type": "declined", "id": id, "text": sentence}),
        SessionEvent::Notice(text) => json!({"type": "notice", "text": text}),
        SessionEvent::Service { level, is_slow } => {
            json!({"type": "service", "level": level.number(), "slow": is_slow})
        }
        SessionEvent::Ended { code, .. } => json!({"type": "ended", "code": code}),
    }
}

fn talk_event(number: u32, author: u32, talk: &Talk) -> Value {
    match talk {
        Talk::Chat(line) => json!({
            "type": "chat", "entry": number, "member": author, "name": line.name, "text": line.text, "at_s": line.at_s,
        }),
        Talk::Joined(profile) => json!({"type": "joined", "member": author, "name": profile.name}),
        Talk::Left(name) => json!({"type": "left", "member": author, "name": name}),
    }
}

fn line(entry: &Entry) -> Option<Value> {
    let Ok(Some(talk)) = entry.talk() else { return None };
    matches!(talk, Talk::Chat(_)).then(|| talk_event(entry.number, entry.author, &talk))
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
