//! interim
use serde::{Deserialize, Serialize};
/// interim
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules { /// cells a side
    pub field_cells: i32 }
impl Default for Rules { fn default() -> Self { Self { field_cells: 10 } } }
