//! The gameserver's configuration, read from the environment and checked once.
//!
//! Invariant: a value that cannot be used is a sentence that says what to do; nothing is silently replaced.

use crate::{store::LEASE, wall_clock::WallClock};
use anyhow::{Context, anyhow, bail};
use catalogue::Catalogue;
use protocol::{limits, room, token};
use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

/// The rules' numbers as shipped; the environment's `TUNING` (RON text) replaces them.
const TUNING_RON: &str = include_str!("../../assets/tuning.ron");

/// Time for the head of an HTTP request: slow lines need a second or two, and browsers keep quiet connections for
/// later.
const HEAD_TIMEOUT_MS: u64 = 10_000;
/// Time without people after which the machine sleeps unless `SLEEP_AFTER_S` says otherwise, and what it may say; 0:
/// never. Policy: refuse to start.
const SLEEP_AFTER_DEFAULT_S: u64 = 30;
const SLEEPS_AFTER_S: RangeInclusive<u64> = 0..=86_400;
/// Time for which an empty machine tries to write rooms that the store does not take, unless `UNWRITABLE_MAX_S` says
/// otherwise, and what it may say. Policy: refuse to start.
const UNWRITABLE_MAX_DEFAULT_S: u64 = 600;
const UNWRITABLE_MAXES_S: RangeInclusive<u64> = 1..=86_400;
/// Time from save to save while somebody is in a room: what a crash may cost. Policy: a save that is due while the one
/// before is being written is left out.
const SAVE_INTERVAL_MS: u64 = 10_000;
// A save that is slow, or one that fails, must not look like a machine that is lost.
const _: () = assert!(SAVE_INTERVAL_MS * 2 < LEASE.as_millis() as u64);
/// Where rooms last unless `STORE_URL` says otherwise: as long as the process.
const STORE_DEFAULT: &str = "memory:///";

/// Everything the gameserver needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The secret shared with the lobby.
    pub key: token::Key,
    /// This app's name on Fly.
    pub app: String,
    /// This machine's id: what the lobby calls the instance.
    pub instance: String,
    /// The region's code.
    pub region: String,
    /// Origins (as browsers write them, `https://example.com`) allowed beside the request's own host.
    pub allowed_origins: Vec<String>,
    /// RON text of the rules.
    pub tuning_ron: String,
    /// Time a connection has for the head of its next HTTP request. Policy: close it.
    pub head_timeout: Duration,
    /// Time a connection has for its hello.
    pub hello_timeout: Duration,
    /// What the kinds of room are limited to.
    pub kinds: Catalogue,
    /// Where rooms last: `file:///directory`, `s3://bucket/prefix` or `memory:///`.
    pub store_url: String,
    /// Time without people after which the machine sleeps; `None`: never.
    pub sleep_after: Option<Duration>,
    /// Time for which an empty machine tries to write rooms that the store does not take. Policy: the process ends with
    /// an error.
    pub unwritable_max: Duration,
    /// Time from save to save of a room that was used, until it sleeps; well below the lease of its owner.
    pub save_interval: Duration,
    /// Time for which an owner must be silent before its room is another machine's to claim.
    pub lease: Duration,
    /// The clock that signatures are judged by.
    pub wall_clock: WallClock,
    /// Whether rooms leave out service when a tick costs more than its budget. Policy of `false`: carry on whatever it
    /// costs.
    pub has_governor: bool,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// One sentence for the first variable that is missing or cannot be used.
    pub fn from_env() -> anyhow::Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Reads the variables from anywhere.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_lookup(get: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let secret = get("AERODROME_SECRET").context(
            "AERODROME_SECRET is not set. Give lobby and gameserver the same secret of at least 16 characters.",
        )?;
        let key = token::Key::new(&secret).with_context(|| {
            format!("AERODROME_SECRET is too short. Use at least {} characters.", token::SECRET_MIN_BYTES)
        })?;
        let bind = get("BIND").unwrap_or_else(|| "0.0.0.0".to_owned());
        let port = get("PORT").unwrap_or_else(|| "8080".to_owned());
        let bind = SocketAddr::new(
            bind.parse().with_context(|| format!("BIND is \"{bind}\", which is no IP address."))?,
            port.parse().with_context(|| format!("PORT is \"{port}\", which is no port number."))?,
        );
        let instance = get("FLY_MACHINE_ID")
            .context("FLY_MACHINE_ID is not set. Fly sets it on a machine; fly-local sets it on this computer.")?;
        if !room::is_instance(&instance) {
            bail!("FLY_MACHINE_ID is \"{instance}\", which is no machine id: a-z and 0-9 only.");
        }
        let store_url = store_url(&get)?;
        let kinds = match get("KINDS") {
            None => Catalogue::built_in(),
            Some(text) => Catalogue::parse(&text).map_err(|sentence| anyhow!("KINDS cannot be used. {sentence}"))?,
        };
        let sleep_after_s = match get("SLEEP_AFTER_S") {
            None => SLEEP_AFTER_DEFAULT_S,
            Some(text) => parse_number("SLEEP_AFTER_S", &text, SLEEPS_AFTER_S)?,
        };
        let unwritable_max_s = match get("UNWRITABLE_MAX_S") {
            None => UNWRITABLE_MAX_DEFAULT_S,
            Some(text) => parse_number("UNWRITABLE_MAX_S", &text, UNWRITABLE_MAXES_S)?,
        };
        let has_governor = match get("GOVERNOR").as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(text) => bail!("GOVERNOR is \"{text}\". It takes \"on\" or \"off\"."),
        };
        let origins = get("ALLOWED_ORIGINS").unwrap_or_default();
        Ok(Self {
            bind,
            key,
            app: get("FLY_APP_NAME").unwrap_or_else(|| "aerodrome-game".to_owned()),
            instance,
            region: get("FLY_REGION").unwrap_or_else(|| "local".to_owned()),
            allowed_origins: origins.split(',').map(|o| o.trim().to_owned()).filter(|o| !o.is_empty()).collect(),
            tuning_ron: get("TUNING").unwrap_or_else(|| TUNING_RON.to_owned()),
            head_timeout: Duration::from_millis(HEAD_TIMEOUT_MS),
            hello_timeout: Duration::from_millis(limits::HELLO_TIMEOUT_MS),
            kinds,
            store_url,
            sleep_after: Some(Duration::from_secs(sleep_after_s)).filter(|after| !after.is_zero()),
            unwritable_max: Duration::from_secs(unwritable_max_s),
            save_interval: Duration::from_millis(SAVE_INTERVAL_MS),
            lease: LEASE,
            wall_clock: WallClock::default(),
            has_governor,
        })
    }
}

/// Where rooms last. On Fly that must be said, with the secrets for it: a machine's own disk is reset when it starts.
fn store_url(get: &impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let url = get("STORE_URL");
    if get("FLY_APP_NAME").is_none() || get("AERODROME_DEV").is_some() {
        return Ok(url.unwrap_or_else(|| STORE_DEFAULT.to_owned()));
    }
    let url = url.context(
        "STORE_URL is not set. On Fly rooms need a place that lasts: s3://bucket/prefix. AERODROME_DEV=1 does without.",
    )?;
    for secret in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        if url.starts_with("s3:") && get(secret).is_none() {
            bail!("{secret} is not set. STORE_URL is \"{url}\", which takes it: set it as a secret of the app.");
        }
    }
    Ok(url)
}

fn parse_number(name: &str, text: &str, range: RangeInclusive<u64>) -> anyhow::Result<u64> {
    text.parse().ok().filter(|number| range.contains(number)).with_context(|| {
        format!("{name} is \"{text}\". It takes a whole number from {} to {}.", range.start(), range.end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admission::REFUSALS_MAX_COUNT, http::listen::HTTP_MAX_COUNT};

    fn read(pairs: &[(&str, &str)]) -> anyhow::Result<Config> {
        Config::from_lookup(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_secret_and_a_machine_id_are_enough() {
        let config = read(&[("AERODROME_SECRET", "a secret of enough length"), ("FLY_MACHINE_ID", "148e21ea7d3889")]);
        let config = config.unwrap();
        assert_eq!(config.bind, "0.0.0.0:8080".parse().unwrap());
        assert!(config.allowed_origins.is_empty());
        assert_eq!(config.kinds, Catalogue::built_in());
    }

    #[test]
    fn a_catalogue_of_ones_own_takes_the_place_of_the_one_that_is_built_in() {
        let mut kinds = Catalogue::built_in();
        kinds.rooms = 3;
        let good = [("AERODROME_SECRET", "a secret of enough length"), ("FLY_MACHINE_ID", "m1")];
        let read = |text: &str| read(&[&good[..], &[("KINDS", text)]].concat()).map(|config| config.kinds);
        assert_eq!(read(&kinds.to_ron()).unwrap(), kinds);
        kinds.rooms = 0;
        let sentence = read(&kinds.to_ron()).unwrap_err().to_string();
        assert!(sentence.starts_with("KINDS cannot be used. The catalogue has rooms: 0."), "{sentence}");
    }

    /// Fly's proxy must let in whoever the machine tells in a sentence that it is full.
    #[test]
    fn the_limits_in_fly_toml_are_above_what_the_catalogue_admits() {
        let fly: toml::Table = include_str!("../fly.toml").parse().unwrap();
        let concurrency = &fly["http_service"]["concurrency"];
        let limit = |name: &str| usize::try_from(concurrency[name].as_integer().unwrap()).unwrap();
        let admitted = Catalogue::built_in().connections() as usize + REFUSALS_MAX_COUNT + HTTP_MAX_COUNT;
        assert!(limit("hard_limit") >= admitted, "hard_limit must be at least {admitted}");
        assert!(limit("soft_limit") < limit("hard_limit"));
    }

    #[test]
    fn the_governor_can_be_turned_off() {
        let read = |name: &'static str, value: &'static str| {
            let good = ("AERODROME_SECRET", "a secret of enough length");
            read(&[good, ("FLY_MACHINE_ID", "m1"), (name, value)]).unwrap().has_governor
        };
        assert!(read("PORT", "8080") && read("GOVERNOR", "on") && !read("GOVERNOR", "off"));
    }

    #[test]
    fn on_fly_rooms_need_a_place_that_lasts() {
        let good =
            [("AERODROME_SECRET", "a secret of enough length"), ("FLY_MACHINE_ID", "m1"), ("FLY_APP_NAME", "game")];
        let read = |more: &[(&str, &str)]| read(&[&good[..], more].concat()).map(|config| config.store_url);
        let refused = |more: &[(&str, &str)]| read(more).unwrap_err().to_string();
        assert!(refused(&[]).starts_with("STORE_URL is not set."));
        assert!(refused(&[("STORE_URL", "s3://rooms")]).starts_with("AWS_ACCESS_KEY_ID is not set."));
        let half = [("STORE_URL", "s3://rooms"), ("AWS_ACCESS_KEY_ID", "key")];
        assert!(refused(&half).starts_with("AWS_SECRET_ACCESS_KEY is not set."));
        assert_eq!(read(&[&half[..], &[("AWS_SECRET_ACCESS_KEY", "secret")]].concat()).unwrap(), "s3://rooms");
        assert_eq!(read(&[("STORE_URL", "file:///rooms")]).unwrap(), "file:///rooms");
        assert_eq!(read(&[("AERODROME_DEV", "1")]).unwrap(), "memory:///");
    }

    #[test]
    fn what_cannot_be_used_is_said_in_a_sentence() {
        let good = ("AERODROME_SECRET", "a secret of enough length");
        let machine = ("FLY_MACHINE_ID", "m1");
        for (pairs, words) in [
            (vec![machine], "AERODROME_SECRET is not set"),
            (vec![machine, ("AERODROME_SECRET", "short")], "too short"),
            (vec![good], "FLY_MACHINE_ID is not set"),
            (vec![good, ("FLY_MACHINE_ID", "a;b")], "no machine id"),
            (vec![good, machine, ("PORT", "eighty")], "no port number"),
            (vec![good, machine, ("BIND", "here")], "no IP address"),
            (vec![good, machine, ("GOVERNOR", "maybe")], "\"on\" or \"off\""),
            (vec![good, machine, ("KINDS", "()")], "KINDS cannot be used. The catalogue of kinds cannot be read"),
            (vec![good, machine, ("SLEEP_AFTER_S", "soon")], "whole number from 0 to 86400"),
            (vec![good, machine, ("UNWRITABLE_MAX_S", "0")], "whole number from 1 to 86400"),
            (vec![good, ("FLY_MACHINE_ID", "M1")], "no machine id"),
        ] {
            let sentence = read(&pairs).unwrap_err().to_string();
            assert!(sentence.contains(words), "{sentence}");
        }
    }
}
