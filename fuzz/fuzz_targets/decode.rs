//! Any bytes to every decoder that reads a stranger's: none may panic, and what was read must encode to the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    bits::BitReader,
    frame::Header,
    message::{ClientPacket, Event, ServerMessage, sanitise_chat, sanitise_name},
    token::Key,
};
use std::sync::LazyLock;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new("a secret of enough length").expect("it is long enough"));

fuzz_target!(|bytes: &[u8]| {
    match ClientPacket::decode(bytes) {
        Ok(ClientPacket::Message(message)) => {
            assert_eq!(ClientPacket::decode(&message.encode()), Ok(ClientPacket::Message(message)));
        }
        Ok(ClientPacket::Inputs(packet)) => assert_eq!(packet.encode(), bytes),
        Err(_) => {}
    }
    if let Ok(message) = ServerMessage::decode(bytes) {
        assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(event) = Event::decode(bytes) {
        assert_eq!(Event::decode(&event.encode()), Ok(event));
    }
    for near in [0, 1, 70_000, u32::MAX] {
        if let Ok(header) = Header::decode(&mut BitReader::new(bytes), near) {
            let mut again = Vec::new();
            header.encode(&mut again);
            assert_eq!(Header::decode(&mut BitReader::new(&again), near), Ok(header));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        verify(text);
        assert_eq!(sanitise_name(&sanitise_name(text)), sanitise_name(text));
        let _ = sanitise_chat(text);
    }
});

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
