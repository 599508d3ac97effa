//! The Machines API's errors: classifies every status and text it is known to answer by what to do next.
//!
//! Path: `machines_api` makes a call → [`classify_start`] or [`classify_create`] → done, retried, or given up.
//! Invariants: pure; "already started" is success in each of its spellings; an unknown answer counts as temporary or as
//! final, and is never retried for ever (the caller has a deadline).

use std::time::Duration;

/// Pause after a "too many requests": the API allows one call a second for each machine and action, three in a burst.
const RATE_LIMIT_PAUSE_MS: u64 = 1_000;

/// Why a machine did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WakeError {
    /// There is no such machine (any more).
    Gone,
    /// No room for it on its host or in its region.
    NoCapacity,
    /// Its host does not answer.
    HostUnreachable,
    /// Our token is not valid for this app.
    NotAllowed,
    /// Refused for a reason that trying again does not change.
    Refused,
    /// Still in a state between two others when the time was up.
    TooSlow,
    /// It runs, but nobody answered on the path a player takes when the time was up.
    Silent,
    /// The API was busy, broken or silent until the time was up.
    ApiDown,
}

impl WakeError {
    /// Whether it says something about this one machine, so that another one of the region may do.
    pub fn is_about_this_machine(self) -> bool {
        !matches!(self, Self::NotAllowed | Self::ApiDown)
    }
}

/// What an answer to a start (or a wait) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartOutcome {
    Done,
    /// Another start is under way.
    UnderWay,
    /// It may be different after a pause of at least this.
    Later(WakeError, Duration),
    Never(WakeError),
}

/// What an answer to a creation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreateOutcome {
    Made,
    /// A machine of this name exists: another lobby was first, or our own request got through after all.
    Taken,
    Later(WakeError, Duration),
    Never(WakeError),
}

/// An error body: `{"error" or "message", "status"}`.
#[derive(Debug)]
pub(crate) struct ErrorBody {
    /// Lower case, so that spellings compare.
    pub(crate) text: String,
    code: String,
}

impl ErrorBody {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| json[name].as_str().map(str::to_ascii_lowercase);
        Self {
            text: field("error").or_else(|| field("message")).unwrap_or_default(),
            code: field("status").unwrap_or_default(),
        }
    }

    fn contains(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    fn is_capacity(&self) -> bool {
        self.code.ends_with("_capacity")
            || self.contains("could not reserve resource")
            || self.contains("insufficient")
            || self.contains("no capacity")
            || self.contains("temporarily disabled")
            || self.contains("governor policy blocked")
    }
}

/// An answer to a start.
pub(crate) fn classify_start(status: u16, body: &ErrorBody) -> StartOutcome {
    match status {
        200..=299 => StartOutcome::Done,
        401 | 403 => StartOutcome::Never(WakeError::NotAllowed),
        404 | 410 => StartOutcome::Never(WakeError::Gone),
        408 => StartOutcome::Never(WakeError::HostUnreachable),
        409 | 412 => classify_conflict(body),
        422 if body.is_capacity() => StartOutcome::Never(WakeError::NoCapacity),
        429 => StartOutcome::Later(WakeError::ApiDown, Duration::from_millis(RATE_LIMIT_PAUSE_MS)),
        500..=599 => StartOutcome::Later(WakeError::ApiDown, Duration::ZERO),
        _ => StartOutcome::Never(WakeError::Refused),
    }
}

/// 409 and 412 say anything from "done already" to "never". What is not known here passes with time: a lease held by
/// somebody else, `stopping`, `created`, "still active", "getting replaced".
fn classify_conflict(body: &ErrorBody) -> StartOutcome {
    let is_other_already =
        body.contains("already_exists") || body.contains("already exists") || body.contains("already claimed");
    if (body.contains("already") && !is_other_already) || body.contains("current state: 'started'") {
        StartOutcome::Done
    } else if body.contains("still attempting to start") || body.contains("current state: 'starting'") {
        StartOutcome::UnderWay
    } else if body.is_capacity() {
        StartOutcome::Never(WakeError::NoCapacity)
    } else if body.contains("'destroyed'") || body.contains("'destroying'") || body.contains("'replaced'") {
        StartOutcome::Never(WakeError::Gone)
    } else {
        StartOutcome::Later(WakeError::TooSlow, Duration::ZERO)
    }
}

/// An answer to a creation. A creation that timed out is safe to repeat, because names are unique.
pub(crate) fn classify_create(status: u16, body: &ErrorBody) -> CreateOutcome {
    let is_name_taken = body.contains("unique machine name") || body.contains("already_exists");
    match (status, classify_start(status, body)) {
        (200..=299, _) => CreateOutcome::Made,
        (409 | 422, _) if is_name_taken => CreateOutcome::Taken,
        (408, _) => CreateOutcome::Later(WakeError::TooSlow, Duration::ZERO),
        (_, StartOutcome::Later(error, pause)) => CreateOutcome::Later(error, pause),
        (_, StartOutcome::Never(error)) => CreateOutcome::Never(error),
        (_, StartOutcome::Done | StartOutcome::UnderWay) => CreateOutcome::Later(WakeError::TooSlow, Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WakeError::{ApiDown, Gone, HostUnreachable, NoCapacity, NotAllowed, Refused, TooSlow};

    const SOON: Duration = Duration::ZERO;
    const LIMITED: Duration = Duration::from_secs(1);

    fn error(text: &str) -> String {
        format!(r#"{{"error":"{text}"}}"#)
    }

    #[test]
    fn every_known_answer_to_a_start_has_its_outcome() {
        use StartOutcome::{Done, Later, Never, UnderWay};
        let table = [
            (200, r#"{"previous_state":"stopped","migrated":false,"new_host":""}"#.to_owned(), Done),
            (200, r#"{"previous_state":"suspended"}"#.to_owned(), Done),
            (200, r#"{"previous_state":"started"}"#.to_owned(), Done),
            (409, error("machine already started"), Done),
            (412, error("failed_precondition: machine is already running"), Done),
            (412, error("failed_precondition: unable to start machine from current state: 'started'"), Done),
            (409, error("aborted: machine still attempting to start"), UnderWay),
            (412, error("failed_precondition: unable to start machine from current state: 'starting'"), UnderWay),
            (
                412,
                error("failed_precondition: unable to start machine from current state: 'stopping'"),
                Later(TooSlow, SOON),
            ),
            (412, error("failed_precondition: machine still active, refusing to start"), Later(TooSlow, SOON)),
            (
                412,
                error("failed_precondition: unable to start machine from current state: 'created'"),
                Later(TooSlow, SOON),
            ),
            (412, error("failed_precondition: machine getting replaced, refusing to start"), Later(TooSlow, SOON)),
            (
                409,
                r#"{"status":"error","message":"machine ID 1 lease currently held by x, expires at y"}"#.into(),
                Later(TooSlow, SOON),
            ),
            (409, error("already_exists: unique machine name violation"), Later(TooSlow, SOON)),
            (
                409,
                error("aborted: could not reserve resource for machine: insufficient memory available"),
                Never(NoCapacity),
            ),
            (409, error("aborted: insufficient IPs available to fulfill request"), Never(NoCapacity)),
            (409, error("aborted: no capacity"), Never(NoCapacity)),
            (409, error("deploys to this host are temporarily disabled"), Never(NoCapacity)),
            (412, error("governor policy blocked start"), Never(NoCapacity)),
            (412, r#"{"error":"volume","status":"volume_placement_capacity"}"#.into(), Never(NoCapacity)),
            (
                422,
                r#"{"error":"could not find a candidate host","status":"insufficient_capacity"}"#.into(),
                Never(NoCapacity),
            ),
            (422, error("Your organization has reached its machine limit"), Never(Refused)),
            (408, error("deadline_exceeded: host unreachable"), Never(HostUnreachable)),
            (429, error("rate limit exceeded"), Later(ApiDown, LIMITED)),
            (500, String::new(), Later(ApiDown, SOON)),
            (503, "<html>".to_owned(), Later(ApiDown, SOON)),
            (404, error("not_found: machine not found"), Never(Gone)),
            (412, error("failed_precondition: unable to start machine from current state: 'destroyed'"), Never(Gone)),
            (401, error("Authenticate: token validation error"), Never(NotAllowed)),
            (403, String::new(), Never(NotAllowed)),
            (400, error("invalid_argument: no"), Never(Refused)),
        ];
        for (status, body, expected) in table {
            assert_eq!(classify_start(status, &ErrorBody::parse(body.as_bytes())), expected, "{status} {body}");
        }
    }

    #[test]
    fn every_known_answer_to_a_creation_has_its_outcome() {
        use CreateOutcome::{Later, Made, Never, Taken};
        let table = [
            (200, r#"{"id":"m2","state":"created"}"#.to_owned(), Made),
            (201, String::new(), Made),
            (409, error("already_exists: unique machine name violation, machine ID m2 already exists"), Taken),
            (422, error("unique machine name violation"), Taken),
            (
                422,
                r#"{"error":"could not find a candidate host","status":"insufficient_capacity"}"#.into(),
                Never(NoCapacity),
            ),
            (
                409,
                error("aborted: insufficient resources available to fulfill request: no host with room"),
                Never(NoCapacity),
            ),
            (409, error("aborted: no capacity"), Never(NoCapacity)),
            (422, error("Your organization has reached its machine limit"), Never(Refused)),
            (400, error("invalid_argument: config.image is required"), Never(Refused)),
            (401, String::new(), Never(NotAllowed)),
            (408, error("deadline_exceeded"), Later(TooSlow, SOON)),
            (429, error("rate limit exceeded"), Later(ApiDown, LIMITED)),
            (503, String::new(), Later(ApiDown, SOON)),
        ];
        for (status, body, expected) in table {
            assert_eq!(classify_create(status, &ErrorBody::parse(body.as_bytes())), expected, "{status} {body}");
        }
    }
}
