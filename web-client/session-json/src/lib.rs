//! What a session tells its page, as JSON (`web-client/shared/session.ts`): the same for every kind of room.

use protocol::entry::{Entry, Talk};
use serde_json::{Value, json};
use session::SessionEvent;

/// What every room tells; `member` is whom others know us by.
pub fn session_event(event: &SessionEvent, member: u32) -> Value {
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
