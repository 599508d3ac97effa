//! Joins of rooms that do not exist or belong elsewhere: they open nothing and keep nobody else out.

use super::{newark, say_hello, start_cluster};
use catalogue::Catalogue;
use protocol::close::CloseReason;
use rehearsal::{JoinGrant, Pilot, request_join};
use serde_json::json;
use std::{path::Path, time::Duration};

/// Whether something of this name is kept below a folder.
fn is_kept(folder: &Path, name: &str) -> bool {
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.any(|path| path.to_string_lossy().contains(name) || (path.is_dir() && is_kept(&path, name)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_socket_elsewhere_does_not_close_a_region() {
    let cluster = start_cluster(|config| config.pool = vec![("ewr", 1), ("cdg", 1)]).await;
    let machines = cluster.machines().await.unwrap();
    let of = |region: &str| machines.iter().find(|machine| machine.region == region).unwrap().id.clone();
    let (home, other) = (of("ewr"), of("cdg"));
    let mut kept = Vec::new();
    for _ in 0..2 {
        // While the region's arena is closed: never opened yet, then put aside.
        let grant =
            request_join(&cluster, &json!({ "instance": other, "room": format!("arena-{home}") })).await.unwrap();
        let JoinGrant { path, ticket, .. } = grant.unwrap();
        let (socket, refusal) = say_hello(&cluster, &path, Some(ticket), None).await;
        assert_eq!(refusal, Some(CloseReason::Moved));
        kept.push(socket);
        let mut pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
        assert_eq!(pilot.grant.instance, home);
        pilot.fly(Duration::from_millis(300)).await.unwrap();
        pilot.leave().await;
        cluster.wait_for_state(&home, "stopped", super::WAIT_MAX).await.unwrap();
    }
    // By the same path a page is led home.
    let location = cluster.location_of(&format!("/gameserver/{other}/arena-{home}")).await.unwrap();
    assert_eq!(location, format!("/gameserver/{home}/arena"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_rooms_fill_no_machine_and_leave_nothing() {
    let mut kinds = Catalogue::built_in();
    kinds.rooms = 8;
    let cluster = start_cluster(|config| config.game_env.push(("KINDS", kinds.to_ron()))).await;
    let id = cluster.machines().await.unwrap().remove(0).id;
    let mut kept = Vec::new();
    for number in 1..=8 {
        let grant =
            request_join(&cluster, &json!({ "instance": id, "room": format!("arena-p-spam{number}") })).await.unwrap();
        let JoinGrant { path, ticket, .. } = grant.unwrap();
        let (socket, refusal) = say_hello(&cluster, &path, Some(ticket), None).await;
        assert_eq!(refusal, Some(CloseReason::NoSuchRoom), "{number}");
        kept.push(socket);
    }
    let mut pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
    pilot.fly(Duration::from_millis(300)).await.unwrap();
    let mut host = Pilot::join(&cluster, "Host", &json!({ "region": "ewr", "private": true })).await.unwrap();
    host.fly(Duration::from_millis(300)).await.unwrap();
    assert!(!is_kept(cluster.folder(), "spam") && is_kept(cluster.folder(), &host.grant.room));
    cluster.shutdown().await;
}
