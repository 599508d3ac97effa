//! How the API says no: every refusal with its status and its words.
//!
//! Path: a handler fails with an [`ApiError`]; a machine's or the fleet's refusal becomes one here.
//! Invariants: a text opens with an RPC code where the real one does, and the status follows from that code.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::fleet::CreateError;
use crate::lease::Lease;
use crate::machine_state::CommandError;

/// An error as the API words it.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    body: Value,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, text: &str) -> Self {
        Self { status, body: json!({ "error": text }) }
    }

    /// With the body's `status`, a code for programs.
    pub(super) fn with_code(mut self, code: &str) -> Self {
        self.body["status"] = code.into();
        self
    }

    /// Somebody else holds the lease of the machine `id`.
    pub(super) fn leased(lease: &Lease, id: &str) -> Self {
        Self { status: StatusCode::CONFLICT, body: lease.refusal(id) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

pub(super) fn not_found(what: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, &format!("not_found: {what}"))
}

pub(super) fn invalid(what: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, &format!("invalid_argument: {what}"))
}

pub(super) fn precondition(what: &str) -> ApiError {
    ApiError::new(StatusCode::PRECONDITION_FAILED, &format!("failed_precondition: {what}"))
}

fn aborted(what: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, &format!("aborted: {what}"))
}

impl From<CommandError> for ApiError {
    fn from(refused: CommandError) -> Self {
        match refused {
            CommandError::StartUnderWay => aborted("machine still attempting to start"),
            CommandError::AlreadyStarted => aborted("machine already started"),
            CommandError::StartFrom(state) => {
                precondition(&format!("unable to start machine from current state: '{}'", state.name()))
            }
            CommandError::StillActive => precondition("machine still active, refusing to start"),
            CommandError::Replacing => precondition("machine getting replaced, refusing to start"),
            CommandError::HostFull => aborted(
                "could not reserve resource for machine: insufficient memory available to fulfill request on the \
                 current host",
            ),
            CommandError::NotRunning => precondition("machine not running"),
            CommandError::NotStopped => {
                precondition("unable to destroy machine, not currently stopped, suspended, failed or created")
            }
            CommandError::SuspendFrom(state) => {
                precondition(&format!("unable to suspend machine from current state: '{}'", state.name()))
            }
            CommandError::NotSuspendable => {
                precondition("machine cannot be suspended: it has too much memory, or a schedule")
            }
            CommandError::Concurrent => aborted("machine update failed due to concurrent update"),
            CommandError::Ending => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal: fly-local is ending"),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(refused: CreateError) -> Self {
        match refused {
            CreateError::NameTaken(id, name) => Self::new(
                StatusCode::CONFLICT,
                &format!(
                    "already_exists: unique machine name violation, machine ID {id} already exists with name \"{name}\""
                ),
            ),
            CreateError::UnknownRegion(region) => invalid(&format!("region: there is no region `{region}`")),
            CreateError::UnknownImage(image) => {
                invalid(&format!("config.image: no app of fly-local has the image `{image}`"))
            }
            CreateError::TooMany(limit) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                &format!("Your organization has reached its machine limit. Please contact billing ({limit} machines)."),
            ),
            CreateError::RegionsFull => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "could not find a candidate host")
                .with_code("insufficient_capacity"),
        }
    }
}
