//! Any bytes to every decoder that reads a stranger's: none may panic, and what was read must encode to the same again.

#![no_main]

use arena::wire;
use libfuzzer_sys::fuzz_target;
use protocol::{
    bits::BitReader,
    entry::Entry,
    frame::{Head, decode_entries},
    message::{KIND_TAG, Packet, ServerMessage},
    profile::{sanitise_chat, sanitise_name},
    token::Key,
};
use std::sync::LazyLock;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new("a secret of enough length").expect("it is long enough"));

fuzz_target!(|bytes: &[u8]| {
    match Packet::decode(bytes) {
        Ok(Packet::Session(message)) => {
            assert_eq!(Packet::decode(&message.encode()), Ok(Packet::Session(message)));
        }
        Ok(Packet::Kind(bytes)) => arena(bytes),
        Err(_) => {}
    }
    if let Ok(message) = ServerMessage::decode(bytes) {
        assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(entry) = Entry::decode(1, bytes) {
        assert_eq!(Entry::decode(1, &entry.encode()), Ok(entry.clone()));
        let _ = (entry.talk(), wire::Kill::decode(&entry.body));
    }
    let _ = (wire::Welcome::decode(bytes), wire::Operation::decode(bytes));
    for near in [0, 1, 70_000, u32::MAX] {
        let _ = decode_entries(&mut BitReader::new(bytes), near);
        if let Ok(head) = Head::decode(&mut BitReader::new(bytes), near) {
            let mut again = Vec::new();
            head.encode(&mut again);
            assert_eq!(Head::decode(&mut BitReader::new(&again), near), Ok(head));
        }
        if let Ok(header) = wire::Header::decode(&mut BitReader::new(bytes), near) {
            let mut again = Vec::new();
            header.encode(&mut again);
            assert_eq!(wire::Header::decode(&mut BitReader::new(&again), near), Ok(header));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        verify(text);
        let name = sanitise_name(text, "Pilot");
        assert_eq!(sanitise_name(&name, "Pilot"), name);
        let _ = sanitise_chat(text);
    }
});

/// What is the dogfight's own.
fn arena(bytes: &[u8]) {
    match wire::Packet::decode(bytes) {
        Ok(wire::Packet::Inputs(packet)) => assert_eq!(packet.encode(), bytes),
        Ok(wire::Packet::Request(request)) => {
            let again = [&[KIND_TAG], &request.encode()[..]].concat();
            assert_eq!(wire::Packet::decode(&again), Ok(wire::Packet::Request(request)));
        }
        Err(_) => {}
    }
}

/// Nobody forges a signature by chance, so every text is refused.
fn verify(text: &str) {
    for now_s in [0, 1_700_000_000, u64::MAX] {
        assert!(KEY.verify_ticket(text, "148e21ea7d3889", "arena", now_s).is_err());
        assert!(KEY.verify_replay(text, "148e21ea7d3889", "/gameserver/148e21ea7d3889/arena", now_s).is_err());
    }
    assert!(KEY.verify_resume(text, "arena").is_err());
    assert!(KEY.verify_host(text, "arena-p-abcdef2345").is_err());
    assert_eq!(KEY.open_alias(text), None);
}
