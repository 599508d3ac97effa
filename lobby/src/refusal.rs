//! Why a join was refused, as it is shown to the player.
//!
//! Invariants: every refusal has a code for programs, a status, and one plain sentence that says what to do. Where
//! another region would take the player, it is offered; going there is the player's decision.

use crate::api_errors::WakeError;
use crate::origin::ForeignPage;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// A refusal, and what there is instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedJoin {
    /// Why.
    pub refusal: Refusal,
    /// Another region that takes the player.
    pub offer: Option<Offer>,
}

/// A region that takes the player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Its code.
    pub region: String,
    /// Its name on the board.
    pub place: String,
    /// Estimated round trip, if the player's region is known.
    pub latency_ms: Option<u32>,
}

/// Why there is no ticket. Texts are places, unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The body is not what the interface asks for; the sentence names the field.
    BadRequest(String),
    /// The body's content type is not JSON but this.
    NotJson(Option<String>),
    /// The body did not come within this time.
    SlowBody(Duration),
    /// A page of another site asks.
    ForeignPage(ForeignPage),
    /// This address joined too often.
    TooManyJoins,
    /// This address opened too many rooms.
    TooManyRooms,
    /// Fly has no region of this code.
    UnknownRegion(String),
    /// There is no machine in this region, and none is planned.
    NoMachine(String),
    /// There is no machine of this id, nor another one for its rooms.
    UnknownMachine(String),
    /// No free seat there.
    Full(String),
    /// No capacity for another room there.
    NoRoom(String),
    /// No seat there, and the whole fleet has as many machines as it may have.
    FleetAtLimit(String),
    /// Up, but not answering.
    Unreachable(String),
    /// There never was a list of machines.
    FleetUnknown,
    /// The proof that somebody is a room's host is not that room's.
    NotTheHost,
    /// No room has this alias for readers.
    UnknownLink,
    /// No public room is open there, to be looked at.
    NothingToWatch(String),
    /// No machine there started, for this last reason.
    NotWoken(WakeError, String),
}

impl Refusal {
    /// For programs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::NotJson(_) => "not_json",
            Self::SlowBody(_) => "slow_body",
            Self::ForeignPage(_) => "foreign_page",
            Self::TooManyJoins => "too_many_joins",
            Self::TooManyRooms => "too_many_rooms",
            Self::UnknownRegion(_) => "unknown_region",
            Self::NoMachine(_) => "no_server",
            Self::UnknownMachine(_) | Self::NotWoken(WakeError::Gone, _) => "unknown_server",
            Self::Full(_) => "full",
            Self::NoRoom(_) => "no_room",
            Self::FleetAtLimit(_) => "fleet_at_limit",
            Self::Unreachable(_) | Self::NotWoken(WakeError::HostUnreachable, _) => "unreachable",
            Self::FleetUnknown | Self::NotWoken(WakeError::ApiDown, _) => "fly_unavailable",
            Self::NotTheHost => "not_the_host",
            Self::UnknownLink => "unknown_link",
            Self::NothingToWatch(_) => "nothing_to_watch",
            Self::NotWoken(WakeError::NoCapacity, _) => "no_capacity",
            Self::NotWoken(WakeError::NotAllowed, _) => "not_allowed",
            Self::NotWoken(WakeError::Refused, _) => "start_refused",
            Self::NotWoken(WakeError::TooSlow, _) => "too_slow",
            Self::NotWoken(WakeError::Silent, _) => "silent",
        }
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotJson(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SlowBody(_) => StatusCode::REQUEST_TIMEOUT,
            Self::ForeignPage(_) | Self::NotTheHost => StatusCode::FORBIDDEN,
            Self::NothingToWatch(_) => StatusCode::CONFLICT,
            Self::TooManyJoins | Self::TooManyRooms => StatusCode::TOO_MANY_REQUESTS,
            Self::UnknownRegion(_) | Self::NoMachine(_) | Self::UnknownMachine(_) | Self::UnknownLink => {
                StatusCode::NOT_FOUND
            }
            Self::NotWoken(WakeError::Gone, _) => StatusCode::NOT_FOUND,
            Self::NotWoken(WakeError::NotAllowed | WakeError::Refused, _) => StatusCode::BAD_GATEWAY,
            Self::NotWoken(WakeError::TooSlow | WakeError::Silent, _) => StatusCode::GATEWAY_TIMEOUT,
            Self::Full(_) | Self::NoRoom(_) | Self::FleetAtLimit(_) | Self::Unreachable(_) | Self::FleetUnknown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NotWoken(..) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether another region might do better.
    pub fn is_about_the_region(&self) -> bool {
        match self {
            Self::NotWoken(error, _) => error.is_about_this_machine(),
            Self::NoMachine(_) | Self::Full(_) | Self::NoRoom(_) | Self::FleetAtLimit(_) | Self::Unreachable(_) => true,
            _ => false,
        }
    }

    /// The sentence for the person.
    pub fn sentence(&self) -> String {
        match self {
            Self::BadRequest(sentence) => sentence.clone(),
            Self::NotJson(None) => {
                "The header \"content-type\" is missing; it must be \"application/json\".".to_owned()
            }
            Self::NotJson(Some(given)) => {
                format!("The header \"content-type\" is \"{given}\"; it must be \"application/json\".")
            }
            Self::SlowBody(within) => {
                format!("The body did not come within {within:?}. Send it whole, right after the headers.")
            }
            Self::ForeignPage(foreign) => foreign.sentence(),
            Self::TooManyJoins => {
                "Too many joins came from your network just now. Wait a few seconds and try again.".to_owned()
            }
            Self::TooManyRooms => "Your network opened many rooms just now. Wait a minute and try again.".to_owned(),
            Self::UnknownRegion(region) => format!("There is no region \"{region}\". Pick one from the board."),
            Self::NoMachine(place) => format!("There is no server in {place}. Pick another place from the board."),
            Self::UnknownMachine(id) => {
                format!("There is no server \"{id}\" any more. Pick a place from the board.")
            }
            Self::Full(place) => {
                format!("{place} is full right now. Pick another place, or try again in a minute.")
            }
            Self::NoRoom(place) => {
                format!("{place} has no space for another private room right now. Pick another place.")
            }
            Self::FleetAtLimit(place) => format!(
                "{place} is full, and this game runs as many machines as it may. Pick another place, or try again later."
            ),
            Self::Unreachable(place) => format!("{place} does not answer right now. Pick another place."),
            Self::FleetUnknown => {
                "Fly does not say which servers there are right now. Try again in a moment.".to_owned()
            }
            Self::NotTheHost => "This host link is not this room's, or the lobby's secret has changed since. \
                                 Come in without it, or ask the host for a new one."
                .to_owned(),
            Self::UnknownLink => "This link to read along leads nowhere. Ask for a new one.".to_owned(),
            Self::NothingToWatch(place) => {
                format!("There is nobody in {place} to watch right now. Join in yourself, or pick another place.")
            }
            Self::NotWoken(error, place) => not_woken(*error, place),
        }
    }
}

fn not_woken(error: WakeError, place: &str) -> String {
    match error {
        WakeError::Gone => format!("The server in {place} is gone. Pick another place from the board."),
        WakeError::NoCapacity => {
            format!("Fly has no capacity in {place} right now. Pick another place, or try again in a minute.")
        }
        WakeError::HostUnreachable => {
            format!("The computer that {place} lives on does not answer. Pick another place.")
        }
        WakeError::NotAllowed => {
            "The lobby is not allowed to wake servers: Fly refused its token. The operator has to look at it."
                .to_owned()
        }
        WakeError::Refused => format!("Fly refused a machine in {place}. Pick another place from the board."),
        WakeError::TooSlow => {
            format!("{place} takes unusually long to wake. Pick another place, or try again in a minute.")
        }
        WakeError::Silent => {
            format!("{place} runs but does not answer. Pick another place, or try again in a minute.")
        }
        WakeError::ApiDown => {
            "Fly cannot wake servers right now. Pick a place that is ready, or try again in a moment.".to_owned()
        }
    }
}

impl From<Refusal> for RefusedJoin {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, offer: None }
    }
}

impl RefusedJoin {
    /// As programs read it.
    pub fn to_json(&self) -> Value {
        let mut error = json!({"code": self.refusal.code(), "message": self.refusal.sentence()});
        if let Some(offer) = &self.offer {
            error["offer"] = json!(offer);
        }
        json!({"error": error})
    }
}

impl IntoResponse for RefusedJoin {
    fn into_response(self) -> Response {
        let status = self.refusal.status();
        let mut response = (status, Json(self.to_json())).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::foreign;
    use axum::http::HeaderMap;
    use std::collections::{BTreeMap, BTreeSet};

    /// Every refusal there is.
    fn all() -> Vec<Refusal> {
        let place = || "Paris".to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, header::HeaderValue::from_static("https://elsewhere.example"));
        let foreign = foreign(&headers, &[]).expect("it is of another site");
        let not_woken = [
            WakeError::Gone,
            WakeError::NoCapacity,
            WakeError::HostUnreachable,
            WakeError::NotAllowed,
            WakeError::Refused,
            WakeError::TooSlow,
            WakeError::Silent,
            WakeError::ApiDown,
        ];
        let others = [
            Refusal::BadRequest(place()),
            Refusal::NotJson(None),
            Refusal::SlowBody(Duration::from_secs(10)),
            Refusal::ForeignPage(foreign),
            Refusal::TooManyJoins,
            Refusal::TooManyRooms,
            Refusal::UnknownRegion(place()),
            Refusal::NoMachine(place()),
            Refusal::UnknownMachine(place()),
            Refusal::Full(place()),
            Refusal::NoRoom(place()),
            Refusal::FleetAtLimit(place()),
            Refusal::Unreachable(place()),
            Refusal::FleetUnknown,
            Refusal::NotTheHost,
            Refusal::UnknownLink,
            Refusal::NothingToWatch(place()),
        ];
        others.into_iter().chain(not_woken.map(|error| Refusal::NotWoken(error, place()))).collect()
    }

    /// SPEC S10.5.
    #[test]
    fn the_text_of_the_wire_lists_every_code_with_its_status() {
        let (_, text) = include_str!("../../protocol/SPEC.md").split_once("* **S10.5** ").unwrap();
        let lines = text.lines().skip_while(|line| !line.starts_with("  | ")).skip(2);
        let mut told: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
        for line in lines.take_while(|line| line.starts_with("  | ")) {
            let (status, codes) = line.trim().trim_matches('|').split_once('|').unwrap();
            let codes = codes.split(',').map(|code| code.trim().trim_matches('`')).collect();
            told.insert(status.trim().parse().unwrap(), codes);
        }
        let mut ours: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
        for refusal in all() {
            ours.entry(refusal.status().as_u16()).or_default().insert(refusal.code());
            assert!(refusal.sentence().len() > 4, "{refusal:?} says something");
        }
        assert_eq!(told, ours);
    }
}
