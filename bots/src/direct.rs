//! Joins a gameserver directly: signs what the lobby would have signed.
//!
//! Invariant: every connection has its own fresh replay state and every bot its own ticket, as through the lobby.

use crate::grant::{JoinGrant, REACHABLE_MAX_MS, nothing_answers};
use anyhow::{Context, bail};
use protocol::{
    room::{Kind, is_instance},
    token::{Grant, Key, Role},
};
use reqwest::Url;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Direct {
    base: Url,
    instance: String,
    key: Key,
    next_nonce: AtomicU64,
}

impl Direct {
    /// The gameserver `instance` at `base`, sharing `secret`.
    ///
    /// # Errors
    /// A sentence about the secret or the instance.
    pub(crate) fn new(base: &Url, instance: &str, secret: Option<&str>) -> Result<Self, String> {
        let secret = secret.ok_or("--direct needs the gameserver's secret in the environment: AERODROME_SECRET.")?;
        let key = Key::new(secret).ok_or("AERODROME_SECRET is too short: it takes 16 characters or more.")?;
        if !is_instance(instance) {
            return Err(format!("\"{instance}\" is no machine's name: a-z and 0-9 only."));
        }
        // Unique is enough here: who has the secret needs no guessing.
        let next_nonce = AtomicU64::new(since_1970().as_nanos() as u64);
        Ok(Self { base: base.clone(), instance: instance.to_owned(), key, next_nonce })
    }

    /// The gameserver's own address.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether the gameserver is there.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(crate) async fn check_reachable(&self) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().timeout(Duration::from_millis(REACHABLE_MAX_MS)).build()?;
        let address = self.base.join("/healthz").context("The address cannot be asked")?;
        let answer = http.get(address).send().await.map_err(|_| anyhow::anyhow!(nothing_answers(&self.base)))?;
        if !answer.status().is_success() {
            bail!("What answers at {} is no gameserver: it said {} to /healthz.", self.base, answer.status());
        }
        Ok(())
    }

    /// A grant for one more bot, to the machine's public room of this kind.
    pub(crate) fn sign_grant(&self, kind: Kind) -> JoinGrant {
        let room = kind.word();
        let nonce = self.next_nonce.fetch_add(1, Ordering::Relaxed);
        JoinGrant {
            path: format!("/gameserver/{}/{room}", self.instance),
            ticket: self.key.sign_ticket(
                (&self.instance, room),
                (Grant::Enter, Role::Member),
                nonce,
                since_1970().as_secs(),
            ),
        }
    }

    /// The header by which Fly's edge would tell who replayed this request.
    pub(crate) fn replay_source(&self, path: &str) -> String {
        let now = since_1970();
        let state = self.key.sign_replay(&self.instance, path, now.as_secs(), 0);
        format!("instance=bots;region=local;t={};state={state}", now.as_micros())
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of enough length";

    fn direct(instance: &str, secret: Option<&str>) -> Result<Direct, String> {
        Direct::new(&Url::parse("http://127.0.0.1:9").unwrap(), instance, secret)
    }

    #[test]
    fn signs_what_a_gameserver_verifies() {
        let direct = direct("m1", Some(SECRET)).unwrap();
        let (grant, other) = (direct.sign_grant(Kind::ALL[0]), direct.sign_grant(Kind::ALL[0]));
        assert_eq!(grant.path, "/gameserver/m1/arena");
        assert_eq!(direct.sign_grant(Kind::ALL[1]).path, "/gameserver/m1/lounge");
        assert_ne!(grant.ticket, other.ticket);
        let (key, now_s) = (Key::new(SECRET).unwrap(), since_1970().as_secs());
        assert!(key.verify_ticket(&grant.ticket, "m1", "arena", now_s).is_ok());
        let source = direct.replay_source(&grant.path);
        let state = source.split(';').find_map(|field| field.strip_prefix("state=")).unwrap();
        assert_eq!(key.verify_replay(state, "m1", &grant.path, now_s), Ok(0));
    }

    #[test]
    fn says_what_is_missing() {
        assert!(direct("m1", None).unwrap_err().contains("AERODROME_SECRET"));
        assert!(direct("m1", Some("short")).unwrap_err().contains("16"));
        assert!(direct("m1;app=x", Some(SECRET)).unwrap_err().contains("a-z and 0-9 only"));
    }
}
