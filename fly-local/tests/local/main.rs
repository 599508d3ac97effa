//! Everything over real processes: clients on one side, the fixture app on the other, a whole local Fly between them.
//!
//! With `FLY_OPENAPI` naming Fly's OpenAPI file, every answer of the API is checked against it.

mod api;
mod control;
mod edge;
mod faults;
mod life;
mod machines;
mod replays;
mod support;
