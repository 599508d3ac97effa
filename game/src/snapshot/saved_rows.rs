//! Rows in a snapshot, by the names of their fields: each name once, then the values of row after row.
//!
//! Invariant: what is read has the fields of today's declaration, each within its range: a field that was not saved has its
//! default, a value beyond a range that has become narrower is the nearest within, and one that nobody declares any more is
//! left out.

use super::{UnfitSnapshot, within};
use crate::schema::{Field, Fields};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct SavedRows {
    fields: Vec<String>,
    /// Whose each row is.
    ids: Vec<u32>,
    /// Row after row, each in the order of `fields`.
    values: Vec<i32>,
}

impl SavedRows {
    /// In the order of the ids; those with the same id stay in theirs.
    pub(super) fn new(fields: &[Field], rows: impl Iterator<Item = (u32, Fields)>) -> Self {
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|(id, _)| *id);
        Self {
            fields: fields.iter().map(|field| field.name.to_owned()).collect(),
            ids: rows.iter().map(|(id, _)| *id).collect(),
            values: rows.iter().flat_map(|(_, values)| &values[..fields.len()]).copied().collect(),
        }
    }

    /// By today's declaration; `name` is what they are called in an error.
    pub(super) fn read(&self, name: &'static str, fields: &[Field]) -> Result<Vec<(u32, Fields)>, UnfitSnapshot> {
        let width = self.fields.len();
        within(self.ids.len().checked_mul(width) == Some(self.values.len()), name)?;
        let places = fields.iter().map(|field| self.fields.iter().position(|saved| saved == field.name));
        let places: Vec<_> = places.collect();
        let rows = self.ids.iter().enumerate().map(|(row, id)| {
            let mut values = Fields::default();
            for ((value, field), place) in values.iter_mut().zip(fields).zip(&places) {
                let saved = place.map_or(field.default, |place| self.values[row * width + place]);
                *value = saved.clamp(*field.range.start(), *field.range.end());
            }
            (*id, values)
        });
        Ok(rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(fields: &[&str], rows: &[(u32, &[i32])]) -> SavedRows {
        let fields = fields.iter().map(|name| (*name).to_owned()).collect();
        let ids = rows.iter().map(|(id, _)| *id).collect();
        SavedRows { fields, ids, values: rows.iter().flat_map(|(_, values)| *values).copied().collect() }
    }

    const TODAY: [Field; 3] =
        [Field::new("height", 0..=100, 0), Field::new("gas", 0..=400, 400), Field::new("lean", 3..=9, 0)];

    fn read(rows: &SavedRows) -> Vec<(u32, [i32; 4])> {
        let rows = rows.read("balloon", &TODAY).unwrap();
        rows.into_iter().map(|(id, values)| (id, [values[0], values[1], values[2], values[3]])).collect()
    }

    #[test]
    fn fields_are_found_by_name_wherever_they_stand() {
        let rows = saved(&["lean", "flag", "height", "gas"], &[(7, &[5, 88, 20, 300]), (9, &[4, 77, 0, 1])]);
        assert_eq!(read(&rows), [(7, [20, 300, 5, 0]), (9, [0, 1, 4, 0])], "and nobody knows the flag any more");
    }

    #[test]
    fn a_new_field_has_its_default_which_is_within_its_range() {
        assert_eq!(read(&saved(&["height"], &[(7, &[20])])), [(7, [20, 400, 3, 0])]);
        assert_eq!(read(&saved(&[], &[(7, &[])])), [(7, [0, 400, 3, 0])]);
    }

    #[test]
    fn a_value_beyond_a_range_that_has_become_narrower_is_the_nearest_within() {
        let rows = saved(&["height", "gas", "lean"], &[(7, &[101, -1, i32::MAX]), (8, &[i32::MIN, 401, i32::MIN])]);
        assert_eq!(read(&rows), [(7, [100, 0, 9, 0]), (8, [0, 400, 3, 0])]);
    }

    #[test]
    fn rows_with_more_or_fewer_values_than_names_are_refused_by_their_kind() {
        for values in [&[1][..], &[1, 2, 3]] {
            let error = saved(&["height", "gas"], &[(7, values)]).read("balloon", &TODAY).unwrap_err();
            assert_eq!(error, UnfitSnapshot("balloon"));
        }
    }
}
