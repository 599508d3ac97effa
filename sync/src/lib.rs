//! Both ends of the wire: [`Room`] (server end) and [`Client`] (client end, around a [`Replica`]), as plain values.
use bytes::Bytes;
use protocol::{close::CloseReason, message::{ClientPacket, Hello}, token::Key};
/// x
#[derive(Debug, Clone)]
pub struct RoomConfig { /// x
pub name: String, /// x
pub key: Key, /// x
pub epoch: u32, /// x
pub seed: u64, /// RON text of the rules
pub rules: game::rules::Rules, /// x
pub fillers: u16, /// x
pub max_players: u16 }
/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);
/// x
#[derive(Debug)]
pub enum Output { /// x
Message(SessionId, Bytes), /// x
Close(SessionId, CloseReason) }
/// x
#[derive(Debug, Clone, Copy, Default)]
pub struct RoomStats { /// x
pub tick: u32, /// x
pub players: u32, /// x
pub pilots: u32, /// x
pub rows: u32, /// x
pub chunks_encoded: u64, /// x
pub frames: u64, /// x
pub repairs: u64, /// x
pub late_inputs: u64 }
/// x
#[derive(Debug)]
pub struct Room;
impl Room {
    /// x
    pub fn new(_config: RoomConfig) -> Self { Self }
    /// x
    pub fn join(&mut self, _hello: &Hello, _admitted: bool) -> Result<SessionId, CloseReason> { unimplemented!() }
    /// x
    pub fn handle(&mut self, _session: SessionId, _packet: ClientPacket) { unimplemented!() }
    /// x
    pub fn disconnect(&mut self, _session: SessionId) { unimplemented!() }
    /// x
    pub fn tick(&mut self) { unimplemented!() }
    /// x
    pub fn frame_for(&mut self, _session: SessionId) -> Option<Bytes> { unimplemented!() }
    /// x
    pub fn poll_output(&mut self) -> Option<Output> { unimplemented!() }
    /// x
    pub fn stats(&self) -> RoomStats { unimplemented!() }
}
