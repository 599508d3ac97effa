//! The body of a join request.
//!
//! Invariants: pure; a bad body gets a sentence that names the field and what would be right.

use crate::refusal::Refusal;
use protocol::room::{ARENA, Kind, is_name};
use serde_json::{Map, Value};

/// What a player asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Where.
    pub target: Target,
    /// Which room there.
    pub room: String,
    /// A new room instead, which only those find who have its link.
    pub is_private: bool,
}

/// Where a player wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On any machine of this region.
    Region(String),
    /// On this machine, or wherever its room is if it is gone.
    Instance(String),
}

impl JoinRequest {
    /// Reads `{"region"} or {"instance", "room"?} or {"region", "private": true}`; where both are given the instance
    /// counts.
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
        let is_private = match fields.get("private") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_private)) => *is_private,
            Some(_) => return Err(bad("\"private\" must be true or false.")),
        };
        let room = field(&fields, "room")?;
        match (&target, room.as_deref()) {
            (_, Some(room)) if Kind::of(room).is_none() => {
                Err(bad(format!("\"room\" cannot be \"{room}\"; that is no room.")))
            }
            (Target::Instance(_), _) | (_, Some(_)) if is_private => {
                Err(bad("\"private\" goes with a \"region\" alone: the lobby chooses machine and name."))
            }
            (Target::Region(_), Some(room)) if room != ARENA => {
                Err(bad(format!("The \"room\" \"{room}\" needs its \"instance\"; in a region there is \"{ARENA}\".")))
            }
            _ => Ok(Self { target, room: room.unwrap_or_else(|| ARENA.to_owned()), is_private }),
        }
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
        ] {
            let Err(Refusal::BadRequest(sentence)) = JoinRequest::parse(body.as_bytes()) else {
                panic!("{body} was taken")
            };
            assert!(sentence.contains(word) && sentence.ends_with('.'), "{body}: {sentence}");
        }
    }

    #[test]
    fn good_bodies_are_read() {
        let region = || Target::Region("ewr".into());
        let instance = || Target::Instance("m1".into());
        for (body, target, room, is_private) in [
            (r#"{"region":"ewr","room":null}"#, region(), "arena", false),
            (r#"{"region":"ewr","private":true}"#, region(), "arena", true),
            (r#"{"instance":"m1"}"#, instance(), "arena", false),
            (r#"{"instance":"m1","region":"ewr","room":"field-a"}"#, instance(), "field-a", false),
        ] {
            let expected = JoinRequest { target, room: room.to_owned(), is_private };
            assert_eq!(JoinRequest::parse(body.as_bytes()), Ok(expected), "{body}");
        }
    }
}
