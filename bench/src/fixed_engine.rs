//! An engine that does nothing: it gives everybody the same frame each tick and counts the inputs that it is given.
//!
//! Path: [`start`] runs the real server around it → [`frame`] makes the frames, of which clients read tick and count with
//! [`read_frame`]. The servers beside which it is measured send the same frames.

use bytes::Bytes;
use net::{Config, Server};
use protocol::{
    close::CloseReason,
    message::{HOT_BIT, Hello, Packet, ServerMessage, Welcome},
    profile::Profile,
    room::Kind,
    token::Role,
};
use session::{Command, ConnectionId, Engine, FrameSink, Output, Stats};
use std::{
    collections::{BTreeSet, VecDeque},
    ops::RangeInclusive,
};

/// Of an input on the wire: WebSocket's head and mask, the packet's head, one change of the controls.
pub(crate) const INPUT_WIRE_BYTES: u64 = 6 + 10 + 6;
/// About what the arena's rules take in a welcome.
const RULES_BYTES: usize = 160;

/// A frame that only tells its tick and how many inputs were read so far.
pub(crate) fn frame(length: usize, tick: u32, inputs: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    bytes.push(HOT_BIT);
    bytes.extend_from_slice(&tick.to_le_bytes());
    bytes.extend_from_slice(&inputs.to_le_bytes());
    bytes.resize(length, 0);
    bytes
}

/// Tick and inputs of such a frame; `None` of any other message.
pub(crate) fn read_frame(bytes: &[u8]) -> Option<(u32, u64)> {
    let (tick, rest) = bytes.strip_prefix(&[HOT_BIT])?.split_first_chunk()?;
    let (inputs, _) = rest.split_first_chunk()?;
    Some((u32::from_le_bytes(*tick), u64::from_le_bytes(*inputs)))
}

/// The real server around a [`Fixed`] engine, for the child process.
///
/// # Errors
/// When there is no port.
pub(crate) async fn start(mut config: Config, frame_bytes: usize) -> anyhow::Result<Server> {
    config.kinds[Kind::Arena].members = 50_000;
    Server::start_with(config, move |_| Ok(Fixed::new(frame_bytes))).await
}

/// An engine that gives everybody the same frame each tick and counts what it hears.
#[derive(Debug)]
struct Fixed {
    /// 0: no frames.
    frame_bytes: usize,
    frame: Vec<u8>,
    tick: u32,
    inputs: u64,
    connections: BTreeSet<ConnectionId>,
    output: VecDeque<Output>,
}

impl Fixed {
    fn new(frame_bytes: usize) -> Self {
        let (connections, output) = (BTreeSet::new(), VecDeque::new());
        Self { frame_bytes, frame: Vec::new(), tick: 0, inputs: 0, connections, output }
    }
}

impl Engine for Fixed {
    const KIND: Kind = Kind::Arena;
    const TICK_HZ: u32 = arena::TICK_HZ;
    const BEGINS_ANEW: bool = true;

    fn versions() -> RangeInclusive<u32> {
        arena::Room::versions()
    }

    fn connect(&mut self, from: ConnectionId, hello: &Hello, admission: Option<Role>) {
        self.output.push_back(if admission.is_some() {
            self.connections.insert(from);
            Output::Message(from, welcome(hello))
        } else {
            Output::Refuse(from, CloseReason::BadTicket)
        });
    }

    fn receive(&mut self, _from: ConnectionId, packet: Packet<'_>) {
        self.inputs += u64::from(matches!(packet, Packet::Kind(_)));
    }

    fn committed(&mut self, _entry: u32) {}

    fn disconnect(&mut self, from: ConnectionId) {
        self.connections.remove(&from);
    }

    fn command(&mut self, _command: Command) {}

    fn tick(&mut self) {
        self.tick += 1;
        if self.frame_bytes > 0 {
            self.frame = frame(self.frame_bytes, self.tick, self.inputs);
        }
    }

    fn frames(&mut self, sink: &mut dyn FrameSink) {
        for to in self.connections.iter().filter(|_| !self.frame.is_empty()) {
            if sink.can_take(*to) {
                sink.put(*to, &mut |bytes| bytes.extend_from_slice(&self.frame));
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        None
    }

    fn stats(&self) -> Stats {
        let members = self.connections.len() as u32;
        let capacity = u32::from(u16::MAX);
        Stats { tick: self.tick, members, population: members, capacity, ..Stats::default() }
    }
}

/// A welcome as long as a real one.
fn welcome(hello: &Hello) -> Bytes {
    let profile = Profile { name: hello.name.clone(), hue: hello.hue, is_bot: false };
    let welcome = Welcome {
        member: 1,
        epoch: 1,
        resumed: false,
        since: 0,
        tick: 1,
        resume: "1234.1.1.member.0123456789abcdef0123456789abcdef".to_owned(),
        role: Role::Member,
        profile,
        history: Vec::new(),
        last_entry: 0,
        kept_entry: 0,
        last_operation: 0,
        kind: vec![1; RULES_BYTES],
    };
    ServerMessage::Welcome(Box::new(welcome)).encode().into()
}
