//! Admission: limits connections per address and in total, checks tickets and lets each be used once.
//!
//! Path: an upgrade asks for a [`ConnectionPermit`] and keeps it as long as the connection, even if only to be told why
//! it may not stay; a hello's ticket goes through [`Admission::admit`]; a room that is to be opened for it, through
//! [`Opener::charge`].
//! Invariants: a permit gives itself back when dropped, and so does a [`Charge`] that was not spent; both maps are
//! bounded, whatever strangers do. A whole school shares one address, so the limits per address are generous.

use crate::{config::Config, room::address::RoomAddress};
use catalogue::Catalogue;
use protocol::{
    close::CloseReason,
    limits::TICKET_TTL_S,
    message::Hello,
    rate_limit::{RateLimit, TokenBucket},
    room::Kind,
    token::{CLOCK_SKEW_MAX_S, Grant, Key, Role, Ticket},
};
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Connections that are only being told why they may not stay. Policy: refuse the upgrade with an HTTP status, which
/// browsers hide.
pub(crate) const REFUSALS_MAX_COUNT: usize = 256;
/// Pings of one address at once; in rooms there are as many as the kind allows (`Entry::sockets_per_address`). Policy:
/// close with `TooManyFromAddress`.
const PINGS_PER_ADDRESS_MAX_COUNT: u32 = 256;
/// New connections of one address, of each kind: one in this time, and at once twice as many as may be open. Policy: close
/// with `TooManyFromAddress`.
const OPENS_PER_ADDRESS_INTERVAL: Duration = Duration::from_millis(50);
const OPENS_PER_PLACE_BURST_COUNT: u32 = 2;
/// Rooms that one address has opened, the machine's own public one aside: this many at once, then one in each interval.
/// The lobby counts the new ones alike (`lobby/src/limit.rs`). Policy: close with `TooManyRooms`. One that another
/// machine still has, or that the store does not give, does not count: a whole class that follows a lost machine's room
/// tries and tries.
const ROOMS_PER_ADDRESS: RateLimit<Duration> =
    RateLimit::with_burst(ROOMS_PER_ADDRESS_INTERVAL, ROOMS_PER_ADDRESS_BURST_COUNT);
const ROOMS_PER_ADDRESS_BURST_COUNT: u32 = 20;
const ROOMS_PER_ADDRESS_INTERVAL: Duration = Duration::from_secs(30);
/// Addresses remembered beside those that could all have a connection. Policy: those without connections and with nothing
/// held against them are forgotten; if none is, newcomers are closed with `TooManyFromAddress`.
const SPARE_ADDRESSES_MAX_COUNT: usize = 16 * 1024;
/// Used tickets remembered; each for its lifetime. Policy: a ticket that cannot be remembered is refused.
const USED_TICKETS_MAX_COUNT: usize = 64 * 1024;
/// With so many, and each time they have doubled since, those that have expired are forgotten.
const USED_TICKETS_KEPT_COUNT: usize = 512;

/// See the module; shared by all tasks.
#[derive(Debug)]
pub(crate) struct Admission {
    key: Key,
    instance: String,
    /// Policy: close with `RoomFull`.
    max_connections: usize,
    kinds: Catalogue,
    /// When this process started, unix seconds.
    started_s: u64,
    used: Mutex<UsedTickets>,
    addresses: Mutex<Addresses>,
}

#[derive(Debug, Default)]
struct UsedTickets {
    /// Expiry (unix seconds), by nonce.
    expires_s: HashMap<u64, u64>,
    /// How many were left when those that had expired were forgotten last.
    left: usize,
}

#[derive(Debug, Default)]
struct Addresses {
    connections: usize,
    /// Of these, those that want into a room or are in one, readers apart.
    visitors: usize,
    refusals: usize,
    by_address: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    /// By what they are for; `None`: pings.
    sockets: BTreeMap<Option<Kind>, Sockets>,
    rooms: TokenBucket<Instant>,
}

#[derive(Debug)]
struct Sockets {
    open: u32,
    opens: TokenBucket<Instant>,
}

/// Whom a hello lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// What they may do.
    pub(crate) role: Role,
    /// Whether a ticket says so; else a resume token alone.
    pub(crate) by_ticket: bool,
    /// What may be opened for them.
    pub(crate) grant: Grant,
}

/// The right to have a connection open; dropping it gives the place to somebody else.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<Admission>,
    address: IpAddr,
    /// Of the room that it is for; `None`: a ping.
    kind: Option<Kind>,
    is_visitor: bool,
    /// Why the connection may only stay until it was told so.
    pub(crate) refusal: Option<CloseReason>,
}

/// The address of somebody who may want a room opened.
#[derive(Debug)]
pub(crate) struct Opener {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// A room's opening, counted against an address; dropping it before it was spent takes that back.
#[derive(Debug)]
pub(crate) struct Charge {
    admission: Arc<Admission>,
    address: IpAddr,
    is_spent: bool,
}

impl Admission {
    /// Nobody is in, no ticket was used since `started_s` (unix seconds).
    pub(crate) fn new(config: &Config, started_s: u64) -> Self {
        let (key, instance, kinds) = (config.key.clone(), config.instance.clone(), config.kinds.clone());
        let max_connections = kinds.connections() as usize;
        Self { key, instance, max_connections, kinds, started_s, used: Mutex::default(), addresses: Mutex::default() }
    }

    /// A permit for one more connection from an address, for a room of a kind or a ping: to stay, or to be refused with
    /// `RoomFull` or `TooManyFromAddress`. `None` when too many are being refused already.
    pub(crate) fn open(
        self: &Arc<Self>,
        address: IpAddr,
        kind: Option<Kind>,
        now: Instant,
    ) -> Option<ConnectionPermit> {
        let address = network_of(address);
        let mut addresses = lock(&self.addresses);
        let most = kind.map_or(PINGS_PER_ADDRESS_MAX_COUNT, |kind| self.kinds[kind].sockets_per_address);
        let refusal = addresses.enter(address, (kind, most), self.max_connections, now).err();
        if refusal.is_some() {
            if addresses.refusals >= REFUSALS_MAX_COUNT {
                return None;
            }
            addresses.refusals += 1;
        }
        Some(ConnectionPermit { admission: Arc::clone(self), address, kind, is_visitor: false, refusal })
    }

    /// Connections that want into a room, or are in one and do not only read.
    pub(crate) fn visitors(&self) -> usize {
        lock(&self.addresses).visitors
    }

    /// Who says hello in this room; a good ticket is used up. With a resume token a bad ticket does no harm: the room knows
    /// whether the token is the newest. A token that was given out by another name of the room, or for a lesser role than
    /// the ticket says, is taken out of the hello: a reader's is no good for members, nor the other way round.
    ///
    /// # Errors
    /// `BadTicket` when there is neither.
    pub(crate) fn admit(&self, hello: &mut Hello, room: &RoomAddress, now_s: u64) -> Result<Admitted, CloseReason> {
        let ticket = hello.ticket.as_deref().and_then(|ticket| self.use_ticket(ticket, &room.name, now_s));
        let token = hello.resume.as_deref().and_then(|token| self.key.verify_resume(token, &room.name).ok());
        let token = token.filter(|token| ticket.is_none_or(|ticket| is_same_person(token.role, ticket.role)));
        if token.is_none() {
            hello.resume = None;
        }
        let role = ticket.map(|ticket| ticket.role).or(token.map(|token| token.role));
        let role = role.ok_or(CloseReason::BadTicket)?;
        // For whoever looks on at a public room nothing is opened, whenever they come back.
        let least = if role == Role::Reader && !room.is_alias() { Grant::Watch } else { Grant::Enter };
        Ok(Admitted { role, by_ticket: ticket.is_some(), grant: ticket.map_or(least, |ticket| ticket.grant) })
    }

    /// Connections open now, pings and those being refused included.
    pub(crate) fn connections(&self) -> usize {
        let addresses = lock(&self.addresses);
        addresses.connections + addresses.refusals
    }

    fn use_ticket(&self, text: &str, room: &str, now_s: u64) -> Option<Ticket> {
        let ticket = self.key.verify_ticket(text, &self.instance, room, now_s).ok()?;
        // The life of this process before could have seen it; who holds such a ticket gets another for the asking.
        if ticket.expires_s + CLOCK_SKEW_MAX_S < self.started_s + TICKET_TTL_S {
            return None;
        }
        lock(&self.used).note(ticket.nonce, ticket.expires_s, now_s).then_some(ticket)
    }
}

impl UsedTickets {
    /// Whether this is the first use.
    fn note(&mut self, nonce: u64, expires_s: u64, now_s: u64) -> bool {
        if self.expires_s.len() >= (2 * self.left).clamp(USED_TICKETS_KEPT_COUNT, USED_TICKETS_MAX_COUNT) {
            // Those are refused by their age from now on.
            self.expires_s.retain(|_, expires_s| *expires_s >= now_s);
            self.left = self.expires_s.len();
        }
        self.left < USED_TICKETS_MAX_COUNT && self.expires_s.insert(nonce, expires_s).is_none()
    }
}

impl Addresses {
    /// Counts one more connection from an address, if it may stay: at most so many for this kind.
    fn enter(
        &mut self,
        address: IpAddr,
        (kind, most): (Option<Kind>, u32),
        max_connections: usize,
        now: Instant,
    ) -> Result<(), CloseReason> {
        if self.connections >= max_connections {
            return Err(CloseReason::RoomFull);
        }
        let most_addresses = max_connections + SPARE_ADDRESSES_MAX_COUNT;
        self.make_room(most_addresses, now);
        if self.by_address.len() >= most_addresses && !self.by_address.contains_key(&address) {
            return Err(CloseReason::TooManyFromAddress);
        }
        let fresh = || Address { sockets: BTreeMap::new(), rooms: TokenBucket::new(now) };
        let entry = self.by_address.entry(address).or_insert_with(fresh);
        let fresh = || Sockets { open: 0, opens: TokenBucket::new(now) };
        let sockets = entry.sockets.entry(kind).or_insert_with(fresh);
        let limit = RateLimit::with_burst(OPENS_PER_ADDRESS_INTERVAL, most * OPENS_PER_PLACE_BURST_COUNT);
        if sockets.open >= most || !sockets.opens.take(limit, now) {
            return Err(CloseReason::TooManyFromAddress);
        }
        sockets.open += 1;
        self.connections += 1;
        Ok(())
    }

    /// Forgets addresses of which nothing needs to be known, when there are many.
    fn make_room(&mut self, most: usize, now: Instant) {
        if self.by_address.len() >= most {
            let is_gone = |sockets: &Sockets| sockets.open == 0 && sockets.opens.is_full(now);
            self.by_address.retain(|_, address| !address.rooms.is_full(now) || !address.sockets.values().all(is_gone));
        }
    }
}

impl ConnectionPermit {
    /// Of a connection that wants into a room; pings do not.
    pub(crate) fn of_visitor(mut self) -> Self {
        if !std::mem::replace(&mut self.is_visitor, true) {
            lock(&self.admission.addresses).visitors += 1;
        }
        self
    }

    /// It turned out that they only read, which keeps no machine awake.
    pub(crate) fn keeps_nobody_awake(&mut self) {
        if std::mem::replace(&mut self.is_visitor, false) {
            lock(&self.admission.addresses).visitors -= 1;
        }
    }

    /// Whom a room's opening is charged to.
    pub(crate) fn opener(&self) -> Opener {
        Opener { admission: Arc::clone(&self.admission), address: self.address }
    }
}

impl Opener {
    /// Counts one more opening of a room against the address; `None` if that has had enough.
    pub(crate) fn charge(&self, now: Instant) -> Option<Charge> {
        let mut addresses = lock(&self.admission.addresses);
        let is_allowed = addresses.by_address.get_mut(&self.address)?.rooms.take(ROOMS_PER_ADDRESS, now);
        // Made only then: one that is dropped gives back.
        is_allowed.then(|| Charge { admission: Arc::clone(&self.admission), address: self.address, is_spent: false })
    }
}

impl Charge {
    /// It counts for good.
    pub(crate) fn spend(&mut self) {
        self.is_spent = true;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        // Of an address that was forgotten meanwhile there is nothing to take back.
        if !self.is_spent
            && let Some(entry) = lock(&self.admission.addresses).by_address.get_mut(&self.address)
        {
            entry.rooms.put_back(ROOMS_PER_ADDRESS, Instant::now());
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut addresses = lock(&self.admission.addresses);
        addresses.visitors -= usize::from(self.is_visitor);
        if self.refusal.is_some() {
            addresses.refusals -= 1;
            return;
        }
        addresses.connections -= 1;
        let entry = addresses.by_address.get_mut(&self.address);
        if let Some(sockets) = entry.and_then(|entry| entry.sockets.get_mut(&self.kind)) {
            sockets.open -= 1;
        }
    }
}

/// Whether whoever holds a token of the one role comes back as that, with a ticket for the other: the lobby gives a member's
/// to a host whose proof is elsewhere, and to whoever had watched before and takes part now.
fn is_same_person(token: Role, ticket: Role) -> bool {
    (token == Role::Reader) == (ticket == Role::Reader) && token >= ticket
}

/// What counts as one address: an IPv6 customer has a /64 to choose from.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The maps are whole after any panic: every change is a single insert, remove or count.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall_clock;
    use protocol::token::Resume;

    const NOW_S: u64 = 1_000_000;
    const ROOM: Option<Kind> = Some(Kind::Arena);

    /// Connections that one address may have in rooms of the kind that is asked for here.
    fn places(admission: &Admission) -> u32 {
        admission.kinds[Kind::Arena].sockets_per_address
    }

    fn admission() -> Arc<Admission> {
        let config = Config::from_lookup(|name| match name {
            "AERODROME_SECRET" => Some("a secret of enough length".to_owned()),
            "FLY_MACHINE_ID" => Some("m1".to_owned()),
            _ => None,
        });
        Arc::new(Admission::new(&config.unwrap(), NOW_S))
    }

    /// Asks for a permit to stay.
    fn open(admission: &Arc<Admission>, address: IpAddr, now: Instant) -> Result<ConnectionPermit, CloseReason> {
        let permit = admission.open(address, ROOM, now).unwrap();
        permit.refusal.map_or(Ok(permit), Err)
    }

    fn hello(ticket: Option<String>, resume: Option<&str>) -> Hello {
        let resume = resume.map(str::to_owned);
        Hello { ticket, resume, ..Hello::to(Kind::Arena, 1, "Ada", 0) }
    }

    /// What the ticket of somebody who is let in grants; `None`: they come with a token alone.
    fn admit(admission: &Admission, mut hello: Hello, room: &str, now_s: u64) -> Result<Option<Grant>, CloseReason> {
        let room = RoomAddress::of(room, "m1", &admission.key).unwrap();
        admission.admit(&mut hello, &room, now_s).map(|admitted| admitted.by_ticket.then_some(admitted.grant))
    }

    #[test]
    fn a_ticket_works_once() {
        let admission = admission();
        let ticket = admission.key.sign_ticket(("m1", "arena"), (Grant::Open, Role::Member), 7, NOW_S);
        let hello = hello(Some(ticket), None);
        assert_eq!(admit(&admission, hello.clone(), "arena", NOW_S), Ok(Some(Grant::Open)));
        assert_eq!(admit(&admission, hello, "arena", NOW_S + 1), Err(CloseReason::BadTicket));
    }

    #[test]
    fn tickets_are_remembered_for_their_lifetime_and_no_longer() {
        let (mut used, expires_s) = (UsedTickets::default(), |nonce: u64| NOW_S + nonce / 10 + TICKET_TTL_S);
        for nonce in 0..100_000 {
            let (now_s, older) = (NOW_S + nonce / 10, nonce.saturating_sub(10 * TICKET_TTL_S));
            assert!(used.note(nonce, expires_s(nonce), now_s));
            assert!(!used.note(older, expires_s(older), now_s), "it is still good");
        }
        let alive = 10 * TICKET_TTL_S as usize;
        assert!(used.expires_s.len() <= 2 * alive + 10, "{}", used.expires_s.len());
        assert!(
            (0..100_000).filter(|nonce| used.note(1_000_000 + nonce, NOW_S * 2, NOW_S)).count()
                <= USED_TICKETS_MAX_COUNT
        );
    }

    #[test]
    fn a_ticket_of_another_place_or_time_is_refused() {
        let admission = admission();
        let elsewhere = admission.key.sign_ticket(("m2", "arena"), (Grant::Enter, Role::Member), 7, NOW_S);
        assert_eq!(admit(&admission, hello(Some(elsewhere), None), "arena", NOW_S), Err(CloseReason::BadTicket));
        let old = admission.key.sign_ticket(("m1", "arena"), (Grant::Enter, Role::Member), 7, NOW_S);
        assert_eq!(admit(&admission, hello(Some(old), None), "arena", NOW_S + 61), Err(CloseReason::BadTicket));
        assert_eq!(admit(&admission, hello(None, None), "arena", NOW_S), Err(CloseReason::BadTicket));
    }

    /// SPEC S3.3.
    #[test]
    fn a_ticket_from_before_the_start_is_refused() {
        let admission = admission();
        let early = |before_s| {
            admission.key.sign_ticket(("m1", "arena"), (Grant::Enter, Role::Member), before_s, NOW_S - before_s)
        };
        assert_eq!(admit(&admission, hello(Some(early(13)), None), "arena", NOW_S), Err(CloseReason::BadTicket));
        let admitted = admit(&admission, hello(Some(early(12)), None), "arena", NOW_S);
        assert_eq!(admitted, Ok(Some(Grant::Enter)), "clocks differ");
    }

    /// From the first moment on, for as long as a ticket is good by the one clock or the other.
    /// SPEC S3.3.
    #[test]
    fn a_clock_with_which_a_machine_may_start_refuses_nobody_for_it() {
        let most_s = wall_clock::SKEW_MAX_MS / 1000;
        for ahead_s in [-most_s, -5, 0, 5, most_s] {
            let admission = admission();
            for own_s in [NOW_S, NOW_S + 1, NOW_S + 30] {
                for waited_s in [0, TICKET_TTL_S - most_s as u64] {
                    let (nonce, lobby_s) = (own_s * 100 + waited_s, own_s.saturating_add_signed(-ahead_s));
                    let ticket =
                        admission.key.sign_ticket(("m1", "arena"), (Grant::Enter, Role::Member), nonce, lobby_s);
                    let admitted = admit(&admission, hello(Some(ticket), None), "arena", own_s + waited_s);
                    assert_eq!(admitted, Ok(Some(Grant::Enter)), "{ahead_s} s ahead, {waited_s} s on the way");
                }
            }
        }
    }

    #[test]
    fn a_resume_token_must_have_been_given_out_for_this_room() {
        let admission = admission();
        let token =
            admission.key.sign_resume("arena-m1", Resume { epoch: 1, member: 2, generation: 3, role: Role::Member });
        let admit = |token: &str, room| admit(&admission, hello(Some("bad".to_owned()), Some(token)), room, NOW_S);
        assert_eq!(admit(&token, "arena-m1"), Ok(None), "whether it is the newest is the room's to judge");
        assert_eq!(admit(&token, "arena-m2"), Err(CloseReason::BadTicket));
        assert_eq!(admit(&token.replacen('3', "4", 1), "arena-m1"), Err(CloseReason::BadTicket));
        assert_eq!(admit("1.2.3.00", "arena-m1"), Err(CloseReason::BadTicket));
    }

    const PRIVATE: &str = "arena-p-abcdef2345";

    /// Who is let in at a path, and the token that the room gets to see; each call uses another nonce.
    fn enter(
        admission: &Admission,
        path: &str,
        ticket: Option<(&str, Role)>,
        token: Option<(&str, Role)>,
    ) -> Result<(Admitted, bool), CloseReason> {
        let key = &admission.key;
        let nonce = lock(&admission.used).expires_s.len() as u64;
        let ticket = ticket.map(|(name, role)| key.sign_ticket(("m1", name), (Grant::Enter, role), nonce, NOW_S));
        let token =
            token.map(|(name, role)| key.sign_resume(name, Resume { epoch: 1, member: 2, generation: 3, role }));
        let mut hello = hello(ticket, token.as_deref());
        let admitted = admission.admit(&mut hello, &RoomAddress::of(path, "m1", key).unwrap(), NOW_S)?;
        Ok((admitted, hello.resume.is_some()))
    }

    #[test]
    fn what_a_reader_holds_is_no_good_at_the_room_and_what_a_member_holds_is_none_at_the_alias() {
        let admission = admission();
        let alias = &*admission.key.seal_alias(PRIVATE).unwrap();
        let (reader, member) = (Role::Reader, Role::Member);
        let admitted = |role, by_ticket| Admitted { role, by_ticket, grant: Grant::Enter };
        let enter = |path, ticket, token| enter(&admission, path, ticket, token);
        assert_eq!(enter(alias, Some((alias, reader)), None), Ok((admitted(reader, true), false)));
        assert_eq!(enter(alias, None, Some((alias, reader))), Ok((admitted(reader, false), true)), "it may come back");
        for (path, name, role) in [(PRIVATE, alias, reader), (alias, PRIVATE, member)] {
            assert_eq!(enter(path, Some((name, role)), None), Err(CloseReason::BadTicket), "{path}");
            assert_eq!(enter(path, None, Some((name, role))), Err(CloseReason::BadTicket), "{path}");
        }
        let both = enter(alias, Some((alias, reader)), Some((PRIVATE, member)));
        assert_eq!(both, Ok((admitted(reader, true), false)), "the room does not even see the token");
        let back = enter(PRIVATE, Some((PRIVATE, member)), Some((PRIVATE, Role::Host)));
        assert!(back.is_ok_and(|(_, has_token)| has_token), "a host comes back as host, whatever its ticket says");
        let promoted = enter(PRIVATE, Some((PRIVATE, Role::Host)), Some((PRIVATE, member)));
        assert!(promoted.is_ok_and(|(_, has_token)| !has_token));
    }

    /// SPEC S3.8.
    #[test]
    fn whoever_gets_another_role_comes_anew() {
        let admission = admission();
        let [flies, watches] = [Role::Member, Role::Reader].map(|role| Some(("arena-m1", role)));
        let (admitted, has_token) = enter(&admission, "arena", flies, watches).unwrap();
        assert_eq!((admitted.role, has_token), (Role::Member, false));
        let (admitted, has_token) = enter(&admission, "arena", flies, flies).unwrap();
        assert_eq!((admitted.role, has_token), (Role::Member, true));
    }

    #[test]
    fn for_who_looks_on_at_a_public_room_nothing_opens_when_they_come_back() {
        let admission = admission();
        let grant = |role| enter(&admission, "arena", None, Some(("arena-m1", role))).unwrap().0.grant;
        assert_eq!([Role::Reader, Role::Member].map(grant), [Grant::Watch, Grant::Enter]);
    }

    #[test]
    fn readers_are_no_visitors() {
        let admission = admission();
        let mut permit = open(&admission, [127, 0, 0, 1].into(), Instant::now()).unwrap().of_visitor();
        assert_eq!(admission.visitors(), 1, "nobody knows yet");
        permit.keeps_nobody_awake();
        permit.keeps_nobody_awake();
        assert_eq!((admission.visitors(), admission.connections()), (0, 1));
        drop(permit);
        assert_eq!((admission.visitors(), admission.connections()), (0, 0));
    }

    /// SPEC S10.1.
    #[test]
    fn an_address_has_its_share_and_gives_places_back() {
        let admission = admission();
        let now = Instant::now();
        let school: IpAddr = "203.0.113.9".parse().unwrap();
        let permits: Vec<_> = (0..places(&admission)).map(|_| open(&admission, school, now).unwrap()).collect();
        assert_eq!(open(&admission, school, now).unwrap_err(), CloseReason::TooManyFromAddress);
        assert!(open(&admission, "203.0.113.10".parse().unwrap(), now).is_ok());
        let others = Kind::ALL.into_iter().map(Some).chain([None]).filter(|kind| *kind != ROOM);
        for kind in others {
            assert_eq!(admission.open(school, kind, now).unwrap().refusal, None, "each kind has its own share");
        }
        drop(permits);
        assert!(open(&admission, school, now).is_ok());
        assert_eq!(admission.connections(), 0);
    }

    /// SPEC S10.1.
    #[test]
    fn opening_again_and_again_is_slowed_down() {
        let admission = admission();
        let now = Instant::now();
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let opened = (0..3 * places(&admission)).filter(|_| open(&admission, address, now).is_ok()).count();
        assert_eq!(opened as u32, OPENS_PER_PLACE_BURST_COUNT * places(&admission));
        assert!(open(&admission, neighbour, now).is_err(), "the same /64");
    }

    #[test]
    fn an_address_has_so_many_rooms_opened_and_one_more_now_and_then() {
        let admission = admission();
        let now = Instant::now();
        let at = |address: &str| open(&admission, address.parse().unwrap(), now).unwrap();
        let (one, neighbour, other) = (at("2001:db8::1"), at("2001:db8::2"), at("203.0.113.9"));
        let spend =
            |permit: &ConnectionPermit, now| permit.opener().charge(now).map(|mut charge| charge.spend()).is_some();
        let opened = (0..100).filter(|_| spend(&one, now)).count();
        assert_eq!(opened, ROOMS_PER_ADDRESS_BURST_COUNT as usize);
        assert!(!spend(&neighbour, now) && spend(&other, now));
        assert!(!spend(&one, now + ROOMS_PER_ADDRESS_INTERVAL / 2));
        assert!(spend(&one, now + ROOMS_PER_ADDRESS_INTERVAL * 2));
    }

    #[test]
    fn an_opening_that_is_not_spent_is_taken_back() {
        let admission = admission();
        let now = Instant::now();
        let permit = open(&admission, "203.0.113.9".parse().unwrap(), now).unwrap();
        for _ in 0..2 {
            let charges: Vec<_> = std::iter::from_fn(|| permit.opener().charge(now)).take(100).collect();
            assert_eq!(charges.len(), ROOMS_PER_ADDRESS_BURST_COUNT as usize, "they count while they last");
        }
    }

    #[test]
    fn the_process_has_a_limit_too() {
        let admission = admission();
        let now = Instant::now();
        let address = |i: usize| IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + i as u32));
        let permits: Vec<_> =
            (0..admission.max_connections).map(|i| open(&admission, address(i), now).unwrap()).collect();
        assert_eq!(open(&admission, address(9_999), now).unwrap_err(), CloseReason::RoomFull);
        drop(permits);
    }

    /// SPEC S10.1.
    #[test]
    fn those_who_are_refused_count_too() {
        let admission = admission();
        let now = Instant::now();
        let school: IpAddr = "203.0.113.9".parse().unwrap();
        let permits: Vec<_> = (0..places(&admission)).map(|_| admission.open(school, ROOM, now)).collect();
        let refused: Vec<_> = (0..REFUSALS_MAX_COUNT).map(|_| admission.open(school, ROOM, now).unwrap()).collect();
        assert!(refused.iter().all(|permit| permit.refusal == Some(CloseReason::TooManyFromAddress)));
        assert!(admission.open(school, ROOM, now).is_none());
        assert_eq!(admission.connections(), permits.len() + REFUSALS_MAX_COUNT);
        drop(refused);
        assert!(admission.open(school, ROOM, now).is_some());
        drop(permits);
        assert_eq!(admission.connections(), 0);
    }
}
