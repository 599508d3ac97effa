//! The pictures of `docs/netcode.md`, drawn from measured runs.
//!
//! Path: `bench pictures` plays two rooms → what the pages showed and what really was become lines of a [`Chart`] → SVG
//! files. Invariant: every point is a measurement; the same seed draws the same files.

use super::{
    player_log::Picture,
    scenario::{PLAYERS, SEED},
    world::{TICK_MS, World},
};
use crate::report::Progress;
use anyhow::Context;
use protocol::Tick;
use session::sim::LinkConditions;
use std::{fmt::Write, path::Path};

const FOLDER: &str = "docs/pictures";
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const MARGIN: f64 = 52.0;
/// What is drawn, ms.
const TURN_MS: f64 = 1500.0;
const BUFFER_MS: f64 = 12_000.0;
/// Colours that differ in lightness as well.
const COLOURS: [&str; 3] = ["#0b6e99", "#d1495b", "#8f9aa3"];

/// A diagram: lines over a common axis.
#[derive(Debug)]
struct Chart {
    title: &'static str,
    across: &'static str,
    up: &'static str,
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// Draws all of them.
///
/// # Errors
/// When a file cannot be written; run it from the project's folder.
pub(crate) fn draw(progress: &Progress) -> anyhow::Result<()> {
    std::fs::create_dir_all(FOLDER).with_context(|| format!("{FOLDER} cannot be made"))?;
    for (name, chart) in [("own-plane", own_plane()?), ("input-buffer", input_buffer()?), ("stall", stall()?)] {
        let path = Path::new(FOLDER).join(name).with_extension("svg");
        std::fs::write(&path, chart.to_svg()).with_context(|| format!("{} cannot be written", path.display()))?;
        progress.print(&format!("drew {}", path.display()));
    }
    Ok(())
}

/// A heading over time: as the pilot sees it, as the room has it, as another pilot sees it.
fn own_plane() -> anyhow::Result<Chart> {
    let conditions = LinkConditions { one_way_ms: 75.0, jitter_ms: 10.0 };
    let mut world = World::new(conditions, PLAYERS, SEED)?;
    world.run(20_000.0)?;
    let (number, from_ms) = busiest(&world).context("nobody was seen to turn")?;
    let id = world.players[number].client.pilot();
    let watcher = world.players.iter().enumerate().find(|(other, player)| {
        let sees = |picture: &Picture| picture.others.iter().any(|drawn| drawn.id == id);
        *other != number && during(&player.log.pictures, from_ms, TURN_MS).all(sees)
    });
    let heading = |at: f64| world.truth.place(at, id).map(|(.., heading)| heading);
    let start =
        heading(during(&world.players[number].log.pictures, from_ms, TURN_MS).next().context("no picture")?.own_at);
    let degrees = |heading: f64| {
        let turn = (heading - start.unwrap_or(0.0)).rem_euclid(65_536.0);
        (if turn > 32_768.0 { turn - 65_536.0 } else { turn }) / 65_536.0 * 360.0
    };
    let shown = |pictures: &[Picture], at: fn(&Picture) -> f64| -> Vec<(f64, f64)> {
        let points = during(pictures, from_ms, TURN_MS);
        points.filter_map(|picture| Some((picture.now_ms - from_ms, degrees(heading(at(picture))?)))).collect()
    };
    let own = shown(&world.players[number].log.pictures, |picture| picture.own_at);
    let room = own.iter().filter_map(|(ms, _)| Some((*ms, degrees(heading((ms + from_ms) / TICK_MS)?)))).collect();
    let mut lines = vec![("the pilot's own screen".to_owned(), own), ("the room".to_owned(), room)];
    if let Some((_, watcher)) = watcher {
        lines.push(("another pilot's screen".to_owned(), shown(&watcher.log.pictures, |picture| picture.shown_at)));
    }
    Ok(Chart {
        title: "A turn on a line of 150 ms round trip and 10 ms jitter",
        across: "milliseconds",
        up: "heading, degrees",
        lines,
    })
}

/// Who turns to and fro the most in a while in which nothing touches it, and when that begins.
fn busiest(world: &World) -> Option<(usize, f64)> {
    let mut best: Option<(i32, usize, f64)> = None;
    for (number, player) in world.players.iter().enumerate() {
        let id = player.client.pilot();
        for start in (0..18).map(|second| (world.truth.tick() - 60 * (20 - second)) as Tick) {
            let end = start + (TURN_MS / TICK_MS) as Tick;
            let steers = (start..end).map(|tick| world.truth.plane(tick, id).map(|plane| plane.steer));
            let Some(steers) = steers.collect::<Option<Vec<_>>>() else { continue };
            let changes: i32 = steers.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
            if !world.truth.is_touched(start - 30, end + 30, id) && best.is_none_or(|(most, ..)| changes > most) {
                best = Some((changes, number, f64::from(start) * TICK_MS));
            }
        }
    }
    best.map(|(_, number, from_ms)| (number, from_ms))
}

/// The depth of the room's buffer of inputs, as it told the page, while the line goes from calm to bad and back.
fn input_buffer() -> anyhow::Result<Chart> {
    let mut world = World::new(LinkConditions { one_way_ms: 40.0, jitter_ms: 0.0 }, PLAYERS, SEED)?;
    let from_ms = world.now_ms();
    for jitter_ms in [0.0, 40.0, 0.0] {
        world.players[0].conditions.jitter_ms = jitter_ms;
        world.run(BUFFER_MS / 3.0)?;
    }
    let pictures = &world.players[0].log.pictures;
    let points = |value: fn(&Picture) -> f64| -> Vec<(f64, f64)> {
        during(pictures, from_ms, BUFFER_MS)
            .map(|picture| ((picture.now_ms - from_ms) / 1000.0, value(picture)))
            .collect()
    };
    let ahead = points(|picture| picture.own_at - (picture.now_ms + 40.0) / TICK_MS);
    let behind = points(|picture| (picture.now_ms - 40.0) / TICK_MS - picture.shown_at);
    Ok(Chart {
        title: "Clocks on a line of 80 ms, with 40 ms of jitter from second 4 to second 8",
        across: "seconds",
        up: "ticks",
        lines: vec![
            ("own clock beyond the line's own time".to_owned(), ahead),
            ("others behind the newest tick there could be".to_owned(), behind),
            ("depth of the room's buffer, as told".to_owned(), points(|picture| picture.lead.into())),
        ],
    })
}

/// How far own plane and others are drawn from the truth around a stall of 2 s.
fn stall() -> anyhow::Result<Chart> {
    let mut world = World::new(LinkConditions { one_way_ms: 75.0, jitter_ms: 10.0 }, PLAYERS, SEED)?;
    let from_ms = world.now_ms();
    world.run(1000.0)?;
    world.stall(0, 2000.0);
    world.run(3500.0)?;
    let player = &world.players[0];
    let off = |at: f64, drawn: &super::player_log::DrawnPlane| {
        let (x, y, _) = world.truth.place(at, drawn.id)?;
        Some((drawn.x - x).hypot(drawn.y - y))
    };
    let seconds = |picture: &Picture| (picture.now_ms - from_ms) / 1000.0;
    let pictures = || during(&player.log.pictures, from_ms, 4500.0);
    let own = pictures().filter_map(|picture| Some((seconds(picture), off(picture.own_at, picture.own.as_ref()?)?)));
    let others = pictures().filter_map(|picture| {
        let worst = picture.others.iter().filter_map(|other| off(picture.shown_at, other)).max_by(f64::total_cmp)?;
        Some((seconds(picture), worst))
    });
    Ok(Chart {
        title: "Nothing gets through from second 1 to second 3, on a line of 150 ms",
        across: "seconds",
        up: "off the truth, plane lengths",
        lines: vec![("own plane".to_owned(), own.collect()), ("the worst of the others".to_owned(), others.collect())],
    })
}

/// The pictures from a moment on, for so long.
fn during(pictures: &[Picture], from_ms: f64, for_ms: f64) -> impl Iterator<Item = &Picture> {
    pictures.iter().filter(move |picture| (from_ms..from_ms + for_ms).contains(&picture.now_ms))
}

impl Chart {
    fn to_svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|(_, points)| points);
        let (left, right) = bounds(all().map(|(x, _)| *x));
        let (low, high) = bounds(all().map(|(_, y)| *y).chain([0.0]));
        let x = |value: f64| MARGIN + (value - left) / (right - left) * (WIDTH - 2.0 * MARGIN);
        let y = |value: f64| HEIGHT - MARGIN - (value - low) / (high - low) * (HEIGHT - 2.6 * MARGIN);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#333\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{MARGIN}\" y=\"20\" font-size=\"14\">{}</text>\n",
            self.title
        );
        for value in ticks(low, high) {
            let _ = writeln!(
                svg,
                "<path d=\"M{MARGIN} {0:.1}H{1}\" stroke=\"#ddd\"/><text x=\"{2}\" y=\"{3:.1}\" \
                 text-anchor=\"end\">{value}</text>",
                y(value),
                WIDTH - MARGIN,
                MARGIN - 6.0,
                y(value) + 4.0
            );
        }
        for value in ticks(left, right) {
            let (x, y) = (x(value), HEIGHT - MARGIN + 16.0);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{value}</text>");
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text x=\"6\" y=\"40\">{}</text>",
            WIDTH / 2.0,
            HEIGHT - 18.0,
            self.across,
            self.up
        );
        for (index, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let path =
                points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect::<Vec<_>>().join(" ");
            let (at, row) = (WIDTH - MARGIN - 300.0, 34.0 + 14.0 * index as f64);
            let _ = writeln!(
                svg,
                "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\n\
                 <path d=\"M{at} {0}h22\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"{1}\" y=\"{row}\">{name}</text>",
                row - 4.0,
                at + 28.0
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Least and greatest, a little apart at least.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low < high { (low, high) } else { (low.min(0.0), low.max(0.0) + 1.0) }
}

/// A handful of round numbers between two.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let decade = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|round| round * decade).find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    (first..).map(|count| count as f64 * step).take_while(|value| *value <= high).collect()
}
