//! The bytes of one example of everything the chat room adds to the wire. Whoever changes one of these counts up
//! `wire::VERSIONS`, or old pages and new servers would misread each other.

use lounge::wire::{FramePart, STILL_HERE, Welcome};

fn frame(part: FramePart) -> Vec<u8> {
    let mut bytes = Vec::new();
    part.encode(&mut bytes);
    bytes
}

/// SPEC L1.1, L1.2, L2.1 and L3.1.
#[test]
fn every_message_has_the_bytes_it_always_had() {
    let plain = FramePart { tick: 70_001, span: 4, has_entries: false, people: None };
    assert_eq!(STILL_HERE, [0x80]);
    assert_eq!(Welcome { people: 300 }.encode(), [251, 44, 1]);
    assert_eq!(frame(plain), [0xa0, 4]);
    assert_eq!(frame(FramePart { span: 0, ..plain }), [0xa0, 0, 0x71, 0x11, 1, 0]);
    assert_eq!(frame(FramePart { people: Some(300), has_entries: true, ..plain }), [0xb1, 4, 44, 1, 0, 0]);
}
