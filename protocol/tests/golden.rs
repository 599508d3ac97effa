//! The bytes of one example of every message, as they are on the wire (`golden.txt`).
//!
//! A line that differs is another wire: old pages and new servers would misread each other. Whoever means it counts up
//! [`PROTOCOL_VERSION`] and puts the new bytes there; the failing test prints them.

use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    frame::{Header, InputAck, PrivateState, Respawn},
    message::{ClientMessage, Event, Hello, Input, InputPacket, Profile, ServerMessage, Welcome},
    token::{Grant, Key, Resume, Role},
};
use std::fmt::Write;

fn profile() -> Profile {
    Profile { name: "Ada".into(), hue: 3, is_bot: false }
}

fn hello() -> Hello {
    let (ticket, resume) = (Some("a ticket".into()), Some("a token".into()));
    let version = PROTOCOL_VERSION;
    Hello { version, ticket, resume, have_tick: 70_000, have_event: 12, name: "Ada".into(), hue: 3 }
}

fn welcome() -> Welcome {
    let history = vec![Event::Chat { pilot: 7, name: "Bob".into(), text: "hello".into() }];
    Welcome {
        pilot: 300,
        epoch: 5,
        resumed: true,
        since: 69_990,
        tick: 70_001,
        resume: "a token".into(),
        rules: vec![1, 2, 3],
        profile: profile(),
        history,
        last_event: 41,
    }
}

fn client_messages() -> Vec<(&'static str, Vec<u8>)> {
    let inputs = vec![Input { tick: 70_000, controls: 513 }, Input { tick: 70_001, controls: 0 }];
    vec![
        ("client hello", ClientMessage::Hello(hello()).encode()),
        ("client chat", ClientMessage::Chat("hello".into()).encode()),
        ("client whois", ClientMessage::Whois(vec![1, 300]).encode()),
        ("client fly again", ClientMessage::FlyAgain.encode()),
        ("client rename", ClientMessage::Rename { name: "Bea".into(), hue: 7 }.encode()),
        ("client verify", ClientMessage::Verify.encode()),
        ("client repair", ClientMessage::Repair(vec![0, 399]).encode()),
        ("client leave", ClientMessage::Leave.encode()),
        ("client inputs", InputPacket { number: 255, ack: 69_990, at: 70_001, view_delay: 130, inputs }.encode()),
    ]
}

fn server_messages() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("server welcome", ServerMessage::Welcome(Box::new(welcome())).encode()),
        ("server refused", ServerMessage::refused(CloseReason::Overloaded).encode()),
        ("server roster", ServerMessage::Roster(vec![(7, profile())]).encode()),
        ("server notice", ServerMessage::Notice("a word".into()).encode()),
        ("server bye", ServerMessage::Bye { code: CloseReason::Replaced.code() }.encode()),
        ("server service", ServerMessage::Service { level: 3, is_slow: true }.encode()),
        ("entry chat", Event::Chat { pilot: 7, name: "Bob".into(), text: "hello".into() }.encode()),
        ("entry kill", Event::Kill { killer: 7, victim: 300, rammed: true, view_delay: 42 }.encode()),
        ("entry joined", Event::Joined { pilot: 7, profile: profile() }.encode()),
        ("entry left", Event::Left { pilot: 7, name: "Ada".into() }.encode()),
    ]
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let respawn = Respawn { tick: 70_100, x: 123_456, y: 654_321, heading: 32_768, shots: 17 };
    let private = PrivateState { score: 1234, rank: 2, ranked: 40, respawn: Some(respawn) };
    let all = Header {
        tick: 70_001,
        span: 3,
        checksum: 0xbeef,
        input_ack: Some(InputAck { packet: 9, lead: -2 }),
        viewpoint: Some(1234),
        private: Some(private),
        has_whole: true,
        has_sums: true,
        has_events: true,
    };
    let plain = Header { span: 1, checksum: 0xbeef, tick: 70_001, ..Header::default() };
    let anew = Header { span: 0, private: Some(PrivateState { respawn: None, ..private }), ..plain };
    let bytes = |header: Header| {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes
    };
    vec![("frame of all", bytes(all)), ("frame of nothing", bytes(plain)), ("frame anew", bytes(anew))]
}

/// What a close frame says: the code, and the text beside it.
fn closes() -> Vec<(&'static str, Vec<u8>)> {
    let frame = |reason: CloseReason| [&reason.code().to_be_bytes(), reason.wire_text().as_bytes()].concat();
    CloseReason::ALL.map(|reason| ("close frame", frame(reason))).to_vec()
}

fn tokens() -> Vec<(&'static str, Vec<u8>)> {
    let key = Key::new("only for this test, long enough").expect("it is long enough");
    let resume = Resume { member: 7, epoch: 3, generation: 2, role: Role::Member };
    vec![
        ("ticket", key.sign_ticket(("m1", "arena"), (Grant::Open, Role::Member), 99, 1_700_000_000).into_bytes()),
        ("resume token", key.sign_resume("arena-m1", resume).into_bytes()),
        ("replay state", key.sign_replay("m1", "/gameserver/m1/arena", 1_700_000_000, 1).into_bytes()),
    ]
}

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let mut golden = format!("version {PROTOCOL_VERSION}\n");
    for (name, bytes) in [client_messages(), server_messages(), frames(), closes(), tokens()].concat() {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all");
            hex
        });
        writeln!(golden, "{name}: {hex}").expect("a string takes all");
    }
    assert!(golden == include_str!("golden.txt"), "the wire is another one:\n{golden}");
}
