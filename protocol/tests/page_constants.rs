//! What the pages must know of the wire without speaking it: `web-client/shared/generated/protocol.ts`.
//!
//! Not through the wasm package, because the lobby's page has none. The file is checked in, so that the pages build
//! without this test; one that is out of date is written anew, and the test fails once.

use protocol::{
    close::CloseReason,
    limits::{CHAT_MAX_BYTES, NAME_MAX_BYTES},
    room::{Kind, durable_id},
};
use std::{fs, path::Path};

const HEAD: &str =
    "// The wire's constants for the pages, from the crate `protocol`; written by `cargo test -p protocol`.\n\n";

/// As in TypeScript: `ServerStopping` is `serverStopping`.
fn name(reason: CloseReason) -> String {
    let name = format!("{reason:?}");
    name[..1].to_lowercase() + &name[1..]
}

/// No text here has a quote or a backslash in it.
fn quoted(text: &str) -> String {
    format!("'{text}'")
}

fn constant(comment: &str, name: &str, value: impl std::fmt::Display) -> String {
    format!("/** {comment} */\nexport const {name} = {value};\n")
}

/// `entries` between `open` and `close`, a line each.
fn lines(open: char, entries: impl Iterator<Item = String>, close: &str) -> String {
    format!("{open}\n{}{close}", entries.map(|entry| format!("  {entry},\n")).collect::<String>())
}

fn module() -> String {
    let codes = CloseReason::ALL.map(|reason| format!("{}: {}", name(reason), reason.code()));
    let sentences = CloseReason::ALL.into_iter().filter_map(|reason| {
        let sentence = reason.sentence()?;
        Some(format!("{}: {}", reason.code(), quoted(sentence)))
    });
    let examples = [("m1", "arena"), ("m9", "arena-m1"), ("m9", "arena-p-abc"), ("m9", "field-abc")]
        .map(|(instance, room)| format!("['{instance}', '{room}', '{}']", durable_id(instance, room)));
    [
        HEAD.to_owned(),
        constant("Longest name in bytes of UTF-8; the server cuts what is longer.", "NAME_MAX_BYTES", NAME_MAX_BYTES),
        constant("Longest line of chat in bytes of UTF-8.", "CHAT_MAX_BYTES", CHAT_MAX_BYTES),
        constant(
            "The kinds of room by their words: each has its page in a folder, its crate in `wasm`, and a public room on every machine.",
            "KINDS",
            format!("[{}] as const", Kind::ALL.map(|kind| quoted(kind.word())).join(", ")),
        ),
        constant(
            "Examples for a test: instance, room, durable id.",
            "DURABLE_ID_EXAMPLES",
            lines('[', examples.into_iter(), "] as const"),
        ),
        constant("Why the server closed a socket.", "CLOSE", lines('{', codes.into_iter(), "} as const")),
        constant(
            "What a person is told, by close code; any other code is a lost connection.",
            "CLOSE_SENTENCES",
            lines('{', sentences, "} as const"),
        ),
    ]
    .concat()
}

#[test]
fn the_pages_know_the_constants_of_this_wire() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web-client/shared/generated/protocol.ts");
    let module = module();
    if fs::read_to_string(&path).is_ok_and(|written| written == module) {
        return;
    }
    fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("the pages' folder can be written");
    fs::write(&path, module).expect("the pages' folder can be written");
    panic!("{} was out of date and is written anew: build the pages, and commit it", path.display());
}

#[test]
fn sentences_for_people_are_calm_and_end() {
    for sentence in CloseReason::ALL.into_iter().filter_map(CloseReason::sentence) {
        assert!(sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'), "{sentence}");
        assert!(!sentence.contains(['!', '\'', '"', '\\']), "{sentence}");
    }
}
