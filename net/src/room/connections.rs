//! The tick thread's table of connections: who is there, and whether the last frame has left.
//!
//! Never: whose a connection is; the engine alone knows that.

use crate::io::flow::FlowCounter;
use session::ConnectionId;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// By worker and slot, for every input and every frame asks here.
    by_slot: Vec<Vec<Option<Entry>>>,
    count: usize,
}

#[derive(Debug)]
struct Entry {
    id: ConnectionId,
    flow: FlowCounter,
    frames_handed: u32,
}

impl Connections {
    /// Adds a connection that was handed nothing yet; returns the one whose place it has, which is gone.
    pub(crate) fn insert(&mut self, id: ConnectionId, flow: FlowCounter) -> Option<ConnectionId> {
        let (worker, slot) = (usize::from(id.shard), id.slot as usize);
        self.by_slot.resize_with(self.by_slot.len().max(worker + 1), Vec::new);
        let slots = &mut self.by_slot[worker];
        slots.resize_with(slots.len().max(slot + 1), || None);
        let earlier = slots[slot].replace(Entry { id, flow, frames_handed: 0 });
        self.count += usize::from(earlier.is_none());
        earlier.map(|entry| entry.id)
    }

    pub(crate) fn contains(&self, id: ConnectionId) -> bool {
        let entry = self.by_slot.get(usize::from(id.shard)).and_then(|slots| slots.get(id.slot as usize));
        entry.is_some_and(|entry| entry.as_ref().is_some_and(|entry| entry.id == id))
    }

    /// False when it is not there.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> bool {
        let is_there = self.contains(id);
        if is_there {
            self.by_slot[usize::from(id.shard)][id.slot as usize] = None;
            self.count -= 1;
        }
        is_there
    }

    /// Whether its last frame has left for good, so that the next one is worth assembling.
    pub(crate) fn can_take_frame(&mut self, id: ConnectionId) -> bool {
        self.get_mut(id).is_some_and(|entry| entry.flow.frames_flushed() == entry.frames_handed)
    }

    /// Notes that a frame is on its way.
    pub(crate) fn note_frame(&mut self, id: ConnectionId) {
        let entry = self.get_mut(id).expect("an engine asks first whether a frame can be taken");
        entry.frames_handed = entry.frames_handed.wrapping_add(1);
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ConnectionId> {
        self.by_slot.iter().flatten().flatten().map(|entry| entry.id)
    }

    /// Removes all of them.
    pub(crate) fn clear(&mut self) -> Vec<ConnectionId> {
        let all = self.iter().collect();
        *self = Self::default();
        all
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Entry> {
        let entry = self.by_slot.get_mut(usize::from(id.shard))?.get_mut(id.slot as usize)?.as_mut()?;
        (entry.id == id).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(slot: u32, number: u32) -> ConnectionId {
        ConnectionId { shard: 1, slot, number }
    }

    #[test]
    fn a_connection_that_ended_is_not_taken_for_the_one_that_has_its_place() {
        let mut connections = Connections::default();
        assert_eq!(connections.insert(connection(3, 1), FlowCounter::default()), None);
        assert_eq!(connections.insert(connection(3, 2), FlowCounter::default()), Some(connection(3, 1)));
        assert!(!connections.contains(connection(3, 1)) && connections.contains(connection(3, 2)));
        assert!(!connections.remove(connection(3, 1)) && connections.iter().eq([connection(3, 2)]));
        assert!(connections.remove(connection(3, 2)) && connections.is_empty());
    }

    #[test]
    fn a_second_frame_waits_for_the_first() {
        let (mut connections, flow, id) = (Connections::default(), FlowCounter::default(), connection(0, 1));
        connections.insert(id, flow.clone());
        assert!(connections.can_take_frame(id));
        connections.note_frame(id);
        assert!(!connections.can_take_frame(id));
        flow.note_flushed(1);
        assert!(connections.can_take_frame(id) && !connections.can_take_frame(connection(0, 2)));
    }
}
