//! The store, in a directory, in memory, and at the address that `STORE_TEST_URL` names.

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
            owner.owner_version = Some(at.write(&owner_path("field-a"), json(&found), Some(version)).await.unwrap());
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
        let record = format!(r#"{{"instance":"m1","epoch":3,"renewed_unix_ms":{},"is_asleep":false}}"#, u64::MAX / 2);
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
            let (before_ms, store_ms) = (WallClock::default().now_ms() as i64, store.0.time_ms("m1").await.unwrap());
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
        let refusal = store.0.claim_if(&id(), "m1", |_| Err(CloseReason::NoSuchRoom)).await.map(|_| ()).unwrap_err();
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

/// What is kept beside the save, by name.
async fn aside(store: &Store, epoch: u32) -> Option<Bytes> {
    let path = Path::from(format!("rooms/field-a/snapshot.{epoch}.bad"));
    store.read(&path, SAVE_MAX_BYTES).await.unwrap().and_then(|(bytes, _)| bytes)
}

fn of_epoch(epoch: u32, room: &[u8]) -> Option<Bytes> {
    Some([&epoch.to_le_bytes()[..], room].concat().into())
}

#[tokio::test]
async fn a_save_that_is_set_aside_is_still_there_after_the_next_ones() {
    for store in stores() {
        let at = &store.0;
        let (mut claim, _) = at.claim(&id(), "m1").await.unwrap();
        let first = claim.epoch();
        claim.leave(Some(b"bad")).await.unwrap();
        // Found, and not written over, by one after the other: it is kept once.
        for _ in 0..3 {
            let (mut claim, saved) = at.claim(&id(), "m2").await.unwrap();
            assert_eq!(saved.as_deref(), Some(&b"bad"[..]));
            let path = claim.set_aside(b"bad").await.unwrap();
            assert_eq!(path.as_ref(), format!("rooms/field-a/snapshot.{first}.bad"));
            claim.leave(None).await.unwrap();
        }
        let (mut claim, _) = at.claim(&id(), "m1").await.unwrap();
        claim.set_aside(b"bad").await.unwrap();
        claim.save(b"good").await.unwrap();
        claim.leave(Some(b"bad again")).await.unwrap();
        assert_eq!(aside(at, first).await, of_epoch(first, b"bad"));
        let wrote = claim.epoch();
        let (claim, _) = at.claim(&id(), "m1").await.unwrap();
        claim.set_aside(b"bad again").await.unwrap();
        assert_eq!(aside(at, wrote).await, of_epoch(wrote, b"bad again"));
        assert_eq!(aside(at, first).await, of_epoch(first, b"bad"));
        end(store);
    }
}

#[tokio::test]
async fn of_two_bad_saves_with_one_name_neither_is_lost() {
    for store in stores() {
        let at = &store.0;
        let (mut claim, _) = at.claim(&id(), "m1").await.unwrap();
        claim.save(b"bad").await.unwrap();
        // Its owner did not let go of it, so that the next one has rewritten it by its own epoch.
        let (mut claim, _) = at.claim(&id(), "m1").await.unwrap();
        let wrote = claim.epoch();
        claim.set_aside(b"bad").await.unwrap();
        claim.leave(Some(b"worse")).await.unwrap();
        let (claim, _) = at.claim(&id(), "m1").await.unwrap();
        claim.set_aside(b"worse").await.unwrap();
        assert_eq!(aside(at, wrote).await, of_epoch(wrote, b"bad"));
        assert_eq!(aside(at, claim.epoch()).await, of_epoch(wrote, b"worse"));
        // A third one by both names is told, and nothing is written.
        assert!(claim.set_aside(b"worst").await.is_err());
        assert_eq!(aside(at, wrote).await, of_epoch(wrote, b"bad"));
        end(store);
    }
}

#[tokio::test]
async fn of_two_machines_that_set_a_save_aside_only_the_owner_writes_the_next_one() {
    for store in stores() {
        let at = &store.0;
        let (mut first, _) = at.claim(&id(), "m1").await.unwrap();
        first.leave(Some(b"bad")).await.unwrap();
        let (mut stale, _) = at.claim(&id(), "m1").await.unwrap();
        let_lease_run_out(at).await;
        let (mut fresh, saved) = at.claim(&id(), "m2").await.unwrap();
        assert_eq!(saved.as_deref(), Some(&b"bad"[..]));
        let (one, other) = tokio::join!(stale.set_aside(b"bad"), fresh.set_aside(b"bad"));
        assert!(one.is_ok() && other.is_ok());
        assert!(matches!(stale.save(b"late").await, Err(SaveError::Lost)));
        fresh.save(b"good").await.unwrap();
        assert!(matches!(stale.put(b"late").await, Err(SaveError::Lost)));
        assert_eq!(aside(at, first.epoch()).await, of_epoch(first.epoch(), b"bad"));
        assert_eq!(aside(at, fresh.epoch()).await, of_epoch(fresh.epoch(), b"bad"));
        fresh.leave(None).await.unwrap();
        let (_, saved) = at.claim(&id(), "m3").await.unwrap();
        assert_eq!(saved.as_deref(), Some(&b"good"[..]));
        end(store);
    }
}

#[tokio::test]
async fn what_is_longer_than_a_save_is_neither_written_nor_written_over() {
    for store in stores() {
        let at = &store.0;
        let (mut claim, _) = at.claim(&id(), "m1").await.unwrap();
        let long = vec![7; protocol::limits::SNAPSHOT_MAX_BYTES + 1];
        assert!(matches!(claim.save(&long).await, Err(SaveError::Store(_))));
        claim.leave(Some(&long[1..])).await.unwrap();
        let (_, version) = at.read(&save_path("field-a"), SAVE_MAX_BYTES).await.unwrap().unwrap();
        at.write(&save_path("field-a"), [&[0; EPOCH_BYTES][..], &long].concat().into(), Some(version)).await.unwrap();
        assert!(matches!(at.claim(&id(), "m1").await, Err(ClaimError::Store(_))));
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
