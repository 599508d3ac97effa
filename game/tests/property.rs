//! What holds over thousands of ticks of computer pilots, whatever they do.

use game::{
    BULLET, Controls, Game, KINDS, PILOTS_MAX_COUNT, PLANE, PilotId, STANDING,
    plane::Plane,
    rules::Rules,
    schema::{FIELD_MAX_CELLS, Row},
};
use std::collections::{BTreeMap, BTreeSet};

/// A room with this many computer pilots.
fn room(seed: u64, pilots: u32) -> Game {
    let mut game = Game::new(seed, Rules::default());
    for _ in 0..pilots {
        game.join(true).expect("a new room is not full");
    }
    game
}

fn rows(game: &Game) -> Vec<Row> {
    let mut rows = Vec::new();
    game.rows(&mut rows);
    rows
}

/// Some traffic: joins, leaves, controls and requests to fly again, from a counter.
fn disturb(game: &mut Game, at: u32) {
    match at % 97 {
        0 => drop(game.join(at.is_multiple_of(2))),
        31 => game.leave(PilotId((at / 97 % 50) as u16)),
        60 => game.fly_again(PilotId((at / 97 % 50) as u16)),
        n => game.control(PilotId((n % 50) as u16), Controls::from_bits((at * 31) as u16)),
    }
}

/// SPEC A3.1 and A3.2.
#[test]
fn rows_are_in_canonical_order_and_inside_the_declared_ranges() {
    let mut game = room(1, 40);
    for at in 0..5000 {
        disturb(&mut game, at);
        game.step();
        let rows = rows(&game);
        assert!(rows.is_sorted_by(|a, b| a.order() < b.order()), "order at tick {}", game.tick());
        for row in &rows {
            let kind = &KINDS[usize::from(row.kind)];
            assert!(row.id >> kind.id_bits == 0);
            for (field, value) in kind.fields.iter().zip(row.fields) {
                assert!(field.range.contains(&value), "{} {} at tick {}: {value}", kind.name, field.name, game.tick());
            }
            assert_eq!(
                *row,
                Row::new(kind, row.id, row.fields, game.rules().motion.grid),
                "the cell follows from the fields"
            );
        }
    }
}

#[test]
fn the_largest_field_and_the_fullest_room_stay_within_what_is_declared() {
    let text = include_str!("../../assets/tuning.ron").replace("cells: 10", &format!("cells: {FIELD_MAX_CELLS}"));
    let mut game = Game::new(7, Rules::parse(&text).unwrap());
    assert!((0..PILOTS_MAX_COUNT).all(|index| game.join(index % 4 == 0).is_some()));
    assert_eq!(game.join(true), None);
    let last = (FIELD_MAX_CELLS * FIELD_MAX_CELLS) as u16; // 0 is everyone's
    let mut furthest = 0;
    for _ in 0..300 {
        game.step();
        let rows = rows(&game);
        assert!(rows.is_sorted_by(|a, b| a.order() < b.order()), "order at tick {}", game.tick());
        for row in &rows {
            let kind = &KINDS[usize::from(row.kind)];
            assert!(row.id >> kind.id_bits == 0 && row.cell.0 <= last);
            assert!(kind.fields.iter().zip(row.fields).all(|(field, value)| field.range.contains(&value)), "{row:?}");
        }
        furthest = rows.iter().map(|row| row.cell.0).max().unwrap_or(0).max(furthest);
        assert!(rows.iter().filter(|row| row.kind == PLANE).count() > PILOTS_MAX_COUNT * 9 / 10);
    }
    assert!(furthest > last - 3 * FIELD_MAX_CELLS as u16, "somebody flies in the last rows of cells: {furthest}");
}

#[test]
fn same_seed_and_calls_give_the_same_rows() {
    let (mut one, mut other) = (room(2, 25), room(2, 25));
    for at in 0..3000 {
        for game in [&mut one, &mut other] {
            disturb(game, at);
            game.step();
        }
        assert_eq!(rows(&one), rows(&other), "tick {at}");
        assert_eq!(one.drain_kills(), other.drain_kills());
    }
    let mut different = room(3, 25);
    (0..100).for_each(|_| different.step());
    let mut same = room(2, 25);
    (0..100).for_each(|_| same.step());
    assert_ne!(rows(&different), rows(&same), "the seed matters");
}

/// The replicas' prediction: stepping the rows by their kinds gives the next rows, but for surprises.
/// SPEC A4.3, A4.8 and A4.9.
#[test]
fn stepping_rows_predicts_the_game() {
    let mut game = room(4, 40);
    let rules = game.rules().clone();
    let (mut before, mut predicted) = (Vec::new(), Vec::new());
    let (mut compared, mut surprises) = (0, 0);
    for _ in 0..5000 {
        game.rows(&mut before);
        predicted.clear();
        before.iter().for_each(|row| game::step_row(row, &rules, &mut predicted));
        game.step();
        let after: BTreeMap<_, _> = rows(&game).into_iter().map(|row| (row.key(), row)).collect();
        for row in &predicted {
            compared += 1;
            match after.get(&row.key()) {
                Some(real) if real == row => continue,
                Some(real) => assert!(is_explained(row, real, &predicted, &rules), "{row:?} became {real:?}"),
                None => assert_eq!(row.kind, BULLET, "only a hit takes a row away that should be there: {row:?}"),
            }
            surprises += 1;
        }
        let keys: BTreeSet<_> = predicted.iter().map(Row::key).collect();
        for row in after.values().filter(|row| !keys.contains(&row.key())) {
            let is_spawn = row.kind == PLANE && Plane::from_fields(&row.fields).shield == rules.respawn.shield;
            assert!(is_spawn || row.kind == STANDING, "nothing else appears by surprise: {row:?}");
        }
    }
    assert!(compared > 300_000 && surprises * 10 < compared, "{surprises} surprises of {compared} rows");
}

/// Whether everything in which a real row differs from the predicted one is what surprises may change: controls and
/// health always; reeling only by ramming somebody near. Place, heading and speed never.
fn is_explained(predicted: &Row, real: &Row, all: &[Row], rules: &Rules) -> bool {
    if predicted.kind != PLANE {
        return predicted.kind != BULLET; // top list and minimap are all surprise
    }
    let (expected, real) = (Plane::from_fields(&predicted.fields), Plane::from_fields(&real.fields));
    let but_surprises = Plane {
        steer: real.steer,
        throttle: real.throttle,
        boost: real.boost,
        fire: real.fire,
        health: real.health,
        stick_hold: real.stick_hold,
        ..expected
    };
    let is_near = |row: &&Row| {
        let other = Plane::from_fields(&row.fields);
        row.kind == PLANE
            && row.id != predicted.id
            && (other.position() - expected.position()).abs().max_element() < 2 * rules.motion.ramming.reach
    };
    let rammed = Plane { reel: real.reel, ..but_surprises };
    real == but_surprises || (real == rammed && all.iter().any(|row| is_near(&row)))
}

#[test]
fn computer_pilots_look_alive_and_can_be_shot_down() {
    let mut game = room(5, 20);
    let mut kills = Vec::new();
    let mut boosts = 0;
    for _ in 0..60 * 60 {
        game.step();
        kills.extend(game.drain_kills());
        boosts +=
            rows(&game).iter().filter(|row| row.kind == PLANE && Plane::from_fields(&row.fields).boost == 1).count();
    }
    let rammed = kills.iter().filter(|kill| kill.rammed).count();
    assert!((20..400).contains(&kills.len()), "{} kills a minute", kills.len());
    assert!(rammed * 4 < kills.len(), "{rammed} of {} kills by ramming", kills.len());
    assert!(boosts > 0);
}

/// Prints what a tick of a thousand planes costs: `cargo test -p game --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn a_thousand_planes() {
    let rules = Rules::parse(&include_str!("../../assets/tuning.ron").replace("cells: 10", "cells: 22")).unwrap();
    for is_bot in [true, false] {
        let mut game = Game::new(6, rules.clone());
        let pilots: Vec<_> = (0..1000).map(|_| game.join(is_bot).unwrap()).collect();
        let mut rows = Vec::new();
        let (mut stepping, mut writing) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        for at in 0..600_u32 {
            if !is_bot {
                pilots
                    .iter()
                    .for_each(|id| game.control(*id, Controls::from_bits((at / 9 * 31 + u32::from(id.0) * 7) as u16)));
            }
            let start = std::time::Instant::now();
            game.step();
            stepping += start.elapsed();
            let start = std::time::Instant::now();
            game.rows(&mut rows);
            writing += start.elapsed();
        }
        let mut next = Vec::with_capacity(2 * rows.len());
        let start = std::time::Instant::now();
        for _ in 0..100 {
            next.clear();
            rows.iter().for_each(|row| game::step_row(row, &rules, &mut next));
        }
        let step = start.elapsed() / 100 / rows.len() as u32;
        eprintln!(
            "bots {is_bot}: tick {:?}, rows {:?}, {} rows, {step:?} a row's step",
            stepping / 600,
            writing / 600,
            rows.len()
        );
    }
}
