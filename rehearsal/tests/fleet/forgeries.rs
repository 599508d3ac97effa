//! Forged requests and tickets: what did not come through the lobby is refused before any room sees it.

use super::{newark, say_hello, start_cluster};
use protocol::{
    close::CloseReason,
    token::{Grant, Key, Role},
};
use rehearsal::{Pilot, SECRET, SocketState, request_join};
use reqwest::{Client, StatusCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_did_not_come_through_the_lobby_is_forbidden() {
    let cluster = start_cluster(|_| {}).await;
    let pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
    let (id, path) = (pilot.grant.instance.clone(), pilot.grant.path.clone());
    let address = cluster.machine(&id).await.unwrap().address.unwrap();
    let key = Key::new(SECRET).unwrap();
    let stranger = Key::new("another secret of enough length").unwrap();
    let good = key.sign_replay(&id, &path, now_s(), 0);
    let http = Client::new();
    let answer = |state: Option<String>| {
        let request = http.get(format!("http://{address}{path}"));
        let source = state.map(|state| format!("instance=x;region=ewr;t=1;state={state}"));
        let request = source.into_iter().fold(request, |request, source| request.header("fly-replay-src", source));
        async move { request.send().await.unwrap().status() }
    };
    assert_eq!(answer(Some(good)).await, StatusCode::OK, "the lobby's own state opens it");
    for (what, state) in [
        ("no state", None),
        ("a stranger's", Some(stranger.sign_replay(&id, &path, now_s(), 0))),
        ("a stale one", Some(key.sign_replay(&id, &path, now_s() - 120, 0))),
        ("one for another path", Some(key.sign_replay(&id, "/gameserver/x/arena", now_s(), 0))),
        ("nonsense", Some("1.2.3".to_owned())),
    ] {
        assert_eq!(answer(state).await, StatusCode::FORBIDDEN, "{what}");
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_headers_do_not_pass_the_edge() {
    let cluster = start_cluster(|_| {}).await;
    let pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
    let key = Key::new(SECRET).unwrap();
    // The path of a machine that is not there, with a state that would be good for it.
    let path = "/gameserver/nowhere/arena";
    let state = key.sign_replay("nowhere", path, now_s(), 0);
    let request =
        Client::new().get(format!("{}{path}", cluster.url())).header("fly-replay-src", format!("state={state}"));
    let status = request.send().await.unwrap().status();
    assert!(status.is_client_error() || status.is_redirection(), "{status}");
    drop(pilot);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_tickets_and_stolen_tokens_open_nothing() {
    let cluster = start_cluster(|_| {}).await;
    let mut pilot = Pilot::join(&cluster, "Guest", &newark()).await.unwrap();
    let (id, path, used) = (pilot.grant.instance.clone(), pilot.grant.path.clone(), pilot.grant.ticket.clone());
    pilot.fly(Duration::from_millis(200)).await.unwrap();
    let key = Key::new(SECRET).unwrap();
    let foreign = key.sign_ticket(("another", "arena"), (Grant::Enter, Role::Member), 1, now_s());
    let of_another_room = key.sign_ticket((&id, "field-aaaaaaaaaa"), (Grant::Open, Role::Member), 2, now_s());
    let expired = key.sign_ticket((&id, "arena"), (Grant::Enter, Role::Member), 3, now_s() - 120);
    let forged = Key::new("another secret of enough length").unwrap().sign_ticket(
        (&id, "arena"),
        (Grant::Enter, Role::Member),
        4,
        now_s(),
    );
    let tickets = [
        ("used", used),
        ("foreign", foreign),
        ("another room's", of_another_room),
        ("expired", expired),
        ("forged", forged),
    ];
    for (what, ticket) in tickets {
        assert_eq!(say_hello(&cluster, &path, Some(ticket), None).await.1, Some(CloseReason::BadTicket), "{what}");
    }
    // A copy of the token, after its owner came back with it and said something.
    let stolen = pilot.resume_token().unwrap().to_owned();
    pilot.rejoin(&cluster).await.unwrap();
    pilot.fly(Duration::from_millis(500)).await.unwrap();
    assert_eq!(say_hello(&cluster, &path, None, Some(stolen)).await.1, Some(CloseReason::Replaced));
    assert_eq!(pilot.fly(Duration::from_millis(200)).await.unwrap(), SocketState::Open, "its owner notices nothing");
    let grant = request_join(&cluster, &newark()).await.unwrap().unwrap();
    Pilot::join_with(&cluster, "Guest", grant).await.unwrap();
    cluster.shutdown().await;
}
