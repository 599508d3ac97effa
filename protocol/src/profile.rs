//! How members appear to others, and what they may call themselves and say.
//!
//! Path: whatever a client sent goes through [`sanitise_name`] and [`sanitise_chat`] before anybody else sees it.

use crate::limits;
use serde::{Deserialize, Serialize};

/// How a member appears to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Name: 1 to `NAME_MAX_BYTES` bytes, no control characters (see [`sanitise_name`]).
    pub name: String,
    /// Colour and mark, 0..=7.
    pub hue: u8,
    /// Played by a computer.
    pub is_bot: bool,
}

/// Makes any text a name: no control characters, single spaces, cut to `NAME_MAX_BYTES`, `nobody` if nothing is left.
pub fn sanitise_name(wanted: &str, nobody: &str) -> String {
    let printable = wanted.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
    let mut name = printable.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    while name.len() > limits::NAME_MAX_BYTES {
        name.pop();
    }
    let name = name.trim_end();
    if name.is_empty() { nobody.to_owned() } else { name.to_owned() }
}

/// Makes any text a chat line: no control characters, trimmed; `None` if nothing is left or it is too long.
pub fn sanitise_chat(text: &str) -> Option<String> {
    let line: String = text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let line = line.trim();
    (!line.is_empty() && line.len() <= limits::CHAT_MAX_BYTES).then(|| line.to_owned())
}

/// Zero-width characters and direction overrides: they let one name pass for another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S5.4 and S5.5.
    #[test]
    fn names_are_made_harmless() {
        assert_eq!(sanitise_name("  a\u{202E}b \n c ", "Pilot"), "a b c");
        assert_eq!(sanitise_name("\u{200B}", "Pilot"), "Pilot");
        assert_eq!(sanitise_name(&"é".repeat(40), "Pilot").len(), limits::NAME_MAX_BYTES);
        assert_eq!(sanitise_chat(" \u{7} "), None);
        assert_eq!(sanitise_chat(&"x".repeat(limits::CHAT_MAX_BYTES + 1)), None);
    }
}
