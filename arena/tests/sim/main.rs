//! A whole room, many clients and the lines between them, in virtual time from one seed.
//!
//! A failing run prints its seed; `SIM_SEED=… cargo test -p arena --test sim` replays it.

mod behaviour;
mod cadence;
mod governor;
mod jumps;
mod nothing_changes;
mod resume;
mod watch;
mod window;
mod work;
mod world;
