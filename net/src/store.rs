//! Where rooms last: an object store, which is a directory or S3, with conditional writes.
//!
//! Path: [`Store::open`] by a URL → [`Store::claim_if`] makes this machine the owner of a room and brings its last save →
//! [`Claim::save`] renews and saves → [`Claim::leave`] saves it asleep, for whoever comes next.
//! Layout: `rooms/<id>/owner` is an [`Owner`] as JSON; `rooms/<id>/snapshot` is the owner's epoch (u32 LE) and the
//! room's bytes; `clocks/<instance>` is there only until the store has said when it was written.
//! Invariants: a room that is not there yet is claimed by the first save of it, so that one nobody used leaves nothing
//! (no record is ever removed again: a removal would let epochs begin anew); each owner has a greater epoch than the one
//! before; whoever is not the owner any more can write neither object, however late it writes, since every write names the
//! version that it replaces and a new owner that was not handed the room rewrites both first; whether an owner is silent is
//! for the claimant's own clock to say ([`crate::watch`]); nothing here waits longer than [`REQUEST_MAX`].
//! Never: what is in a snapshot, a room.

use crate::watch::Watch;
use anyhow::{Context, anyhow};
use bytes::Bytes;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, UpdateVersion, local::LocalFileSystem,
    memory::InMemory, path::Path, prefix::PrefixStore,
};
use protocol::close::CloseReason;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// Longest time of a request to the store. Policy: it counts as failed.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// An owner whose record has not changed for so long counts as gone. Policy: whoever is asked for the room may claim it.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// Epochs of rooms that are not in the store yet, drawn by lot: two lives of which neither was ever written must not take
/// each other's resume tokens. Below those that [`Owner::unknown`] gives.
const FIRST_EPOCHS: std::ops::Range<u32> = 1..1 << 30;
/// Tries to claim a room that others want too. Policy: somebody else has it.
const CLAIM_TRIES_COUNT: usize = 3;
/// Longest record of an owner, and longest save with its epoch. Policy: counts as damaged.
const OWNER_MAX_BYTES: u64 = 1024;
const SAVE_MAX_BYTES: u64 = protocol::limits::SNAPSHOT_MAX_BYTES as u64 + 1024;

/// Who has a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The machine.
    pub(crate) instance: String,
    /// Counts owners of this room.
    pub(crate) epoch: u32,
    /// Counts how often this owner has said so: no two records are alike.
    #[serde(default)]
    pub(crate) renewals: u32,
    /// When it last did, unix milliseconds of its own clock: for people, nothing is judged by it.
    #[serde(default)]
    pub(crate) renewed_unix_ms: u64,
    /// It has saved the room and let go of it.
    pub(crate) is_asleep: bool,
}

impl Owner {
    /// In a damaged record's place: gone, and later than all owners that counted from 1.
    fn unknown() -> Self {
        let epoch = (unix_now_ms() / 1000) as u32;
        Self { instance: String::new(), epoch, renewals: 0, renewed_unix_ms: 0, is_asleep: false }
    }

    /// Whether it is the same owner, at another moment.
    fn is_life_of(&self, other: &Self) -> bool {
        (&self.instance, self.epoch) == (&other.instance, other.epoch)
    }

    /// Whether it is another machine than this one that may still be there. A damaged record is nobody's.
    fn is_foreign(&self, instance: &str) -> bool {
        self.instance != instance && !self.is_asleep && !self.instance.is_empty()
    }
}

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
    watch: Arc<Mutex<Watch>>,
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
}

impl Store {
    /// A store by its URL: `file:///directory`, `s3://bucket/prefix` (with the usual `AWS_*` variables) or `memory:///`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the URL, or with what it leads to.
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        let wrong = || format!("STORE_URL is \"{url}\". It takes file:///directory or s3://bucket/prefix.");
        let parsed = url::Url::parse(url).with_context(wrong)?;
        let (scheme, _) = ObjectStoreScheme::parse(&parsed).with_context(wrong)?;
        match scheme {
            ObjectStoreScheme::Memory => Ok(Self::around(InMemory::new(), None)),
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
        Self { objects: Arc::new(objects), directory, watch: Arc::new(Mutex::new(Watch::new(LEASE))) }
    }

    /// The same store, but owners count as gone after this time.
    pub(crate) fn with_lease(self, lease: Duration) -> Self {
        Self { watch: Arc::new(Mutex::new(Watch::new(lease))), ..self }
    }

    /// Who has a room, as `instance` must see it; `None` if it has never been saved. Whoever asks keeps the watch on another
    /// machine's room going.
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

    /// Whether somebody waits for a room until its owner counts as lost. A process that ends now would have to begin its
    /// watch anew, and they would wait for ever.
    pub(crate) fn is_awaited(&self) -> bool {
        self.watch().is_awaited(Instant::now())
    }

    /// Whole after any panic: every change is a single insert or remove.
    fn watch(&self) -> MutexGuard<'_, Watch> {
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

    /// Makes `instance` the owner of a room, if `check` lets it, which is told who had the room last; with its last save, if
    /// there is one. A room that is not there is claimed with its first save.
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
            let (instance, renewed_unix_ms) = (instance.to_owned(), unix_now_ms());
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
            let claim = Claim { store: self.clone(), id: Arc::clone(id), owner, owner_version, save_version: None };
            return claim.take_over(was_handed).await.map_err(ClaimError::Store);
        }
        Err(ClaimError::Held)
    }

    async fn read_owner(&self, id: &str) -> anyhow::Result<Option<(Owner, UpdateVersion)>> {
        let Some((bytes, version)) = self.read(&owner_path(id), OWNER_MAX_BYTES).await? else { return Ok(None) };
        let owner = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(room = id, %error, "the record of the room's owner is damaged");
            Owner::unknown()
        });
        Ok(Some((owner, version)))
    }

    async fn read(&self, path: &Path, max_bytes: u64) -> anyhow::Result<Option<(Bytes, UpdateVersion)>> {
        let read = async {
            let found = match self.objects.get(path).await {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            if found.meta.size > max_bytes {
                return Ok(Some((Bytes::new(), version)));
            }
            Ok(Some((found.bytes().await?, version)))
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

    /// Saves for the last time and lets go. Nothing is written of a room that was not there and is not to last.
    /// It may have let go before, and the answer got lost: then whoever was handed the room has rewritten nothing of it, and
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

    /// Reads the last save. If its writer did not let go of it, it may still be writing: what is read is written again, so
    /// that whatever it writes comes too late.
    async fn take_over(mut self, was_handed: bool) -> anyhow::Result<(Self, Option<Bytes>)> {
        for _ in 0..CLAIM_TRIES_COUNT {
            let Some((bytes, version)) = self.store.read(&save_path(&self.id), SAVE_MAX_BYTES).await? else {
                return Ok((self, None));
            };
            self.save_version = Some(version);
            let room = bytes.slice(bytes.len().min(EPOCH_BYTES)..);
            if was_handed {
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
        let owner = json(&Owner { renewed_unix_ms: unix_now_ms(), is_asleep, ..self.owner.clone() });
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
        let (store, path) = (&self.store, save_path(&self.id));
        let written = match store.write(&path, bytes.clone(), self.save_version.clone()).await {
            Err(SaveError::Lost) => {
                let found = store.read(&path, SAVE_MAX_BYTES).await.map_err(SaveError::Store)?;
                let (_, version) = found.filter(|(found, _)| found.starts_with(&epoch)).ok_or(SaveError::Lost)?;
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

/// Unix time.
pub(crate) fn unix_now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store in a directory, one in memory, and the one that `STORE_TEST_URL` names, if it does: one locks, the others
    /// compare.
    fn stores() -> Vec<(Store, Option<PathBuf>)> {
        let unique = format!("aerodrome-store-{}-{:?}", std::process::id(), std::thread::current().id());
        let unique = unique.replace(['(', ')'], "-");
        let directory = std::env::temp_dir().join(&unique);
        let open = |url: &str| Store::open(url).unwrap().with_lease(LEASE);
        let on_disk = open(&format!("file://{}", directory.display()));
        let mut stores = vec![(on_disk, Some(directory)), (open("memory:///"), None)];
        if let Ok(url) = std::env::var("STORE_TEST_URL") {
            stores.push((open(&format!("{url}/{unique}")), None));
        }
        stores
    }

    const LEASE: Duration = Duration::from_millis(300);

    fn end((_, directory): (Store, Option<PathBuf>)) {
        if let Some(directory) = directory {
            std::fs::remove_dir_all(directory).unwrap();
        }
    }

    fn id() -> Arc<str> {
        "field-a".into()
    }

    impl Store {
        /// For whom every room opens.
        async fn claim(&self, id: &Arc<str>, instance: &str) -> Result<(Claim, Option<Bytes>), ClaimError> {
            self.claim_if(id, instance, |_| Ok(())).await
        }

        /// Whether this machine must keep its hands off; `None` if there is no record.
        async fn is_held(&self, instance: &str) -> Option<bool> {
            self.owner("field-a", instance).await.unwrap().map(|kept| kept.is_held)
        }
    }

    /// Every file below a directory; nothing when it is not there.
    fn files(directory: &std::path::Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    /// The owner is looked at, and once more when it has said nothing for a lease.
    async fn let_lease_run_out(store: &Store) {
        assert!(matches!(store.claim(&id(), "m2").await, Err(ClaimError::Held)));
        tokio::time::sleep(LEASE).await;
    }

    #[tokio::test]
    async fn a_room_goes_from_owner_to_owner_with_what_it_was() {
        for store in stores() {
            let at = &store.0;
            assert_eq!(at.is_held("m1").await, None);
            let (mut first, saved) = at.claim(&id(), "m1").await.unwrap();
            let epoch = first.epoch();
            assert!(FIRST_EPOCHS.contains(&epoch) && saved.is_none());
            first.save(b"one").await.unwrap();
            first.save(b"two").await.unwrap();
            assert!(matches!(at.claim(&id(), "m2").await, Err(ClaimError::Held)));
            assert_eq!(at.is_held("m2").await, Some(true));
            assert_eq!(at.is_held("m1").await, Some(false));
            first.leave(Some(b"three")).await.unwrap();
            assert_eq!(at.is_held("m2").await, Some(false));
            let (mut second, saved) = at.claim(&id(), "m2").await.unwrap();
            assert_eq!((second.epoch(), saved.as_deref()), (epoch + 1, Some(&b"three"[..])));
            // A machine that was started again takes what it had, handed over or not.
            second.save(b"four").await.unwrap();
            let (third, saved) = at.claim(&id(), "m2").await.unwrap();
            assert_eq!((third.epoch(), saved.as_deref()), (epoch + 2, Some(&b"four"[..])));
            end(store);
        }
    }

    #[tokio::test]
    async fn whoever_lost_a_room_writes_nothing_any_more() {
        for store in stores() {
            let at = &store.0;
            let (mut stale, _) = at.claim(&id(), "m1").await.unwrap();
            stale.save(b"one").await.unwrap();
            let_lease_run_out(at).await;
            let (mut fresh, saved) = at.claim(&id(), "m2").await.unwrap();
            assert_eq!(saved.as_deref(), Some(&b"one"[..]));
            // Also not what was on its way when the room was claimed.
            assert!(matches!(stale.put(b"late").await, Err(SaveError::Lost)));
            assert!(matches!(stale.save(b"late").await, Err(SaveError::Lost)));
            assert!(matches!(stale.leave(Some(b"late")).await, Err(SaveError::Lost)));
            fresh.save(b"two").await.unwrap();
            fresh.leave(None).await.unwrap();
            let (_, saved) = at.claim(&id(), "m3").await.unwrap();
            assert_eq!(saved.as_deref(), Some(&b"two"[..]));
            end(store);
        }
    }

    /// Whatever time stands in a record, and whatever the claimant's wall clock says.
    #[tokio::test]
    async fn an_owner_that_renews_is_never_taken_for_lost() {
        for store in stores() {
            let at = &store.0;
            let (mut owner, _) = at.claim(&id(), "m1").await.unwrap();
            owner.save(b"zero").await.unwrap();
            for renewal in 0..4 {
                assert_eq!(at.is_held("m2").await, Some(true));
                tokio::time::sleep(LEASE).await;
                owner.save(b"one").await.unwrap();
                let (mut found, version) = at.read_owner("field-a").await.unwrap().unwrap();
                // As if the owner's clock stood still, and long ago.
                found.renewed_unix_ms = 0;
                owner.owner_version =
                    Some(at.write(&owner_path("field-a"), json(&found), Some(version)).await.unwrap());
                assert!(matches!(at.claim(&id(), "m2").await, Err(ClaimError::Held)), "renewal {renewal}");
            }
            tokio::time::sleep(LEASE).await;
            assert_eq!(at.is_held("m2").await, Some(false));
            assert!(at.claim(&id(), "m2").await.is_ok());
            end(store);
        }
    }

    #[tokio::test]
    async fn a_record_from_the_future_is_as_good_as_any() {
        for store in stores() {
            let path = owner_path("field-a");
            let record =
                format!(r#"{{"instance":"m1","epoch":3,"renewed_unix_ms":{},"is_asleep":false}}"#, u64::MAX / 2);
            store.0.write(&path, record.into(), None).await.unwrap();
            let_lease_run_out(&store.0).await;
            let (claim, _) = store.0.claim(&id(), "m2").await.unwrap();
            assert_eq!(claim.epoch(), 4);
            end(store);
        }
    }

    #[tokio::test]
    async fn a_store_tells_its_time() {
        for store in stores() {
            for _ in 0..2 {
                let (before_ms, store_ms) = (unix_now_ms() as i64, store.0.time_ms("m1").await.unwrap());
                assert!((store_ms - before_ms).abs() < 2_000, "{before_ms} {store_ms}");
            }
            end(store);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_who_claim_at_once_one_has_it() {
        for store in stores() {
            for round in 0..10 {
                let id: Arc<str> = format!("field-{round}").into();
                let claims: Vec<_> = (0..8)
                    .map(|machine| {
                        let (store, id) = (store.0.clone(), Arc::clone(&id));
                        tokio::spawn(async move {
                            // One that was not there is whose who saves it first.
                            let Ok((mut claim, _)) = store.claim(&id, &format!("m{machine}")).await else {
                                return false;
                            };
                            claim.save(b"mine").await.is_ok()
                        })
                    })
                    .collect();
                let mut won = 0;
                for claim in claims {
                    won += usize::from(claim.await.unwrap());
                }
                assert_eq!(won, 1, "round {round}");
            }
            end(store);
        }
    }

    #[tokio::test]
    async fn a_room_that_is_not_to_last_leaves_nothing() {
        for store in stores() {
            let (mut claim, saved) = store.0.claim(&id(), "m1").await.unwrap();
            assert_eq!(saved, None);
            claim.leave(None).await.unwrap();
            let refusal =
                store.0.claim_if(&id(), "m1", |_| Err(CloseReason::NoSuchRoom)).await.map(|_| ()).unwrap_err();
            assert!(matches!(refusal, ClaimError::Refused(CloseReason::NoSuchRoom)));
            assert_eq!(store.0.owner("field-a", "m1").await.unwrap(), None);
            assert_eq!(store.1.as_deref().map(files).unwrap_or_default(), Vec::<PathBuf>::new());
            // The next life is another's, also though neither was written.
            let (mut next, _) = store.0.claim(&id(), "m1").await.unwrap();
            assert_ne!(next.epoch(), claim.epoch());
            next.leave(Some(b"one")).await.unwrap();
            let (_, saved) = store.0.claim(&id(), "m2").await.unwrap();
            assert_eq!(saved.as_deref(), Some(&b"one"[..]));
            end(store);
        }
    }

    #[tokio::test]
    async fn whoever_may_not_open_a_room_changes_nothing_of_it() {
        for store in stores() {
            let (mut claim, _) = store.0.claim(&id(), "m1").await.unwrap();
            claim.leave(Some(b"one")).await.unwrap();
            let before = store.0.owner("field-a", "m2").await.unwrap();
            let refuse = |kept: Option<&Owner>| {
                assert_eq!(kept, before.as_ref().map(|kept| &kept.owner));
                Err(CloseReason::Moved)
            };
            let refusal = store.0.claim_if(&id(), "m2", refuse).await.map(|_| ()).unwrap_err();
            assert!(matches!(refusal, ClaimError::Refused(CloseReason::Moved)));
            assert_eq!(store.0.owner("field-a", "m2").await.unwrap(), before);
            end(store);
        }
    }

    #[tokio::test]
    async fn a_write_whose_answer_got_lost_is_recognised() {
        for store in stores() {
            let (mut claim, _) = store.0.claim(&id(), "m1").await.unwrap();
            claim.save(b"one").await.unwrap();
            let (owner, save) = (claim.owner_version.clone(), claim.save_version.clone());
            claim.save(b"two").await.unwrap();
            (claim.owner_version, claim.save_version) = (owner, save);
            claim.save(b"three").await.unwrap();
            end(store);
        }
    }

    #[tokio::test]
    async fn a_last_save_whose_answer_got_lost_takes_nothing_from_whoever_was_handed_the_room() {
        for store in stores() {
            let at = &store.0;
            let (mut first, _) = at.claim(&id(), "m1").await.unwrap();
            first.save(b"one").await.unwrap();
            let (owner, save) = (first.owner_version.clone(), first.save_version.clone());
            first.leave(Some(b"two")).await.unwrap();
            (first.owner_version, first.save_version) = (owner.clone(), save.clone());
            // Nobody came meanwhile: it goes well once more.
            first.leave(Some(b"two")).await.unwrap();
            (first.owner_version, first.save_version) = (owner, save);
            let (mut second, saved) = at.claim(&id(), "m2").await.unwrap();
            assert_eq!(saved.as_deref(), Some(&b"two"[..]));
            assert!(matches!(first.leave(Some(b"two")).await, Err(SaveError::Lost)));
            second.save(b"three").await.unwrap();
            second.leave(None).await.unwrap();
            let (_, saved) = at.claim(&id(), "m3").await.unwrap();
            assert_eq!(saved.as_deref(), Some(&b"three"[..]));
            end(store);
        }
    }

    /// It was claimed by its last save, which is its first.
    #[tokio::test]
    async fn a_first_and_last_save_whose_answer_got_lost_is_recognised_too() {
        for store in stores() {
            let at = &store.0;
            let (mut first, _) = at.claim(&id(), "m1").await.unwrap();
            for _ in 0..2 {
                (first.owner_version, first.save_version) = (None, None);
                first.leave(Some(b"one")).await.unwrap();
            }
            (first.owner_version, first.save_version) = (None, None);
            let (mut second, saved) = at.claim(&id(), "m2").await.unwrap();
            assert_eq!(saved.as_deref(), Some(&b"one"[..]));
            assert!(matches!(first.leave(Some(b"one")).await, Err(SaveError::Lost)));
            second.save(b"two").await.unwrap();
            end(store);
        }
    }

    #[tokio::test]
    async fn a_damaged_record_of_an_owner_is_replaced_by_a_later_one() {
        for store in stores() {
            let path = owner_path("field-a");
            store.0.write(&path, Bytes::from_static(b"{\"instance\":"), None).await.unwrap();
            let (claim, _) = store.0.claim(&id(), "m1").await.unwrap();
            assert!(claim.epoch() > 1_700_000_000);
            end(store);
        }
    }

    #[test]
    fn what_is_no_store_is_said_in_a_sentence() {
        for url in ["rooms", "ftp://rooms/here", "http://rooms", "file://host/dir"] {
            let error = Store::open(url).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("STORE_URL is \"{url}\".")), "{error}");
        }
    }
}
