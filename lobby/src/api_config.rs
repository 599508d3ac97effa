//! Which Machines API, with which token, for which app.
//!
//! Invariants: a complete configuration or one plain sentence that says what to do; the token is never shown.

/// The Machines API's public address, which works inside Fly too: names that begin with FLY_ cannot stand in `[env]`.
const API_HOSTNAME_DEFAULT: &str = "https://api.machines.dev";
const GAME_APP_DEFAULT: &str = "aerodrome-game";

/// The Machines API, for one app.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Its base address, without a slash at its end.
    pub url: String,
    /// Bearer token for it.
    pub token: ApiToken,
    /// Name of the gameserver app.
    pub game_app: String,
}

/// A secret that does not show itself in logs.
#[derive(Clone)]
pub struct ApiToken(pub String);

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

impl ApiConfig {
    /// What `lobby provision` needs of the environment, and a lobby among other things.
    ///
    /// # Errors
    /// One sentence for the person who starts the program.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let token = get("FLY_API_TOKEN")
            .ok_or("Set FLY_API_TOKEN: a token for Fly's Machines API, to list, wake and create machines.")?;
        let hostname = get("FLY_API_HOSTNAME").unwrap_or_else(|| API_HOSTNAME_DEFAULT.to_owned());
        Ok(Self {
            url: base_url("FLY_API_HOSTNAME", &hostname)?,
            token: ApiToken(token),
            game_app: get("GAME_APP").unwrap_or_else(|| GAME_APP_DEFAULT.to_owned()),
        })
    }
}

/// An address without a slash at its end.
///
/// # Errors
/// A sentence that names the variable.
pub(crate) fn base_url(name: &str, value: &str) -> Result<String, String> {
    let is_http = value.starts_with("http://") || value.starts_with("https://");
    if !is_http || value.parse::<axum::http::Uri>().is_err() {
        return Err(format!("{name} must be an address that begins with http:// or https://; it is \"{value}\"."));
    }
    Ok(value.trim_end_matches('/').to_owned())
}
