//! The body of a join request.
//!
//! Invariants: pure; a bad body gets a sentence that names the field and what would be right.

use crate::refusal::Refusal;
use protocol::limits::TOKEN_MAX_BYTES;
use protocol::room::{Kind, home_of, is_name};
use serde_json::{Map, Value};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Where.
    pub target: Target,
    /// What kind of room.
    pub kind: Kind,
    /// Which room there, of that kind.
    pub room: String,
    /// A new room instead, which only those find who have its link.
    pub is_private: bool,
    /// Only to look on at a public room: nothing is woken or opened for it.
    pub is_watching: bool,
    /// The proof that the room was made for this player.
    pub host: Option<String>,
}

/// Where somebody wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On any machine of this region.
    Region(String),
    /// On this machine, or wherever its room is if it is gone.
    Instance(String),
}

impl JoinRequest {
    /// Reads `{"region", "kind"?} or {"instance", "room"?, "host"?} or {"region", "kind"?, "private": true}`, and
    /// `"watch": true` with a public room; where region and instance are given the instance counts. Without a kind it is the
    /// room's, and the first of all without a room.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] with a sentence that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let json: Value =
            serde_json::from_slice(body).map_err(|error| bad(format!("The body is not JSON: {error}.")))?;
        let Value::Object(fields) = json else {
            return Err(bad("The body must be a JSON object with \"region\" or \"instance\"."));
        };
        let (region, instance) = (field(&fields, "region")?, field(&fields, "instance")?);
        let target = match (instance, region) {
            (Some(instance), _) => Target::Instance(instance),
            (None, Some(region)) => Target::Region(region),
            (None, None) => return Err(bad("Name a \"region\" or an \"instance\".")),
        };
        let (is_private, is_watching) = (flag(&fields, "private")?, flag(&fields, "watch")?);
        let (room, host) = (field(&fields, "room")?, proof(&fields)?);
        let kind = kind_of(field(&fields, "kind")?.as_deref(), room.as_deref())?;
        let is_public = room.as_deref().is_none_or(is_public);
        match (&target, room.as_deref()) {
            (Target::Instance(_), _) | (_, Some(_)) if is_private => {
                Err(bad("\"private\" goes with a \"region\" alone: the lobby chooses machine and name."))
            }
            (Target::Region(_), Some(room)) if room != kind.word() => Err(bad(format!(
                "The \"room\" \"{room}\" needs its \"instance\"; in a region there is \"{}\".",
                kind.word()
            ))),
            _ if is_watching && (is_private || !is_public) => {
                Err(bad("\"watch\" goes with a public room; a private one is seen by its link to read along."))
            }
            _ if host.is_some() && (is_private || is_public) => {
                Err(bad("\"host\" goes with an \"instance\" and the private \"room\" that it is the proof for."))
            }
            _ => {
                let room = room.unwrap_or_else(|| kind.word().to_owned());
                Ok(Self { target, kind, room, is_private, is_watching, host })
            }
        }
    }
}

/// The kind that is asked for, by its word or by a room's name.
fn kind_of(word: Option<&str>, room: Option<&str>) -> Result<Kind, Refusal> {
    let named = word.map(|word| Kind::from_word(word).ok_or_else(|| unknown_kind(word))).transpose()?;
    let Some(room) = room else { return Ok(named.unwrap_or(Kind::ALL[0])) };
    let kind =
        Kind::of(room).ok_or_else(|| bad(format!("\"room\" cannot be \"{room}\"; no kind of room is called that.")))?;
    match named {
        Some(named) if named != kind => {
            Err(bad(format!("The \"room\" \"{room}\" is not of the \"kind\" \"{}\".", named.word())))
        }
        _ => Ok(kind),
    }
}

fn unknown_kind(word: &str) -> Refusal {
    let all = Kind::ALL.map(Kind::word).join("\", \"");
    bad(format!("\"kind\" cannot be \"{word}\"; there is \"{all}\"."))
}

/// Whether everybody finds the room.
fn is_public(room: &str) -> bool {
    Kind::from_word(room).is_some() || home_of(room).is_some()
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<bool, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(is_set)) => Ok(*is_set),
        Some(_) => Err(bad(format!("\"{name}\" must be true or false."))),
    }
}

fn proof(fields: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    match fields.get("host") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= TOKEN_MAX_BYTES => Ok(Some(text.clone())),
        Some(_) => Err(bad(format!("\"host\" must be the proof of a host link, of at most {TOKEN_MAX_BYTES} bytes."))),
    }
}

fn field(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
        Some(_) => Err(bad(format!("\"{name}\" must be a name of 1 to 64 characters from a to z, 0 to 9 and -."))),
    }
}

fn bad(sentence: impl Into<String>) -> Refusal {
    Refusal::BadRequest(sentence.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S10.3 and S10.5.
    #[test]
    fn a_bad_body_is_told_which_field_is_wrong() {
        for (body, word) in [
            ("", "JSON"),
            ("{", "JSON"),
            ("[]", "object"),
            ("{}", "\"region\""),
            (r#"{"region":5}"#, "\"region\""),
            (r#"{"region":""}"#, "\"region\""),
            (r#"{"instance":"../x"}"#, "\"instance\""),
            (r#"{"region":"ewr","room":"A B"}"#, "\"room\""),
            (r#"{"instance":"m1","room":"status"}"#, "\"room\""),
            (r#"{"region":"ewr","room":"field-a"}"#, "\"instance\""),
            (r#"{"region":"ewr","private":"yes"}"#, "\"private\""),
            (r#"{"instance":"m1","private":true}"#, "\"private\""),
            (r#"{"region":"ewr","room":"arena","private":true}"#, "\"private\""),
            (r#"{"region":"ewr","watch":1}"#, "\"watch\""),
            (r#"{"region":"ewr","private":true,"watch":true}"#, "\"watch\""),
            (r#"{"instance":"m1","room":"field-a","watch":true}"#, "\"watch\""),
            (r#"{"instance":"m1","room":"arena-r-0a","watch":true}"#, "\"watch\""),
            (r#"{"instance":"m1","room":"field-a","host":7}"#, "\"host\""),
            (r#"{"instance":"m1","host":"aa"}"#, "\"host\""),
            (r#"{"region":"ewr","private":true,"host":"aa"}"#, "\"host\""),
            (r#"{"region":"ewr","kind":7}"#, "\"kind\""),
            (r#"{"region":"ewr","kind":"cellar"}"#, "\"kind\" cannot be \"cellar\"; there is \"arena\""),
            (r#"{"instance":"m1","room":"cellar"}"#, "\"room\" cannot be \"cellar\""),
        ] {
            let Err(Refusal::BadRequest(sentence)) = JoinRequest::parse(body.as_bytes()) else {
                panic!("{body} was taken")
            };
            assert!(sentence.contains(word) && sentence.ends_with('.'), "{body}: {sentence}");
        }
    }

    /// SPEC S10.3.
    #[test]
    fn good_bodies_are_read() {
        let region = || Target::Region("ewr".into());
        let instance = || Target::Instance("m1".into());
        let plain = |target, room: &str| JoinRequest {
            target,
            kind: Kind::Arena,
            room: room.to_owned(),
            is_private: false,
            is_watching: false,
            host: None,
        };
        let host = Some("aa".to_owned());
        for (body, expected) in [
            (r#"{"region":"ewr","room":null}"#, plain(region(), "arena")),
            (r#"{"region":"ewr","private":true}"#, JoinRequest { is_private: true, ..plain(region(), "arena") }),
            (r#"{"region":"ewr","watch":true}"#, JoinRequest { is_watching: true, ..plain(region(), "arena") }),
            (r#"{"instance":"m1"}"#, plain(instance(), "arena")),
            (r#"{"instance":"m1","region":"ewr","room":"field-a"}"#, plain(instance(), "field-a")),
            (r#"{"instance":"m1","room":"arena-m2","kind":"arena"}"#, plain(instance(), "arena-m2")),
            (
                r#"{"instance":"m1","room":"arena-p-a","host":"aa"}"#,
                JoinRequest { host, ..plain(instance(), "arena-p-a") },
            ),
            (
                r#"{"instance":"m1","room":"arena-m2","watch":true}"#,
                JoinRequest { is_watching: true, ..plain(instance(), "arena-m2") },
            ),
        ] {
            assert_eq!(JoinRequest::parse(body.as_bytes()), Ok(expected), "{body}");
        }
    }

    #[test]
    fn every_kind_can_be_asked_for_by_its_word_or_by_a_room() {
        for kind in Kind::ALL {
            let (word, private) = (kind.word(), kind.private_room("abc"));
            for (body, room) in [
                (format!(r#"{{"region":"ewr","kind":"{word}"}}"#), word),
                (format!(r#"{{"region":"ewr","room":"{word}"}}"#), word),
                (format!(r#"{{"instance":"m1","kind":"{word}"}}"#), word),
                (format!(r#"{{"instance":"m1","room":"{private}"}}"#), &private),
            ] {
                let request = JoinRequest::parse(body.as_bytes()).unwrap();
                assert_eq!((request.kind, &*request.room), (kind, room), "{body}");
            }
            for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
                let body = format!(r#"{{"instance":"m1","room":"{private}","kind":"{}"}}"#, other.word());
                let Err(Refusal::BadRequest(sentence)) = JoinRequest::parse(body.as_bytes()) else { panic!("{body}") };
                assert!(sentence.contains("is not of the \"kind\""), "{sentence}");
            }
        }
    }
}
