//! Why a join was not possible, as a person hears it.
//!
//! Invariants: every refusal has a code for programs, a status, and one plain sentence that says what to do.

use crate::machines::WakeError;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Why there is no ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The body is not what the interface asks for; the sentence names the field.
    BadRequest(String),
    /// This address joined too often.
    TooManyJoins,
    /// Fly has no region of this code.
    UnknownRegion(String),
    /// There is no machine in this region.
    NoServer(String),
    /// There is no machine of this id.
    UnknownServer(String),
    /// No room on it, or on any of the region.
    Full,
    /// Up, but silent.
    Unreachable,
    /// There never was a list of machines.
    FleetUnknown,
    /// It did not wake.
    NotWoken(WakeError),
}

impl Refusal {
    /// For programs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::TooManyJoins => "too_many_joins",
            Self::UnknownRegion(_) => "unknown_region",
            Self::NoServer(_) => "no_server",
            Self::UnknownServer(_) | Self::NotWoken(WakeError::Gone) => "unknown_server",
            Self::Full => "full",
            Self::Unreachable | Self::NotWoken(WakeError::HostUnreachable) => "unreachable",
            Self::FleetUnknown | Self::NotWoken(WakeError::ApiDown) => "fly_unavailable",
            Self::NotWoken(WakeError::NoCapacity) => "no_capacity",
            Self::NotWoken(WakeError::NotAllowed) => "not_allowed",
            Self::NotWoken(WakeError::Refused) => "start_refused",
            Self::NotWoken(WakeError::TooSlow) => "too_slow",
        }
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooManyJoins => StatusCode::TOO_MANY_REQUESTS,
            Self::UnknownRegion(_) | Self::NoServer(_) | Self::UnknownServer(_) => StatusCode::NOT_FOUND,
            Self::NotWoken(WakeError::Gone) => StatusCode::NOT_FOUND,
            Self::NotWoken(WakeError::NotAllowed | WakeError::Refused) => StatusCode::BAD_GATEWAY,
            Self::NotWoken(WakeError::TooSlow) => StatusCode::GATEWAY_TIMEOUT,
            Self::Full | Self::Unreachable | Self::FleetUnknown | Self::NotWoken(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The sentence for the person.
    pub fn sentence(&self) -> String {
        let sentence = match self {
            Self::BadRequest(sentence) => sentence,
            Self::TooManyJoins => "Too many joins came from your network just now. Wait a few seconds and try again.",
            Self::UnknownRegion(region) => return format!("There is no region \"{region}\". Pick one from the board."),
            Self::NoServer(place) => {
                return format!("There is no server in {place}. Pick another place from the board.");
            }
            Self::UnknownServer(id) => {
                return format!("There is no server \"{id}\" any more. Pick another one from the board.");
            }
            Self::Full => "This server is full right now. Pick another one, or try again in a minute.",
            Self::Unreachable => "This server does not answer right now. Pick another one from the board.",
            Self::FleetUnknown => "Fly does not say which servers there are right now. Try again in a moment.",
            Self::NotWoken(WakeError::Gone) => "This server is gone. Pick another one from the board.",
            Self::NotWoken(WakeError::NoCapacity) => {
                "There is no capacity for this server right now. Pick another place, or try again in a minute."
            }
            Self::NotWoken(WakeError::HostUnreachable) => {
                "The computer this server lives on does not answer. Pick another one from the board."
            }
            Self::NotWoken(WakeError::NotAllowed) => {
                "The lobby is not allowed to wake servers: Fly refused its token. The operator has to look at it."
            }
            Self::NotWoken(WakeError::Refused) => "Fly refused to wake this server. Pick another one from the board.",
            Self::NotWoken(WakeError::TooSlow) => "This server takes unusually long to wake. Try again in a moment.",
            Self::NotWoken(WakeError::ApiDown) => {
                "Fly cannot wake servers right now. Pick one that is ready, or try again in a moment."
            }
        };
        sentence.to_owned()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({"error": {"code": self.code(), "message": self.sentence()}});
        let mut response = (self.status(), Json(body)).into_response();
        if matches!(self.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
        }
        response
    }
}
