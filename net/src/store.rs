//! Stores rooms in an object store (a directory or S3) with conditional writes.
//!
//! Path: [`Store::open`] by a URL → [`Store::claim_if`] makes this machine the owner of a room and brings its last save
//! → [`Claim::save`] renews and saves → [`Claim::leave`] saves it asleep, for whoever comes next.
//! Layout: `rooms/<id>/owner` is an [`Owner`] as JSON; `rooms/<id>/snapshot` is the owner's epoch (u32 LE) and the
//! room's bytes; `rooms/<id>/snapshot.<epoch>.bad` is such a save that no room could be begun from ([`Claim::set_aside`]);
//! `clocks/<instance>` is there only until the store has said when it was written.
//! Invariants: a room that is not there yet is claimed by the first save of it, so that one nobody used leaves nothing
//! (no record is ever removed again: a removal would let epochs begin anew); each owner has a greater epoch than the
//! one before; whoever is not the owner any more can write neither object, however late it writes, since every write
//! names the version that it replaces and a new owner that was not handed the room rewrites both first; whether an
//! owner is silent is for the claimant's own clock to say ([`crate::store::lease`]); nothing here waits longer than
//! [`REQUEST_MAX`].
//! Never: what is in a snapshot, a room.

mod aside;
pub(crate) mod lease;
pub(crate) mod owner;

use crate::{
    store::{lease::LeaseWatch, owner::Owner},
    wall_clock::WallClock,
};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, UpdateVersion, local::LocalFileSystem,
    memory::InMemory, path::Path, prefix::PrefixStore,
};
use protocol::close::CloseReason;
use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Longest time of a request to the store. Policy: it counts as failed.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// An owner whose record has not changed for so long counts as gone. Policy: whoever is asked for the room may claim
/// it.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// Epochs of rooms that are not in the store yet, drawn by lot: two lives of which neither was ever written must not
/// take each other's resume tokens. Below those that [`Owner::unknown`] gives.
const FIRST_EPOCHS: std::ops::Range<u32> = 1..1 << 30;
/// Tries to claim a room that others want too. Policy: somebody else has it.
const CLAIM_TRIES_COUNT: usize = 3;
/// Longest record of an owner. Policy: counts as damaged.
const OWNER_MAX_BYTES: u64 = 1024;
/// Longest save, with its epoch. Policy: neither written nor read, as if the store did not work.
const SAVE_MAX_BYTES: u64 = (EPOCH_BYTES + protocol::limits::SNAPSHOT_MAX_BYTES) as u64;

/// Who has a room, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) owner: Owner,
    /// It is another machine, and not lost: hands off.
    pub(crate) is_held: bool,
}

/// Why a room could not be claimed.
#[derive(Debug)]
pub(crate) enum ClaimError {
    /// Another machine has it.
    Held,
    /// It may not be opened here, for this reason.
    Refused(CloseReason),
    /// The store does not work.
    Store(anyhow::Error),
}

/// Why a room could not be saved.
#[derive(Debug)]
pub(crate) enum SaveError {
    /// It is another machine's by now.
    Lost,
    /// The store does not work.
    Store(anyhow::Error),
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Of a store on this machine's disk, which has no conditional update of its own.
    directory: Option<PathBuf>,
    /// Whether what it has outlives the process.
    is_lasting: bool,
    watch: Arc<Mutex<LeaseWatch>>,
}

/// The ownership of a room. A write whose answer got lost looks like somebody else's; what is found tells them apart.
#[derive(Debug)]
pub(crate) struct Claim {
    store: Store,
    id: Arc<str>,
    owner: Owner,
    /// `None` until the first save of a room that was not there.
    owner_version: Option<UpdateVersion>,
    save_version: Option<UpdateVersion>,
    /// Of the save that was found.
    found_epoch: u32,
}

impl Store {
    /// A store by its URL: `file:///directory`, `s3://bucket/prefix` (with the usual `AWS_*` variables) or
    /// `memory:///`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the URL, or with what it leads to.
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        let wrong = || format!("STORE_URL is \"{url}\". It takes file:///directory or s3://bucket/prefix.");
        let parsed = url::Url::parse(url).with_context(wrong)?;
        let (scheme, _) = ObjectStoreScheme::parse(&parsed).with_context(wrong)?;
        match scheme {
            ObjectStoreScheme::Memory => Ok(Self { is_lasting: false, ..Self::around(InMemory::new(), None) }),
            ObjectStoreScheme::Local => {
                let directory = parsed.to_file_path().map_err(|()| anyhow!(wrong()))?;
                let problem = || format!("STORE_URL names {}, which cannot be used.", directory.display());
                std::fs::create_dir_all(&directory).with_context(problem)?;
                let objects = LocalFileSystem::new_with_prefix(&directory).with_context(problem)?;
                Ok(Self::around(objects.with_fsync(true), Some(directory)))
            }
            ObjectStoreScheme::AmazonS3 => {
                let (objects, prefix) = object_store::parse_url_opts(&parsed, std::env::vars()).with_context(wrong)?;
                Ok(Self::around(PrefixStore::new(objects, prefix), None))
            }
            _ => Err(anyhow!(wrong())),
        }
    }

    fn around(objects: impl ObjectStore, directory: Option<PathBuf>) -> Self {
        let watch = Arc::new(Mutex::new(LeaseWatch::new(LEASE)));
        Self { objects: Arc::new(objects), directory, is_lasting: true, watch }
    }

    /// The same store, but owners count as gone after this time.
    pub(crate) fn with_lease(self, lease: Duration) -> Self {
        Self { watch: Arc::new(Mutex::new(LeaseWatch::new(lease))), ..self }
    }

    /// Whether what it has outlives the process; else nothing in it is called kept.
    pub(crate) fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// Who has a room, as `instance` must see it; `None` if it has never been saved. Whoever asks keeps the watch on
    /// another machine's room going.
    ///
    /// # Errors
    /// When the store does not work.
    pub(crate) async fn owner(&self, id: &str, instance: &str) -> anyhow::Result<Option<Kept>> {
        let asked = Instant::now();
        let Some((owner, _)) = self.read_owner(id).await? else { return Ok(None) };
        let is_held = self.is_watched(id, &owner, instance, asked);
        Ok(Some(Kept { owner, is_held }))
    }

    /// Whether `instance` must keep its hands off a room whose record was asked for at this moment.
    fn is_watched(&self, id: &str, owner: &Owner, instance: &str, asked: Instant) -> bool {
        if owner.is_foreign(instance) {
            return !self.watch().is_silent(id, owner, asked, Instant::now());
        }
        self.watch().forget(id);
        false
    }

    /// Whether somebody waits for a room until its owner counts as lost. A process that ends now would have to begin
    /// its watch anew, and they would wait for ever.
    pub(crate) fn is_awaited(&self) -> bool {
        self.watch().is_awaited(Instant::now())
    }

    /// Whole after any panic: every change is a single insert or remove.
    fn watch(&self) -> MutexGuard<'_, LeaseWatch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What time the store says it is, unix milliseconds, by an object that is written for it.
    ///
    /// # Errors
    /// When the store does not work.
    pub(crate) async fn time_ms(&self, instance: &str) -> anyhow::Result<i64> {
        let path = Path::from(format!("clocks/{instance}"));
        let ask = async {
            self.objects.put(&path, Bytes::new().into()).await?;
            let written = self.objects.head(&path).await?;
            // Machines come and go, and nothing of them is to stay.
            self.objects.delete(&path).await?;
            Ok(written)
        };
        Ok(in_time(ask).await.with_context(|| format!("{path} cannot be written"))?.last_modified.timestamp_millis())
    }

    /// Makes `instance` the owner of a room, if `check` lets it, which is told who had the room last; with its last
    /// save, if there is one. A room that is not there is claimed with its first save.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub(crate) async fn claim_if(
        &self,
        id: &Arc<str>,
        instance: &str,
        check: impl Fn(Option<&Owner>) -> Result<(), CloseReason>,
    ) -> Result<(Claim, Option<Bytes>), ClaimError> {
        for _ in 0..CLAIM_TRIES_COUNT {
            let asked = Instant::now();
            let earlier = self.read_owner(id).await.map_err(ClaimError::Store)?;
            if earlier.as_ref().is_some_and(|(owner, _)| self.is_watched(id, owner, instance, asked)) {
                if check(earlier.as_ref().map(|(owner, _)| owner)).is_ok() {
                    self.watch().note_awaited(Instant::now());
                }
                return Err(ClaimError::Held);
            }
            check(earlier.as_ref().map(|(owner, _)| owner)).map_err(ClaimError::Refused)?;
            let epoch = earlier.as_ref().map_or_else(first_epoch, |(owner, _)| owner.epoch + 1);
            let (instance, renewed_unix_ms) = (instance.to_owned(), WallClock::default().now_ms());
            let owner = Owner { instance, epoch, renewals: 0, renewed_unix_ms, is_asleep: false };
            let was_handed = earlier.as_ref().is_none_or(|(owner, _)| owner.is_asleep);
            let owner_version = match earlier {
                None => None,
                Some((_, version)) => match self.write(&owner_path(id), json(&owner), Some(version)).await {
                    Ok(version) => Some(version),
                    Err(SaveError::Lost) => continue,
                    Err(SaveError::Store(error)) => return Err(ClaimError::Store(error)),
                },
            };
            self.watch().forget(id);
            let (store, id, save_version, found_epoch) = (self.clone(), Arc::clone(id), None, owner.epoch);
            let claim = Claim { store, id, owner, owner_version, save_version, found_epoch };
            return claim.take_over(was_handed).await.map_err(ClaimError::Store);
        }
        Err(ClaimError::Held)
    }

    async fn read_owner(&self, id: &str) -> anyhow::Result<Option<(Owner, UpdateVersion)>> {
        let Some((bytes, version)) = self.read(&owner_path(id), OWNER_MAX_BYTES).await? else { return Ok(None) };
        let owner = serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_else(|error| {
            tracing::warn!(room = id, %error, "the record of the room's owner is damaged");
            Owner::unknown()
        });
        Ok(Some((owner, version)))
    }

    /// An object, if it is there, and what it says unless that is too long.
    async fn read(&self, path: &Path, max_bytes: u64) -> anyhow::Result<Option<(Option<Bytes>, UpdateVersion)>> {
        let read = async {
            let found = match self.objects.get(path).await {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            let is_read = found.meta.size <= max_bytes;
            Ok(Some((if is_read { Some(found.bytes().await?) } else { None }, version)))
        };
        in_time(read).await.with_context(|| format!("{path} cannot be read"))
    }

    /// Writes an object that must be of this version, or not be there.
    async fn write(&self, path: &Path, bytes: Bytes, seen: Option<UpdateVersion>) -> Result<UpdateVersion, SaveError> {
        let write = async {
            let put = |mode: PutMode| self.objects.put_opts(path, bytes.clone().into(), mode.into());
            match (seen, &self.directory) {
                (None, _) => put(PutMode::Create).await,
                (Some(seen), None) => put(PutMode::Update(seen)).await,
                (Some(seen), Some(directory)) => {
                    // Machines that share a directory share a kernel, so that a file's lock keeps them apart.
                    let _lock = lock(directory.join(path.as_ref()).with_extension("lock")).await?;
                    let meta = self.objects.head(path).await?;
                    if meta.e_tag != seen.e_tag {
                        let path = path.to_string();
                        return Err(Error::Precondition { path, source: "it was written meanwhile".into() });
                    }
                    put(PutMode::Overwrite).await
                }
            }
        };
        match in_time(write).await {
            Ok(result) => Ok(UpdateVersion::from(result)),
            Err(error) => match error.downcast_ref() {
                Some(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. }) => {
                    Err(SaveError::Lost)
                }
                _ => Err(SaveError::Store(error.context(format!("{path} cannot be written")))),
            },
        }
    }
}

impl Claim {
    /// This owner's number: it tells one life of the room from all others.
    pub(crate) fn epoch(&self) -> u32 {
        self.owner.epoch
    }

    /// Renews the ownership, then saves.
    ///
    /// # Errors
    /// [`SaveError`].
    pub(crate) async fn save(&mut self, room: &[u8]) -> Result<(), SaveError> {
        self.renew(false).await?;
        self.put(room).await
    }

    /// Saves for the last time and lets go. Nothing is written of a room that was not there and is not to last. It may
    /// have let go before, and the answer got lost: then whoever was handed the room has rewritten nothing of it, and
    /// only the owner's record tells, so that is renewed first.
    ///
    /// # Errors
    /// [`SaveError`].
    pub(crate) async fn leave(&mut self, room: Option<&[u8]>) -> Result<(), SaveError> {
        if let Some(room) = room {
            self.save(room).await?;
        }
        if self.owner_version.is_some() { self.renew(true).await } else { Ok(()) }
    }

    /// Reads the last save. If its writer did not let go of it, it may still be writing: what is read is written again,
    /// so that whatever it writes comes too late.
    async fn take_over(mut self, was_handed: bool) -> anyhow::Result<(Self, Option<Bytes>)> {
        for _ in 0..CLAIM_TRIES_COUNT {
            let Some((bytes, version)) = self.store.read(&save_path(&self.id), SAVE_MAX_BYTES).await? else {
                return Ok((self, None));
            };
            let bytes = bytes.with_context(|| format!("{} is longer than any save", save_path(&self.id)))?;
            self.save_version = Some(version);
            let room = bytes.slice(bytes.len().min(EPOCH_BYTES)..);
            if was_handed {
                self.found_epoch = bytes.first_chunk().map_or(self.found_epoch, |epoch| u32::from_le_bytes(*epoch));
                return Ok((self, Some(room)));
            }
            match self.put(&room).await {
                Ok(()) => return Ok((self, Some(room))),
                Err(SaveError::Lost) => {}
                Err(SaveError::Store(error)) => return Err(error),
            }
        }
        Err(anyhow!("somebody who lost the room {} writes on and on", self.id))
    }

    async fn renew(&mut self, is_asleep: bool) -> Result<(), SaveError> {
        self.owner.renewals = self.owner.renewals.wrapping_add(1);
        let owner = json(&Owner { renewed_unix_ms: WallClock::default().now_ms(), is_asleep, ..self.owner.clone() });
        let (store, path) = (&self.store, owner_path(&self.id));
        let seen = self.owner_version.clone();
        let written = match store.write(&path, owner.clone(), seen).await {
            Err(SaveError::Lost) => {
                let found = store.read_owner(&self.id).await.map_err(SaveError::Store)?;
                let is_ours = |(found, _): &(Owner, _)| found.is_life_of(&self.owner);
                let (_, version) = found.filter(is_ours).ok_or(SaveError::Lost)?;
                store.write(&path, owner, Some(version)).await?
            }
            result => result?,
        };
        self.owner_version = Some(written);
        Ok(())
    }

    async fn put(&mut self, room: &[u8]) -> Result<(), SaveError> {
        let epoch = self.owner.epoch.to_le_bytes();
        let bytes = Bytes::from([&epoch, room].concat());
        if bytes.len() as u64 > SAVE_MAX_BYTES {
            return Err(SaveError::Store(anyhow!("the room takes {} bytes, more than a save may have", bytes.len())));
        }
        let (store, path) = (&self.store, save_path(&self.id));
        let written = match store.write(&path, bytes.clone(), self.save_version.clone()).await {
            Err(SaveError::Lost) => {
                let found = store.read(&path, SAVE_MAX_BYTES).await.map_err(SaveError::Store)?;
                let (_, version) = found
                    .filter(|(found, _)| found.as_ref().is_some_and(|found| found.starts_with(&epoch)))
                    .ok_or(SaveError::Lost)?;
                store.write(&path, bytes, Some(version)).await?
            }
            result => result?,
        };
        self.save_version = Some(written);
        Ok(())
    }
}

/// Bytes of the epoch in front of a save.
const EPOCH_BYTES: usize = size_of::<u32>();

fn first_epoch() -> u32 {
    let number = getrandom::u32().expect("the operating system has randomness");
    FIRST_EPOCHS.start + number % (FIRST_EPOCHS.end - FIRST_EPOCHS.start)
}

fn owner_path(id: &str) -> Path {
    Path::from(format!("rooms/{id}/owner"))
}

fn save_path(id: &str) -> Path {
    Path::from(format!("rooms/{id}/snapshot"))
}

fn json(owner: &Owner) -> Bytes {
    serde_json::to_vec(owner).expect("plain data always encodes").into()
}

/// Waits for no request longer than [`REQUEST_MAX`].
async fn in_time<T>(request: impl Future<Output = Result<T, Error>>) -> anyhow::Result<T> {
    match timeout(REQUEST_MAX, request).await {
        Ok(result) => result.map_err(anyhow::Error::from),
        Err(_) => Err(anyhow!("the store did not answer in {} s", REQUEST_MAX.as_secs())),
    }
}

/// The lock ends with the file.
async fn lock(path: PathBuf) -> Result<File, Error> {
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    let generic = |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic { store: "file lock", source };
    locked.await.map_err(|error| generic(error.into()))?.map_err(|error| generic(error.into()))
}

#[cfg(test)]
mod tests;
