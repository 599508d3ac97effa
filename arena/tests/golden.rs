//! The bytes of one example of everything the dogfight adds to the wire (`golden.txt`).
//!
//! A line that differs is another wire: old pages and new servers would misread each other. Whoever means it counts up the
//! layout version in `src/wire.rs` and puts the new bytes there; the failing test prints them. Rows have a test of their
//! own, and the rules' numbers are in the version.

use arena::wire::{Header, Input, InputPacket, Kill, Operation, PrivateState, Request, Respawn, Welcome};
use game::rules::Rules;
use protocol::frame::Ack;
use std::fmt::Write;

fn bytes(header: Header) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes
}

fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let inputs = vec![Input { tick: 70_000, controls: 513 }, Input { tick: 70_001, controls: 0 }];
    let respawn = Respawn { tick: 70_100, x: 123_456, y: 654_321, heading: 32_768, shots: 17 };
    let private = PrivateState { score: 1234, rank: 2, ranked: 40, respawn: Some(respawn) };
    let plain = Header { span: 1, checksum: 0xbeef, tick: 70_001, ..Header::default() };
    let all = Header {
        span: 3,
        input_ack: Some(Ack { packet: 9, lead: -2 }),
        has_entries: true,
        viewpoint: Some(1234),
        private: Some(private),
        has_whole: true,
        has_sums: true,
        ..plain
    };
    let anew = Header { span: 0, private: Some(PrivateState { respawn: None, ..private }), ..plain };
    vec![
        ("inputs", InputPacket { number: 255, ack: 69_990, at: 70_001, view_delay: 130, inputs }.encode()),
        ("verify", Request::Verify.encode()),
        ("repair", Request::Repair(vec![0, 399]).encode()),
        ("fly again", Operation::FlyAgain.encode()),
        ("kill", Kill { victim: 300, rammed: true, view_delay: 42 }.encode()),
        ("welcome", Welcome { pilot: 300, rules: Rules::default() }.encode()),
        ("frame of all", bytes(all)),
        ("frame of nothing", bytes(plain)),
        ("frame anew", bytes(anew)),
    ]
}

/// SPEC A5.1, A6.1, A6.8, A8.1, A8.2 and A8.3.
#[test]
fn every_message_has_the_bytes_it_always_had() {
    let mut golden = String::new();
    for (name, bytes) in examples() {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all");
            hex
        });
        writeln!(golden, "{name}: {hex}").expect("a string takes all");
    }
    assert!(golden == include_str!("golden.txt"), "the wire is another one:\n{golden}");
}
