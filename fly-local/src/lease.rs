//! A machine's lease: whoever holds it is the only one who may change the machine.
//!
//! Path: the API takes, refreshes, shows and gives back the lease, and asks [`Leases::allow`] before every change.
//! Invariants: at most one lease; one that has expired is none.
//! Never: guards metadata, as on Fly.

use std::time::Duration;

use serde_json::{Value, json};
use ulid::Ulid;

use crate::unix_time::unix_time;

/// How long a lease lasts when nobody says.
const TTL_DEFAULT_SECS: u64 = 60;
/// Longest lease. Policy: a longer one is shortened to it.
const TTL_MAX_SECS: u64 = 3_600;
/// Who holds every lease: there is one token, so there is one holder.
const OWNER: &str = "fly-local@localhost";

/// The lease of one machine, or none.
#[derive(Debug, Default)]
pub(crate) struct Leases(Option<Lease>);

/// Somebody's right to change a machine.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) nonce: String,
    description: String,
    /// Version of the machine when it was taken.
    version: String,
    /// Since 1970.
    expires_at: Duration,
}

impl Leases {
    /// The lease that is good now.
    pub(crate) fn current(&self) -> Option<&Lease> {
        self.0.as_ref().filter(|lease| lease.expires_at > unix_time())
    }

    /// Whether whoever shows `nonce` may change the machine; if not, the lease that says so.
    pub(crate) fn allow(&self, nonce: Option<&str>) -> Result<(), Lease> {
        match self.current() {
            Some(lease) if nonce != Some(lease.nonce.as_str()) => Err(lease.clone()),
            _ => Ok(()),
        }
    }

    /// Takes the lease, or refreshes it for whoever shows its `nonce`.
    pub(crate) fn take(
        &mut self,
        nonce: Option<&str>,
        ttl_secs: Option<u64>,
        description: &str,
        version: &str,
    ) -> Result<Lease, Lease> {
        self.allow(nonce)?;
        let held = self.current().map(|lease| lease.nonce.clone());
        let ttl = Duration::from_secs(ttl_secs.unwrap_or(TTL_DEFAULT_SECS).min(TTL_MAX_SECS));
        let lease = Lease {
            nonce: held.unwrap_or_else(|| Ulid::new().to_string().to_ascii_lowercase()),
            description: description.into(),
            version: version.into(),
            expires_at: unix_time() + ttl,
        };
        Ok(self.0.insert(lease).clone())
    }

    /// Gives the lease back.
    pub(crate) fn release(&mut self, nonce: Option<&str>) -> Result<(), Lease> {
        self.allow(nonce)?;
        self.0 = None;
        Ok(())
    }
}

impl Lease {
    /// As the API shows it, in its envelope.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "status": "success",
            "data": {
                "nonce": self.nonce,
                "expires_at": self.expires_at.as_secs(),
                "owner": OWNER,
                "description": self.description,
                "version": self.version,
            },
        })
    }

    /// Why somebody else may not change the machine `id`.
    pub(crate) fn refusal(&self, id: &str) -> Value {
        let until = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + self.expires_at);
        let message = format!("machine ID {id} lease currently held by {OWNER}, expires at {until}");
        json!({ "status": "error", "message": message, "code": "invalid" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holder_gets_past_a_lease() {
        let mut leases = Leases::default();
        assert!(leases.allow(None).is_ok());
        let first = leases.take(None, None, "deploy", "v1").unwrap();
        assert!(leases.allow(None).is_err() && leases.allow(Some("guess")).is_err());
        assert!(leases.allow(Some(&first.nonce)).is_ok());
        assert!(leases.take(None, None, "", "v1").is_err());
        assert_eq!(leases.take(Some(&first.nonce), Some(9), "", "v1").unwrap().nonce, first.nonce);
        assert!(leases.release(None).is_err());
        assert!(leases.release(Some(&first.nonce)).is_ok() && leases.current().is_none());
    }

    #[test]
    fn an_expired_lease_binds_nobody() {
        let mut leases = Leases::default();
        leases.take(None, Some(0), "", "v1").unwrap();
        assert!(leases.current().is_none() && leases.allow(None).is_ok());
    }
}
