//! Checks the Fly-Replay state of a request: accepts what the lobby signed for this machine, sends another's on once.
//!
//! Path: every request under `/gameserver/<instance>/` passes [`check`]; the state in `fly-replay-src` is verified for
//! exactly this instance and path.
//! Invariants: "once" is counted by the signed hop, so no request can circle; a forged state learns nothing.

use axum::http::HeaderMap;
use protocol::{room::is_instance, token::Key};

/// Everything of a machine is below this, its own id first.
pub(crate) const PREFIX: &str = "/gameserver/";
/// Hops a request may take between machines. Policy: a page that says the room is gone.
const HOPS_MAX_COUNT: u8 = 1;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplayCheck {
    /// It is ours to answer.
    Ours,
    /// Another machine's: answer with this `Fly-Replay`.
    SendOn(String),
    /// Another machine's, and it was sent on before.
    Gone,
    /// Nobody we know signed this.
    Forbidden,
}

/// Judges a request for a path (without query) that begins with [`PREFIX`].
pub(crate) fn check(key: &Key, app: &str, own: &str, path: &str, headers: &HeaderMap, now_s: u64) -> ReplayCheck {
    let instance = instance_of(path);
    let Some(state) = state_of(headers) else { return ReplayCheck::Forbidden };
    let Ok(hop) = key.verify_replay(state, instance, path, now_s) else { return ReplayCheck::Forbidden };
    match hop {
        _ if instance == own => ReplayCheck::Ours,
        // The name goes into a header, where a `;` would begin another field.
        0 if is_instance(instance) => {
            let state = key.sign_replay(instance, path, now_s, HOPS_MAX_COUNT);
            ReplayCheck::SendOn(format!("app={app};instance={instance};state={state}"))
        }
        _ => ReplayCheck::Gone,
    }
}

/// When the lobby signed the request for this path, unix seconds, however long ago; `None` if it did not.
pub(crate) fn signed_by_lobby_s(key: &Key, path: &str, headers: &HeaderMap) -> Option<u64> {
    let (signed_s, hop) = key.replay_time(state_of(headers)?, instance_of(path), path).ok()?;
    (hop == 0).then_some(signed_s)
}

fn instance_of(path: &str) -> &str {
    path.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// The `state` field of `fly-replay-src: instance=..;region=..;t=..;state=..`.
fn state_of(headers: &HeaderMap) -> Option<&str> {
    let source = headers.get("fly-replay-src")?.to_str().ok()?;
    source.split(';').find_map(|field| field.trim().strip_prefix("state="))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_000_000;

    fn key() -> Key {
        Key::new("a secret of enough length").unwrap()
    }

    fn judge(state: &str, path: &str) -> ReplayCheck {
        let mut headers = HeaderMap::new();
        let source = format!("instance=lobby1;region=ewr;t=1700000000000000;state={state}");
        headers.insert("fly-replay-src", source.parse().unwrap());
        check(&key(), "aerodrome-game", "m1", path, &headers, NOW_S)
    }

    #[test]
    fn what_the_lobby_signed_comes_in() {
        let path = "/gameserver/m1/arena";
        assert_eq!(judge(&key().sign_replay("m1", path, NOW_S, 0), path), ReplayCheck::Ours);
        assert_eq!(judge(&key().sign_replay("m1", path, NOW_S, 1), path), ReplayCheck::Ours);
    }

    /// SPEC S11.1.
    #[test]
    fn forged_foreign_and_old_states_are_forbidden() {
        let path = "/gameserver/m1/arena";
        assert_eq!(judge("1000000.0.00", path), ReplayCheck::Forbidden);
        assert_eq!(judge(&key().sign_replay("m1", "/gameserver/m1/status", NOW_S, 0), path), ReplayCheck::Forbidden);
        assert_eq!(judge(&key().sign_replay("m1", path, NOW_S - 60, 0), path), ReplayCheck::Forbidden);
        assert_eq!(check(&key(), "a", "m1", path, &HeaderMap::new(), NOW_S), ReplayCheck::Forbidden);
    }

    #[test]
    fn when_the_lobby_signed_is_known_also_of_what_is_too_old() {
        let path = "/gameserver/m1/arena";
        let heard = |state: String| {
            let headers = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("fly-replay-src"),
                format!("instance=lobby1;state={state}").parse().unwrap(),
            )]);
            signed_by_lobby_s(&key(), path, &headers)
        };
        assert_eq!(heard(key().sign_replay("m1", path, NOW_S - 600, 0)), Some(NOW_S - 600));
        assert_eq!(heard(key().sign_replay("m1", path, NOW_S, 1)), None, "another machine's clock");
        assert_eq!(heard("1000000.0.00".to_owned()), None);
    }

    #[test]
    fn anothers_request_is_sent_on_once() {
        let path = "/gameserver/m2/arena";
        let ReplayCheck::SendOn(replay) = judge(&key().sign_replay("m2", path, NOW_S, 0), path) else {
            panic!("it is to be sent on");
        };
        let state = replay.strip_prefix("app=aerodrome-game;instance=m2;state=").unwrap();
        assert_eq!(key().verify_replay(state, "m2", path, NOW_S), Ok(1));
        assert_eq!(judge(state, path), ReplayCheck::Gone);
    }

    #[test]
    fn a_name_cannot_smuggle_a_field() {
        let path = "/gameserver/m2;app=other/arena";
        assert_eq!(judge(&key().sign_replay("m2;app=other", path, NOW_S, 0), path), ReplayCheck::Gone);
    }
}
