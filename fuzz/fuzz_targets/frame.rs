//! Any bytes as a frame to a replica that holds a real room: it may refuse, and must not panic.
//!
//! The first byte chooses: a frame as it is, or the room's own next frame with the rest laid over it, which gets deeper
//! into the rows than noise does.

#![no_main]

use game::{PilotId, rules::Rules};
use libfuzzer_sys::fuzz_target;
use protocol::{
    message::{ClientMessage, Hello, KIND_TAG, Operation, Packet, ServerMessage},
    room::Kind,
    token::{Key, Role},
};
use std::sync::LazyLock;
use arena::{
    Replica, Room, RoomConfig,
    wire::{self, InputPacket, Request},
};
use session::{
    Engine, Output,
    sim::{self, Outbox},
};

/// Ticks before the replica's first frame, so that there is something to see, and frames that can be damaged.
const WARM_UP_TICKS: u32 = 120;
const FRAMES_COUNT: usize = 8;

static SCENE: LazyLock<(Replica, Vec<Vec<u8>>)> = LazyLock::new(scene);

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let (replica, frames) = &*SCENE;
    let mut replica = replica.clone();
    // Frames come one after the other: those before the damaged one are as the room sent them.
    let nth = usize::from(*choice) % (FRAMES_COUNT + 1);
    for frame in frames.iter().take(nth.saturating_sub(1)) {
        replica.apply(frame, 0, |_, _, _| {}).expect("the room's own frames are fine");
    }
    let frame = if nth == 0 { bytes.to_vec() } else { overlaid(&frames[nth - 1], bytes) };
    // What was understood, however wrong, is stepped on.
    if replica.apply(&frame, 0, |_, rows, _| assert!(rows.len() < 1 << 20)).is_ok() {
        let _ = replica.apply(bytes, 0, |_, _, _| {});
    }
});

/// `frame` with changes from `damage`: pairs of an offset (two bytes) and what is xored to the byte there.
fn overlaid(frame: &[u8], damage: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for change in damage.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % frame.len();
        frame[at] ^= change[2];
    }
    frame
}

/// A replica that holds a room's first frame, and the frames that follow.
fn scene() -> (Replica, Vec<Vec<u8>>) {
    let key = Key::new("a secret of enough length").expect("it is long enough");
    let rules = Rules::default();
    let config = RoomConfig {
        name: "arena".into(),
        key,
        epoch: 1,
        seed: 7,
        rules: rules.clone(),
        fillers: 20,
        max_players: 10,
        max_readers: 0,
        silence_max_ms: 10_000,
        begins_s: 0,
        cadence_ticks: 1,
    };
    let mut room = Room::new(config);
    let hello = Hello::to(Kind::Arena, wire::version(), "Ada", 0);
    room.connect(sim::connection(1), &hello, Some(Role::Member));
    let welcome = welcome(&mut room);
    (0..WARM_UP_TICKS).for_each(|_| room.tick());
    let mut replica = Replica::starting_at(arena::code_tables(), rules, PilotId(welcome.member as u16), welcome.tick);
    let mut frames = frames(&mut room);
    replica.apply(&frames.remove(0), 0, |_, _, _| {}).expect("the room's own frames are fine");
    (replica, frames)
}

fn welcome(room: &mut Room) -> protocol::message::Welcome {
    let Some(Output::Message(_, bytes)) = room.poll_output() else { panic!("the welcome is the first output") };
    match ServerMessage::decode(&bytes) {
        Ok(ServerMessage::Welcome(welcome)) => *welcome,
        other => panic!("the welcome is the first output, not {other:?}"),
    }
}

/// The first frame and those after it: of one tick, of several, with sums, with events.
fn frames(room: &mut Room) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for number in 0..=FRAMES_COUNT {
        let packet = InputPacket {
            number: number as u8 + 1,
            ack: room.stats().tick,
            at: room.stats().tick,
            view_delay: 0,
            inputs: vec![],
        };
        room.receive(sim::connection(1), Packet::Kind(&packet.encode()));
        match number % 3 {
            1 => {
                let verify = [&[KIND_TAG], &Request::Verify.encode()[..]].concat();
                room.receive(sim::connection(1), Packet::Kind(&verify));
            }
            2 => {
                let (number, operation) = (number as u32, Operation::Chat("hello".into()));
                room.receive(sim::connection(1), Packet::Session(ClientMessage::Operation { number, operation }));
            }
            _ => (0..6).for_each(|_| room.tick()),
        }
        room.tick();
        let mut outbox = Outbox::default();
        room.frames(&mut outbox);
        frames.push(outbox.frames.pop().expect("its window has room").1);
    }
    frames
}
