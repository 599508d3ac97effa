//! A room's members, shard by shard.
//!
//! A shard is the members whose connections one worker carries, with what their frames need besides what all share: once a
//! tick is done, frames of different shards can be assembled on different cores.
//! Invariants: a member is in one shard, that of its newest connection; within a shard members lie one behind the other
//! in the order of joining, since every tick walks through all of them; the newest connection of a member is the only one
//! that leads to it.

use crate::{
    engine::ConnectionId,
    log::Section,
    member::{Member, MemberId},
};

/// See the module.
#[derive(Debug)]
pub struct Shard<V, S> {
    /// Ascending.
    ids: Vec<MemberId>,
    /// In the same order.
    members: Vec<Member<V, S>>,
    /// The place after the one that was asked for last: whoever asks for one mostly asks for the next one after it.
    next: usize,
    /// By the connection's slot, for every input asks here.
    by_slot: Vec<Option<(ConnectionId, MemberId)>>,
    /// The section of log entries that this shard's frames were given last.
    pub section: Section,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Members<V, S> {
    shards: Vec<Shard<V, S>>,
}

impl<V, S> Default for Shard<V, S> {
    fn default() -> Self {
        let (ids, members, by_slot) = (Vec::new(), Vec::new(), Vec::new());
        Self { ids, members, next: 0, by_slot, section: Section::default() }
    }
}

impl<V, S> Default for Members<V, S> {
    fn default() -> Self {
        Self { shards: Vec::new() }
    }
}

impl<V, S> Shard<V, S> {
    /// Those with a connection, in the order of joining, and the shard's section of log entries.
    pub fn connected(&mut self) -> (impl Iterator<Item = (ConnectionId, &mut Member<V, S>)>, &mut Section) {
        let members = self.members.iter_mut().filter_map(|member| Some((member.connection?, member)));
        (members, &mut self.section)
    }

    fn at(&mut self, id: MemberId) -> Option<usize> {
        let is_next = self.ids.get(self.next) == Some(&id);
        let at = if is_next { self.next } else { self.ids.binary_search(&id).ok()? };
        self.next = at + 1;
        Some(at)
    }

    fn insert(&mut self, id: MemberId, member: Member<V, S>) {
        let at = self.ids.binary_search(&id).expect_err("a member is in one place");
        self.ids.insert(at, id);
        self.members.insert(at, member);
    }

    fn entry(&mut self, connection: ConnectionId) -> &mut Option<(ConnectionId, MemberId)> {
        let slot = connection.slot as usize;
        self.by_slot.resize(self.by_slot.len().max(slot + 1), None);
        &mut self.by_slot[slot]
    }
}

impl<V: Copy + Eq, S> Members<V, S> {
    pub(crate) fn shards_mut(&mut self) -> &mut [Shard<V, S>] {
        &mut self.shards
    }

    pub(crate) fn get_mut(&mut self, id: MemberId) -> Option<&mut Member<V, S>> {
        self.shards.iter_mut().find_map(|shard| shard.at(id).map(|at| &mut shard.members[at]))
    }

    /// Whom a connection belongs to.
    pub(crate) fn at(&self, connection: ConnectionId) -> Option<MemberId> {
        let shard = self.shards.get(usize::from(connection.shard))?;
        let (named, id) = (*shard.by_slot.get(connection.slot as usize)?)?;
        (named == connection).then_some(id)
    }

    /// The member at a connection.
    pub(crate) fn get_at(&mut self, connection: ConnectionId) -> Option<(MemberId, &mut Member<V, S>)> {
        let id = self.at(connection)?;
        let shard = &mut self.shards[usize::from(connection.shard)];
        let at = shard.at(id)?;
        Some((id, &mut shard.members[at]))
    }

    /// Somebody new, who has no connection yet.
    pub(crate) fn insert(&mut self, id: MemberId, member: Member<V, S>) {
        self.grow(1);
        self.shards[0].insert(id, member);
    }

    /// Leads a connection to a member, who goes over to its shard. An older connection leads nowhere any more.
    pub(crate) fn attach(&mut self, id: MemberId, connection: ConnectionId) -> Option<&mut Member<V, S>> {
        let to = usize::from(connection.shard);
        self.grow(to + 1);
        let from = self.shards.iter().position(|shard| shard.ids.binary_search(&id).is_ok())?;
        let at = self.shards[from].at(id)?;
        if let Some(older) = self.shards[from].members[at].connection {
            self.detach(older);
        }
        if from != to {
            self.shards[from].ids.remove(at);
            let member = self.shards[from].members.remove(at);
            self.shards[to].insert(id, member);
        }
        *self.shards[to].entry(connection) = Some((connection, id));
        self.get_mut(id)
    }

    /// The connection leads nowhere any more. Another that has its place by now stays.
    pub(crate) fn detach(&mut self, connection: ConnectionId) {
        let entry = self.shards[usize::from(connection.shard)].entry(connection);
        _ = entry.take_if(|(named, _)| *named == connection);
    }

    /// Another connection that leads to somebody from the same place: it has ended, whoever has not heard of it yet.
    pub(crate) fn predecessor(&self, connection: ConnectionId) -> Option<ConnectionId> {
        let shard = self.shards.get(usize::from(connection.shard))?;
        let (named, _) = (*shard.by_slot.get(connection.slot as usize)?)?;
        (named != connection).then_some(named)
    }

    pub(crate) fn remove(&mut self, id: MemberId) -> Option<Member<V, S>> {
        let shard = self.shards.iter_mut().find(|shard| shard.ids.binary_search(&id).is_ok())?;
        let at = shard.at(id)?;
        shard.ids.remove(at);
        let member = shard.members.remove(at);
        if let Some(connection) = member.connection {
            self.detach(connection);
        }
        Some(member)
    }

    /// All of them, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MemberId, &Member<V, S>)> {
        self.shards.iter().flat_map(|shard| shard.ids.iter().copied().zip(&shard.members))
    }

    fn grow(&mut self, count: usize) {
        self.shards.resize_with(self.shards.len().max(count), Shard::default);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::token::Role;

    fn connection(shard: u8, slot: u32) -> ConnectionId {
        ConnectionId { shard, slot, number: 7 }
    }

    fn members(ids: &[u32]) -> Members<(), ()> {
        let mut members = Members::default();
        ids.iter().for_each(|id| members.insert(MemberId(*id), Member::new((*id, Role::Member), 1, 0, ())));
        members
    }

    #[test]
    fn whoever_came_first_comes_first_in_whatever_order_they_are_asked_for() {
        let mut members = members(&[4, 2, 9, 7]);
        assert!(members.remove(MemberId(4)).is_some() && members.get_mut(MemberId(4)).is_none());
        assert!(members.iter().map(|(id, _)| id.0).eq([2, 7, 9]));
        for id in [9, 2, 7, 9, 7, 2] {
            assert_eq!(members.get_mut(MemberId(id)).map(|member| member.author), Some(id));
        }
    }

    #[test]
    fn the_newest_connection_of_a_member_wins_also_on_another_worker() {
        let mut members = members(&[5, 6]);
        for (shard, slot) in [(0, 1), (0, 2), (3, 2)] {
            let at = connection(shard, slot);
            members.attach(MemberId(5), at).unwrap().connect(at, 0, 0);
        }
        assert_eq!(
            [(0, 1), (0, 2), (3, 2)].map(|(shard, slot)| members.at(connection(shard, slot))),
            [None, None, Some(MemberId(5))]
        );
        assert_eq!((members.shards_mut().len(), members.iter().count()), (4, 2));
        assert!(members.get_at(connection(3, 2)).is_some_and(|(id, member)| (id.0, member.author) == (5, 5)));
        assert_eq!(members.at(ConnectionId { number: 8, ..connection(3, 2) }), None, "another one at its place");
        members.remove(MemberId(5));
        assert_eq!((members.at(connection(3, 2)), members.iter().count()), (None, 1));
    }
}
