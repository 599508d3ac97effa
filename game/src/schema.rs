//! The vocabulary of rows: what a kind of row declares, what a row is, and the grid of cells it lies in. All that the
//! machinery which replicates rows needs to know of the game.
//!
//! Never: a kind by name, the ECS, the wire.

mod grid;
mod row;

pub use grid::{CELL_UNITS, CellId, FIELD_MAX_CELLS, Grid, POSITION_MAX, VIEW_CELLS};
pub use row::{FIELDS_MAX_COUNT, Field, Fields, Kind, Row, nothing_is_derived};
