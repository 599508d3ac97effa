//! The bytes of one example of every message, as they are on the wire (`golden.txt`).
//!
//! A line that differs is another wire: old pages and new servers would misread each other. Whoever means it counts up
//! [`PROTOCOL_VERSION`] and puts the new bytes there; the failing test prints them.

use protocol::{
    PROTOCOL_VERSION,
    close::CloseReason,
    entry::{Entry, Line, Talk},
    frame::{Ack, Head, encode_entries},
    message::{ClientMessage, Hello, Operation, ServerMessage, Welcome},
    profile::Profile,
    room::Kind,
    token::{Grant, Key, Resume, Role},
};
use std::fmt::Write;

fn profile() -> Profile {
    Profile { name: "Ada".into(), hue: 3, is_bot: false }
}

fn hello() -> Hello {
    let (ticket, resume) = (Some("a ticket".into()), Some("a token".into()));
    Hello { ticket, resume, have_tick: 70_000, have_entry: 12, ..Hello::to(Kind::Arena, 0xdead_beef, "Ada", 3) }
}

fn line() -> Talk {
    Talk::Chat(Line { name: "Bob".into(), text: "hello".into(), at_s: 1_700_000_000 })
}

fn welcome() -> Welcome {
    Welcome {
        member: 300,
        epoch: 5,
        resumed: true,
        since: 69_990,
        tick: 70_001,
        resume: "a token".into(),
        role: Role::Host,
        profile: profile(),
        history: vec![line().entry(40, 7)],
        last_entry: 41,
        kept_entry: 39,
        last_operation: 4,
        kind: vec![1, 2, 3],
    }
}

fn client_messages() -> Vec<(&'static str, Vec<u8>)> {
    let operate = |operation| ClientMessage::Operation { number: 5, operation }.encode();
    vec![
        ("client hello", ClientMessage::Hello(hello()).encode()),
        ("client chat", operate(Operation::Chat("hello".into()))),
        ("client rename", operate(Operation::Rename { name: "Bea".into(), hue: 7 })),
        ("client operation", operate(Operation::Kind(vec![1, 2, 3]))),
        ("client whois", ClientMessage::Whois(vec![1, 300, 70_000]).encode()),
        ("client leave", ClientMessage::Leave.encode()),
    ]
}

fn server_messages() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("server welcome", ServerMessage::Welcome(Box::new(welcome())).encode()),
        ("server refused", ServerMessage::refused(CloseReason::Overloaded, Kind::Arena, 9).encode()),
        ("server roster", ServerMessage::Roster(vec![(7, profile())]).encode()),
        ("server notice", ServerMessage::Notice("a word".into()).encode()),
        ("server bye", ServerMessage::Bye { code: CloseReason::Replaced.code() }.encode()),
        ("server service", ServerMessage::Service { level: 3, is_slow: true }.encode()),
        ("server taken", ServerMessage::Taken { number: 5, entry: 300 }.encode()),
        ("server declined", ServerMessage::Declined { number: 5, sentence: "No.".into() }.encode()),
        ("entry chat", line().entry(1, 7).encode()),
        ("entry joined", Talk::Joined(profile()).entry(1, 300).encode()),
        ("entry left", Talk::Left("Ada".into()).entry(1, 7).encode()),
    ]
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let all = Head { tick: 70_001, span: 3, ack: Some(Ack { packet: 9, lead: -2 }), has_entries: true, kind: 15 };
    let plain = Head { span: 1, tick: 70_001, ..Head::default() };
    let head = |head: Head| {
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        bytes
    };
    let section = |numbers, entries: &[Vec<u8>]| {
        let mut bytes = Vec::new();
        encode_entries(&mut bytes, 39, numbers, entries.iter().map(Vec::as_slice));
        bytes
    };
    let entry = |body: Vec<u8>| Entry { number: 0, topic: 16, author: 7, body }.encode();
    vec![
        ("head of all", head(all)),
        ("head of nothing", head(plain)),
        ("head anew", head(Head { span: 0, ..plain })),
        ("entries none", section((40, 41), &[])),
        ("entries", section((40, 41), &[entry(vec![1]), entry(vec![2, 3])])),
        ("entries behind a gap", section((40, 50), &[entry(vec![1])])),
    ]
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

/// SPEC S1.2, S2.1, S5.1, S5.2, S6.1, S7.1 and S8.1.
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
