//! Decides whether this machine may open a room for a given ticket.
//!
//! Path: somebody whom the handshake let through wants into a room that is not open → its supervisor reads in the store
//! who had it last → [`check`].
//! Invariants: pure; the machine's own public room opens for whoever was let in; another machine's opens only for a
//! ticket that says that that machine is lost, or where this machine had it open until it crashed; a private room must
//! have been kept, or be of a name that the lobby has just made; for whoever only looks on nothing opens.
//! Why any machine may open a private room that was kept: only those find it who have its link, and whoever comes by
//! another link is led to where it is (`Moved`).

use crate::store::owner::Owner;
use protocol::{close::CloseReason, room::home_of, token::Grant};

/// Whether `instance` may open the room `id` for somebody with this grant; `kept` is its owner as the store has it.
///
/// # Errors
/// What they are told.
pub(crate) fn check(id: &str, instance: &str, grant: Grant, kept: Option<&Owner>) -> Result<(), CloseReason> {
    match home_of(id) {
        _ if grant == Grant::Watch => Err(CloseReason::Asleep),
        Some(home) if home == instance => Ok(()),
        Some(_) if grant < Grant::Move && !is_interrupted_here(instance, kept) => Err(CloseReason::Moved),
        None if grant == Grant::Open => Ok(()),
        Some(_) | None => kept.map(drop).ok_or(CloseReason::NoSuchRoom),
    }
}

/// Whether the room was open here until the process ended without putting it aside.
pub(crate) fn is_interrupted_here(instance: &str, kept: Option<&Owner>) -> bool {
    kept.is_some_and(|owner| owner.instance == instance && !owner.is_asleep)
}

#[cfg(test)]
mod tests {
    use super::*;
    use CloseReason::{Asleep, Moved, NoSuchRoom};
    use Grant::{Enter, Move, Open, Watch};

    /// SPEC S4.6.
    #[test]
    fn every_case_has_its_answer() {
        let owner = |instance: &str, is_asleep| {
            Some(Owner { instance: instance.to_owned(), epoch: 1, renewals: 0, renewed_unix_ms: 0, is_asleep })
        };
        for (id, grant, kept, expected) in [
            ("arena-m2", Enter, None, Ok(())),
            ("arena-m2", Enter, owner("m1", true), Ok(())),
            ("arena-m2", Watch, None, Err(Asleep)),
            ("arena-m2", Watch, owner("m2", false), Err(Asleep)),
            ("field-a", Watch, owner("m2", false), Err(Asleep)),
            ("arena-m1", Enter, None, Err(Moved)),
            ("arena-m1", Enter, owner("m1", true), Err(Moved)),
            ("arena-m1", Enter, owner("m1", false), Err(Moved)),
            ("arena-m1", Enter, owner("m2", true), Err(Moved)),
            ("arena-m1", Enter, owner("m2", false), Ok(())),
            ("arena-m1", Move, None, Err(NoSuchRoom)),
            ("arena-m1", Move, owner("m1", false), Ok(())),
            ("arena-m1", Move, owner("m2", true), Ok(())),
            ("field-a", Enter, None, Err(NoSuchRoom)),
            ("field-a", Move, None, Err(NoSuchRoom)),
            ("field-a", Open, None, Ok(())),
            ("field-a", Enter, owner("m1", true), Ok(())),
            ("field-a", Open, owner("m1", true), Ok(())),
        ] {
            assert_eq!(check(id, "m2", grant, kept.as_ref()), expected, "{id} {grant:?} {kept:?}");
        }
    }
}
