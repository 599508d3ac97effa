//! When frames go out: what is near does not wait, what is far does.

use crate::world;
use arena::{Replica, Room, wire};
use game::{
    PilotId,
    plane::Plane,
    rules::Rules,
    schema::{CELL_UNITS, CellId, Grid, Row},
    step_row,
};
use glam::IVec2;
use protocol::{Tick, message::Hello, message::Packet, room::Kind, token::Role};
use session::{
    ConnectionId, Engine,
    sim::{self, Outbox},
};

const VIEWPOINT: u8 = 1;
const PLAYERS: u32 = 6;

/// A player that acknowledges at once and touches nothing.
struct Watcher {
    connection: ConnectionId,
    replica: Replica,
    last: Tick,
    /// The last entry of the log that came.
    entry: u32,
}

/// A room in which bullets get hardly anywhere, so that much of what can be seen is beyond weapon range.
fn room() -> (Room, Vec<Watcher>) {
    let mut config = world::config(world::seed());
    config.fillers = 60;
    config.rules.motion.guns.life = 3;
    let rules = config.rules.clone();
    let mut room = Room::new(config);
    let watcher = |number| {
        let connection = sim::connection(number);
        room.connect(connection, &Hello::to(Kind::Arena, wire::version(), "P", 0), Some(Role::Member));
        let output = room.poll_output().expect("it is welcomed");
        let session::Output::Message(_, welcome) = output else { panic!("{output:?} is no welcome") };
        let protocol::message::ServerMessage::Welcome(welcome) =
            protocol::message::ServerMessage::decode(&welcome).expect("servers say what clients read")
        else {
            panic!("it is no welcome")
        };
        let pilot = PilotId(welcome.member as u16);
        let replica = Replica::starting_at(arena::code_tables(), rules.clone(), pilot, welcome.tick);
        Watcher { connection, replica, last: welcome.tick, entry: welcome.last_entry }
    };
    let watchers = (1..=PLAYERS).map(watcher).collect();
    (room, watchers)
}

/// Cells in which a tick brought what the step does not tell, or into which it brought a row.
fn happened(before: &[Row], after: &[Row], rules: &Rules) -> Vec<CellId> {
    let mut expected = Vec::new();
    let mut cells = Vec::new();
    for row in before {
        let first = expected.len();
        step_row(row, rules, &mut expected);
        cells.extend(expected[first..].iter().map(|next| next.cell).filter(|cell| *cell != row.cell));
    }
    let differs = |one: &[Row], other: &[Row]| -> Vec<CellId> {
        one.iter().filter(|row| !other.contains(row)).map(|row| row.cell).collect()
    };
    cells.extend(differs(&expected, after));
    cells.extend(differs(after, &expected));
    cells
}

/// A6.9.
fn is_near(plane: &Plane, cell: CellId, rules: &Rules) -> bool {
    let (guns, grid): (_, Grid) = (&rules.motion.guns, rules.motion.grid);
    let speed = (guns.speed + rules.motion.flight.boost_speed * guns.inherits / 16_000).min(8191);
    let reach = i64::from(speed * guns.life + guns.reach);
    let Some(place) = cell.place(grid) else { return false };
    let way = plane.position().clamp(place * CELL_UNITS, (place + IVec2::ONE) * CELL_UNITS) - plane.position();
    i64::from(way.x) * i64::from(way.x) + i64::from(way.y) * i64::from(way.y) <= reach * reach
}

/// SPEC A6.9 and S7.4.
#[test]
fn what_is_near_goes_out_with_its_tick_and_what_is_far_waits_for_a_send_tick() {
    let (mut room, mut watchers) = room();
    let rules = watchers[0].replica.rules().clone();
    let mut news: Vec<(Tick, CellId)> = Vec::new();
    let mut waited_for = 0;
    for tick in 1..=600 {
        let before = room.rows().to_vec();
        room.tick();
        news.extend(happened(&before, room.rows(), &rules).into_iter().map(|cell| (tick, cell)));
        let mut outbox = Outbox::default();
        room.frames(&mut outbox);
        for watcher in &mut watchers {
            let own = (game::PLANE, u32::from(watcher.replica.pilot().0));
            let plane = room.rows().iter().find(|row| row.key() == own);
            let near = |cell: CellId| plane.is_some_and(|row| is_near(&Plane::from_fields(&row.fields), cell, &rules));
            let frame = outbox.frames.iter().find(|(to, _)| *to == watcher.connection);
            let happened_here = plane.is_some_and(|row| news.contains(&(tick, row.cell)));
            let is_near_news = news.iter().any(|(at, cell)| *at > watcher.last && near(*cell));
            let has_waited = tick - watcher.last >= 6;
            match frame {
                Some((_, frame)) => {
                    let is_due = is_near_news || has_waited || tick % 3 == 0 || frame[0] & VIEWPOINT != 0;
                    assert!(is_due || tick < 60, "a frame at tick {tick} for what could wait");
                    let applied = watcher.replica.apply(frame, watcher.entry, |_, _, _| {}).expect("it is a frame");
                    let entries = applied.entries.map(|section| section.entries).unwrap_or_default();
                    watcher.entry = entries.last().map_or(watcher.entry, |entry| entry.number);
                    watcher.last = tick;
                }
                None => {
                    assert!(!has_waited && !happened_here, "no frame at tick {tick}");
                    waited_for +=
                        u32::from(news.iter().any(|(at, cell)| *at == tick && watcher.replica.held().contains(cell)));
                }
            }
            let packet = wire::InputPacket { number: 1, ack: watcher.last, at: tick, view_delay: 0, inputs: vec![] };
            room.receive(watcher.connection, Packet::Kind(&packet.encode()));
        }
        news.retain(|(at, _)| *at + 6 > tick);
    }
    assert!(waited_for > 100, "much that was to be seen waited: {waited_for}");
}
