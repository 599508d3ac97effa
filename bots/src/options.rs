//! The command line.
//!
//! Invariant: what parses makes sense together; clap says the rest, and exits with 2.

use clap::{Parser, value_parser};
use reqwest::Url;
use std::path::PathBuf;

/// Most bots of one process: each costs a socket and a replica. Policy: refuse.
const PLAYERS_MAX_COUNT: i64 = 5_000;
/// Longest run. Policy: refuse.
const SECONDS_MAX: i64 = 24 * 60 * 60;

/// Sends computer pilots into the game and reports what it was like for them.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// The lobby they join through, e.g. http://127.0.0.1:8080
    #[arg(long, value_name = "URL", value_parser = http_url, required_unless_present = "direct")]
    pub(crate) lobby: Option<Url>,
    /// How many
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=PLAYERS_MAX_COUNT))]
    pub(crate) players: u32,
    /// How long to measure, once everybody is in
    #[arg(long, value_name = "S", value_parser = value_parser!(u32).range(1..=SECONDS_MAX))]
    pub(crate) seconds: u32,
    /// How long each stays: it says hello in the chat, goes after that time and comes back. Without it, all stay, silent
    #[arg(long, value_name = "S", value_parser = value_parser!(u32).range(1..=SECONDS_MAX))]
    pub(crate) stay: Option<u32>,
    /// Where, by region; without it, the lobby's first choice
    #[arg(long, value_name = "R", conflicts_with = "instance")]
    pub(crate) region: Option<String>,
    /// Where, by machine
    #[arg(long, value_name = "I")]
    pub(crate) instance: Option<String>,
    /// A gameserver's own address: no lobby is asked. Needs --instance, and the shared secret in AERODROME_SECRET
    #[arg(long, value_name = "URL", value_parser = http_url, requires = "instance", conflicts_with_all = ["lobby", "region"])]
    pub(crate) direct: Option<Url>,
    /// Also write the figures here, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// No progress bar
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// An address of the form `http://host:port`, with nothing behind it.
fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("that is not an address ({error})"))?;
    match url.scheme() {
        "http" | "ws" if !url.has_host() => Err("that names no host".to_owned()),
        "http" | "ws" if url.path() != "/" => Err("only the host and port are wanted, no path".to_owned()),
        "http" => Ok(url),
        "ws" => Url::parse(&text.replacen("ws", "http", 1)).map_err(|error| error.to_string()),
        _ => Err("only http:// is spoken here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Options, ErrorKind> {
        let words = format!("bots --players 5 --seconds 3 {line}");
        Options::try_parse_from(words.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn somewhere_to_go_is_needed() {
        assert_eq!(parse("").unwrap_err(), ErrorKind::MissingRequiredArgument);
        assert_eq!(parse("--lobby http://127.0.0.1:8080").unwrap().players, 5);
        assert_eq!(parse("--lobby http://a --direct http://b --instance m1").unwrap_err(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn direct_needs_the_instance() {
        assert_eq!(parse("--direct http://127.0.0.1:9").unwrap_err(), ErrorKind::MissingRequiredArgument);
        let options = parse("--direct ws://127.0.0.1:9 --instance m1").unwrap();
        assert_eq!(options.direct.unwrap().as_str(), "http://127.0.0.1:9/");
    }

    #[test]
    fn addresses_and_counts_are_checked() {
        for address in ["https://example.test", "127.0.0.1:8080", "http://a/path", "nonsense"] {
            assert_eq!(parse(&format!("--lobby {address}")).unwrap_err(), ErrorKind::ValueValidation, "{address}");
        }
        let none = Options::try_parse_from("bots --lobby http://a --players 0 --seconds 3".split(' '));
        assert_eq!(none.unwrap_err().kind(), ErrorKind::ValueValidation);
        assert_eq!(parse("--lobby http://a --region ewr --instance m1").unwrap_err(), ErrorKind::ArgumentConflict);
    }
}
