//! How many bytes a plane costs that is seen to move.
//!
//! Path: 200 players, each with a replica that applies every frame and whose rows the player's mouse input looks at → all bytes
//! of all frames, WebSocket's own included, over the planes inside of all views. Invariant: every checksum is right, or
//! the figure is refused.

use crate::{
    mouse_input::share_of_changes,
    report::{Aim, Figures, Progress},
    world::{Frames, World},
};
use arena::{CADENCE_TICKS, CodeStats, Replica};
use game::{
    PilotId,
    plane::Plane,
    schema::{CELL_UNITS, Row, VIEW_CELLS},
};
use protocol::Tick;
use session::{ConnectionId, Engine, Output, sim::Outbox};
use std::sync::Arc;

const PLAYERS: usize = 200;
const WARM_UP_TICKS: u32 = 300;
const MEASURED_TICKS: u32 = 1800;
const SEED: u64 = 7;
/// Frame header of a WebSocket message from the server (RFC 6455 §5.2): up to 125 bytes of payload, up to 65,535, more.
const WEBSOCKET_HEADER_BYTES: [(usize, usize); 3] = [(125, 2), (65_535, 4), (usize::MAX, 10)];

/// How the mice are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A mouse that follows targets.
    Mouse,
    /// Keys and sticks that look nowhere, as in `peers`: they turn more softly, and ram more.
    Blind,
    /// Other controls on every tick.
    Restless,
}

/// What a run brought.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    bytes: u64,
    frames: u64,
    /// Planes inside the views, summed over ticks.
    visible: u64,
    bullets: u64,
    changes: f64,
    pub(crate) stats: CodeStats,
    /// Of a newcomer's first frame and of its welcome.
    join_bytes: (f64, f64),
}

impl Traffic {
    fn per_plane(&self) -> f64 {
        self.bytes as f64 / self.visible as f64
    }
}

/// The measurement.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    let mouse = play(progress, Style::Mouse, SEED, 1, 1)?;
    let restless = play(progress, Style::Restless, SEED, 1, 1)?;
    let usual = play(progress, Style::Mouse, SEED, 1, CADENCE_TICKS)?;
    let mut figures = Figures::default();
    let player_ticks = f64::from(MEASURED_TICKS) * PLAYERS as f64;
    figures.add("bytes_per_visible_plane_update", mouse.per_plane(), Aim::AtMost(0.95));
    figures.add("share_of_ticks_with_changed_controls", mouse.changes, Aim::AtLeast(0.25));
    figures.add("planes_in_view", mouse.visible as f64 / player_ticks, Aim::None);
    figures.add("bullets_held", mouse.bullets as f64 / player_ticks, Aim::None);
    figures.add("frames_per_player_and_second", mouse.frames as f64 / player_ticks * 60.0, Aim::None);
    figures.add("bytes_per_player_and_second", mouse.bytes as f64 / player_ticks * 60.0, Aim::None);
    figures.add("bytes_per_visible_plane_update_usual_cadence", usual.per_plane(), Aim::AtMost(0.95));
    figures.add("frames_per_player_and_second_usual_cadence", usual.frames as f64 / player_ticks * 60.0, Aim::None);
    figures.add("bytes_per_visible_plane_update_all_change", restless.per_plane(), Aim::None);
    figures.add("share_of_ticks_with_changed_controls_all_change", restless.changes, Aim::None);
    figures.add("join_bytes", mouse.join_bytes.0, Aim::AtMost(700.0));
    figures.add("join_welcome_bytes", mouse.join_bytes.1, Aim::None);
    figures.note(format!("{PLAYERS} players, {MEASURED_TICKS} ticks, every client verified every checksum"));
    Ok(figures)
}

/// Plays and counts; `replicas_every` leaves out all but every nth replica's bytes.
pub(crate) fn play(
    progress: &Progress,
    style: Style,
    seed: u64,
    replicas_every: usize,
    cadence_ticks: u32,
) -> anyhow::Result<Traffic> {
    let mut world = World::new(PLAYERS, seed, cadence_ticks)?;
    let tables = arena::code_tables();
    let mut replicas: Vec<Replica> = world
        .players
        .iter()
        .map(|player| {
            let (pilot, tick) = (PilotId(player.welcome.member as u16), player.welcome.tick);
            Replica::starting_at(Arc::clone(&tables), world.rules.clone(), pilot, tick)
        })
        .collect();
    let (mut traffic, mut frames) = (Traffic::default(), Frames::default());
    for tick in 0..WARM_UP_TICKS + MEASURED_TICKS {
        if tick % 60 == 0 {
            progress.say(&format!("{style:?} hands, tick {tick} of {}", WARM_UP_TICKS + MEASURED_TICKS));
        }
        steer(&mut world, &replicas, style, tick);
        world.tick();
        let is_measured = tick >= WARM_UP_TICKS;
        let mut is_right = true;
        let traffic = &mut traffic;
        world.frames(&mut frames);
        for (index, frame) in frames.iter() {
            let replica = &mut replicas[index];
            let is_counted = is_measured && index % replicas_every == 0;
            let applied = if is_counted {
                replica.apply_counting(frame, 0, &mut traffic.stats)
            } else {
                replica.apply(frame, 0, |_, _, _| {})
            };
            is_right &= applied.is_ok_and(|applied| applied.is_true);
            if is_counted {
                traffic.bytes += websocket_bytes(frame.len()) as u64;
                traffic.frames += 1;
            }
        }
        anyhow::ensure!(is_right, "a replica differs from the room at tick {tick}");
        for replica in replicas.iter().step_by(replicas_every).filter(|_| is_measured) {
            let (planes, bullets) = seen(replica);
            traffic.visible += planes;
            traffic.bullets += bullets;
        }
    }
    traffic.changes = share_of_changes(world.players.iter().map(|player| &player.mouse));
    traffic.join_bytes = join_bytes(&mut world)?;
    Ok(traffic)
}

fn steer(world: &mut World, replicas: &[Replica], style: Style, tick: Tick) {
    for (index, replica) in replicas.iter().enumerate() {
        let id = world.players[index].welcome.member;
        let plane = |row: &Row| Plane::from_fields(&row.fields);
        let me = planes(replica).find(|row| row.id == id).map(plane);
        let mouse = &mut world.players[index].mouse;
        let controls = match (me, style) {
            (Some(me), Style::Mouse) => {
                let others: Vec<Plane> = planes(replica).filter(|row| row.id != id).map(plane).collect();
                mouse.aim(&me, others.iter(), &world.rules, tick)
            }
            (_, Style::Blind) => mouse.blind(tick),
            _ => mouse.change_every_tick(tick),
        };
        world.input(index, tick, controls.to_bits(), me.is_none() && tick.is_multiple_of(30));
    }
}

fn planes(replica: &Replica) -> impl Iterator<Item = &Row> {
    replica.rows().iter().filter(|row| row.kind == game::PLANE)
}

/// Planes inside the view, which is centred on the own plane (nothing while there is none), and bullets held.
fn seen(replica: &Replica) -> (u64, u64) {
    let half = VIEW_CELLS / 2 * CELL_UNITS;
    let id = u32::from(replica.pilot().0);
    let place = |row: &Row| Plane::from_fields(&row.fields).position();
    let me = planes(replica).find(|row| row.id == id).map(place);
    let is_inside = |row: &&Row| me.is_some_and(|me| (place(row) - me).abs().max_element() <= half);
    let bullets = replica.rows().iter().filter(|row| row.kind == game::BULLET).count();
    (planes(replica).filter(is_inside).count() as u64, bullets as u64)
}

/// A message of this length with WebSocket's header.
fn websocket_bytes(payload: usize) -> usize {
    let (_, header) =
        WEBSOCKET_HEADER_BYTES.into_iter().find(|(most, _)| payload <= *most).expect("the last has no end");
    payload + header
}

/// Mean bytes of a newcomer's first frame with its whole cells, and of the welcome before it. Every player comes back as
/// a page that was reloaded: without any state, to where its plane is.
fn join_bytes(world: &mut World) -> anyhow::Result<(f64, f64)> {
    let (mut frames, mut welcomes) = (0, 0);
    for player in &world.players {
        let hello = protocol::message::Hello { resume: Some(player.welcome.resume.clone()), ..crate::world::hello(0) };
        let connection = ConnectionId { number: u32::MAX, ..player.connection };
        world.room.connect(connection, &hello, None);
        while let Some(output) = world.room.poll_output() {
            if let Output::Message(_, bytes) = output {
                welcomes += websocket_bytes(bytes.len());
            }
        }
        let mut outbox = Outbox::default();
        world.room.frames(&mut outbox);
        let own = outbox.frames.iter().filter(|(to, _)| *to == connection);
        frames += own.map(|(_, frame)| websocket_bytes(frame.len())).sum::<usize>();
    }
    Ok((frames as f64 / PLAYERS as f64, welcomes as f64 / PLAYERS as f64))
}
