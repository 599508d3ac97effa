//! Saves that no room can be begun from: they are kept beside the next one, for somebody to look at.
//!
//! Path: whoever owns a room and cannot use its save calls [`Claim::set_aside`]; only when that went well may it write
//! another in its place.
//! Invariants: what was set aside is never written again and never removed here; the same save is kept once, however often
//! it is found. To use it after all, copy it over `snapshot` while nobody owns the room.

use super::{Claim, SAVE_MAX_BYTES, SaveError};
use anyhow::bail;
use bytes::Bytes;
use object_store::path::Path;

impl Claim {
    /// Copies the save that was found to `snapshot.<epoch>.bad`, by the epoch of whoever wrote it, or, if another one has
    /// that name, by this owner's; returns where it is now. `room` is what the claim brought.
    ///
    /// # Errors
    /// When the store does not work.
    pub(crate) async fn set_aside(&self, room: &[u8]) -> anyhow::Result<Path> {
        let save = Bytes::from([&self.found_epoch.to_le_bytes(), room].concat());
        for epoch in [self.found_epoch, self.epoch()] {
            let path = Path::from(format!("rooms/{}/snapshot.{epoch}.bad", self.id));
            match self.store.write(&path, save.clone(), None).await {
                Ok(_) => return Ok(path),
                Err(SaveError::Store(error)) => return Err(error),
                Err(SaveError::Lost) => {
                    let kept = self.store.read(&path, SAVE_MAX_BYTES).await?;
                    if kept.is_some_and(|(kept, _)| kept.as_ref() == Some(&save)) {
                        return Ok(path);
                    }
                }
            }
        }
        bail!("other saves of the room {} have been set aside by the names that this one can have", self.id)
    }
}
