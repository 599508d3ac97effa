//! The command line.
//!
//! Invariant: what parses makes sense together; clap says the rest, and exits with 2.

use clap::{Parser, value_parser};
use protocol::room::Kind;
use reqwest::Url;
use std::path::PathBuf;

/// Most bots of one process: each costs a socket and a replica. Policy: refuse.
const PLAYERS_MAX_COUNT: u32 = 5_000;
/// Longest run. Policy: refuse.
const SECONDS_MAX: i64 = 24 * 60 * 60;
/// Between two lines of one bot, at least: a room takes one a second in the long run. Policy: refuse.
const SAY_EVERY_MIN_S: i64 = 2;

/// Sends computer players into rooms and reports what it was like for them.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// The lobby they join through, e.g. http://127.0.0.1:8080
    #[arg(long, value_name = "URL", value_parser = http_url, required_unless_present = "direct")]
    pub(crate) lobby: Option<Url>,
    /// How many
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(PLAYERS_MAX_COUNT)),
        required_unless_present = "mix", conflicts_with = "mix")]
    pub(crate) players: Option<u32>,
    /// Which kind of room they go to
    #[arg(long, value_name = "KIND", value_parser = kind, default_value = Kind::ALL[0].word(), conflicts_with = "mix")]
    pub(crate) kind: Kind,
    /// How many go to which kind of room, all in one run, e.g. arena=50,lounge=500
    #[arg(long, value_name = "KIND=N,…", value_parser = mix)]
    pub(crate) mix: Option<Mix>,
    /// How often each says a line where people come to talk, on average
    #[arg(long, value_name = "S", value_parser = value_parser!(u32).range(SAY_EVERY_MIN_S..=SECONDS_MAX),
        default_value_t = 20)]
    pub(crate) say_every: u32,
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

/// How many bots go to which kind of room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mix(Vec<(Kind, u32)>);

impl Options {
    /// How many bots go to which kind of room.
    pub(crate) fn groups(&self) -> Vec<(Kind, u32)> {
        self.mix.as_ref().map_or_else(|| vec![(self.kind, self.players.unwrap_or_default())], |mix| mix.0.clone())
    }
}

fn kind(word: &str) -> Result<Kind, String> {
    let words = Kind::ALL.map(Kind::word).join(", ");
    Kind::from_word(word).ok_or_else(|| format!("there is no kind of room \"{word}\"; there are: {words}"))
}

fn mix(text: &str) -> Result<Mix, String> {
    let mut groups = Vec::<(Kind, u32)>::new();
    for part in text.split(',') {
        let (word, number) = part.split_once('=').ok_or_else(|| format!("\"{part}\" is not of the form arena=50"))?;
        let (kind, players) = (kind(word)?, number.parse::<u32>().ok().filter(|players| *players > 0));
        let players = players.ok_or_else(|| format!("\"{number}\" is no number of bots"))?;
        if groups.iter().any(|(other, _)| *other == kind) {
            return Err(format!("\"{word}\" stands there twice"));
        }
        groups.push((kind, players));
    }
    match groups.iter().map(|(_, players)| u64::from(*players)).sum::<u64>() {
        all if all > u64::from(PLAYERS_MAX_COUNT) => Err(format!("{all} are too many: {PLAYERS_MAX_COUNT} at most")),
        _ => Ok(Mix(groups)),
    }
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
        assert_eq!(parse("--lobby http://127.0.0.1:8080").unwrap().players, Some(5));
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

    #[test]
    fn one_kind_or_several_in_one_run() {
        let (first, second) = (Kind::ALL[0], Kind::ALL[1]);
        let parse = |words: &str| {
            let words = format!("bots --lobby http://a --seconds 3 {words}");
            Options::try_parse_from(words.split_whitespace()).map(|options| options.groups())
        };
        assert_eq!(parse("--players 5").unwrap(), [(first, 5)]);
        let word = second.word();
        assert_eq!(parse(&format!("--players 5 --kind {word}")).unwrap(), [(second, 5)]);
        assert_eq!(parse(&format!("--mix {word}=500,{}=50", first.word())).unwrap(), [(second, 500), (first, 50)]);
        for (words, sentence) in [
            ("--players 5 --kind cellar", "there is no kind of room \"cellar\"; there are: arena, lounge"),
            ("--mix arena", "\"arena\" is not of the form arena=50"),
            ("--mix arena=0", "\"0\" is no number of bots"),
            ("--mix arena=1,arena=2", "\"arena\" stands there twice"),
            ("--mix arena=1,lounge=5000", "5001 are too many"),
            ("--mix arena=1 --players 5", "cannot be used with"),
            ("--mix arena=1 --kind lounge", "cannot be used with"),
            ("--players 5 --say-every 1", "1 is not in 2"),
        ] {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains(sentence), "{words}: {error}");
        }
    }
}
