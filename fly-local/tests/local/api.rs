//! Apps and machines made, changed and taken away through the API.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Local, PATIENCE, answer, gone, runs, service};

fn config(env: &str) -> Value {
    json!({ "image": "registry.fly.io/game:v2", "env": { "COLOUR": env }, "services": [service()] })
}

#[tokio::test]
async fn a_created_machine_boots_and_serves_like_those_of_the_fleet() {
    let local = Local::start_with(|config| config.settings.create_ms = 200).await;
    let body = json!({ "name": "extra", "region": "nrt", "config": config("red"), "lease_ttl": 1 });
    let (status, made) = local.send(Method::POST, "/game/machines", &body).await;
    assert_eq!((status, &made["state"], &made["region"]), (200, &"created".into(), &"nrt".into()), "{made}");
    assert_eq!(made["image_ref"]["tag"], "v2");
    assert!(made["nonce"].is_string());
    let id = made["id"].as_str().unwrap();
    assert_eq!(id.len(), 14);
    let early = local.api(Method::POST, &format!("/game/machines/{id}/start"));
    let early = early.header("fly-machine-lease-nonce", made["nonce"].as_str().unwrap());
    let words = "failed_precondition: unable to start machine from current state: 'created'";
    assert_eq!(answer(early).await, (412, json!({ "error": words })));
    local.wait_for(id, "started").await;
    let seen = local.seen("/", &format!("app=game;instance={id}")).await;
    assert_eq!((&seen["env"]["COLOUR"], &seen["env"]["FLY_REGION"]), (&"red".into(), &"nrt".into()));
    assert_eq!(seen["env"]["FLY_IMAGE_REF"], "registry.fly.io/game:v2");
    assert_eq!(local.get("/game/machines").await.1.as_array().unwrap().len(), 3);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn without_a_launch_it_settles_in_stopped_or_stays_created() {
    let local = Local::start_with(|config| config.settings.create_ms = 200).await;
    let body = json!({ "region": "ewr", "config": config("red"), "skip_launch": true });
    let (_, made) = local.send(Method::POST, "/game/machines", &body).await;
    assert!(!made["name"].as_str().unwrap().is_empty());
    let id = made["id"].as_str().unwrap();
    assert_eq!(local.post(&format!("/game/machines/{id}/start")).await.0, 412);
    local.wait_for(id, "stopped").await;
    assert_eq!(local.post(&format!("/game/machines/{id}/start")).await.0, 200);

    local.set(json!({ "created_settles": "off" })).await;
    let (_, made) = local.send(Method::POST, "/game/machines", &body).await;
    let id = made["id"].as_str().unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(local.state(id).await, "created");
    assert_eq!(local.post(&format!("/game/machines/{id}/start")).await.1["previous_state"], "created");
    local.wait_for(id, "started").await;
    local.fly.shutdown().await;
}

#[tokio::test]
async fn what_happens_to_a_new_machine_before_it_is_ready_counts() {
    let local = Local::start_with(|config| config.settings.create_ms = 400).await;
    let body = json!({ "region": "ewr", "config": config("red") });
    let (_, made) = local.send(Method::POST, "/game/machines", &body).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        local.send(Method::POST, &format!("/game/machines/{id}"), &json!({ "config": config("blue") })).await.0,
        200
    );
    local.wait_for(id, "started").await;
    assert_eq!(local.seen("/", &format!("app=game;instance={id}")).await["env"]["COLOUR"], "blue");

    let (_, made) = local.send(Method::POST, "/game/machines", &body).await;
    let id = made["id"].as_str().unwrap();
    local.post(&format!("/game/machines/{id}/stop")).await;
    local.wait_for(id, "stopped").await;
    assert_eq!(local.get(&format!("/game/machines/{id}")).await.1["events"].as_array().unwrap().len(), 2);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn provisioning_can_begin_with_nothing() {
    let local = Local::start_with(|config| {
        std::fs::write(&config.fleet, "").unwrap();
        config.api_token = Some("known".into());
    })
    .await;
    assert_eq!(local.fly.token(), "known", "whoever provisions must know it");
    assert_eq!(local.get("/game/machines").await, (200, json!([])));
    let id = local.make(json!({ "config": config("red") })).await;
    assert_eq!(local.seen("/", "app=game").await["machine"], id.as_str());
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_bad_creation_is_told_what_is_wrong() {
    let local = Local::start_with(|config| config.settings.machines_max = 4).await;
    for (body, field) in [
        (json!({}), "config"),
        (json!({ "config": {} }), "image"),
        (json!({ "config": { "image": "x", "guest": { "memory_mb": "1gb" } } }), "config.guest.memory_mb"),
        (json!({ "config": config("red"), "region": "mars" }), "region: there is no region `mars`"),
    ] {
        let (status, error) = local.send(Method::POST, "/game/machines", &body).await;
        assert_eq!(status, 400, "{body}");
        let text = error["error"].as_str().unwrap();
        assert!(text.starts_with("invalid_argument: ") && text.contains(field), "{text}");
    }
    let named = json!({ "name": "one", "config": config("red"), "region": "ewr" });
    let (_, first) = local.send(Method::POST, "/game/machines", &named).await;
    let (status, error) = local.send(Method::POST, "/game/machines", &named).await;
    let id = first["id"].as_str().unwrap();
    let words = format!("unique machine name violation, machine ID {id} already exists with name \"one\"");
    assert_eq!((status, error), (409, json!({ "error": format!("already_exists: {words}") })));
    let (status, error) = local.send(Method::POST, "/game/machines", &json!({ "config": config("red") })).await;
    assert_eq!(status, 422);
    assert!(error["error"].as_str().unwrap().starts_with("Your organization has reached its machine limit"), "{error}");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_region_may_be_a_list_or_an_alias_and_the_first_with_room_wins() {
    let local = Local::start().await;
    local.fault(json!({ "regions_full": ["ewr", "iad"] })).await;
    let make = |region: &str| json!({ "region": region, "config": config("red"), "skip_launch": true });
    let (status, error) = local.send(Method::POST, "/game/machines", &make("ewr")).await;
    let full = json!({ "error": "could not find a candidate host", "status": "insufficient_capacity" });
    assert_eq!((status, error), (422, full));
    // Without a region it would be the edge's.
    assert_eq!(local.send(Method::POST, "/game/machines", &json!({ "config": config("red") })).await.0, 422);
    for (wanted, got) in [("ewr,cdg", "cdg"), ("iad,eu", "lhr"), ("nrt", "nrt")] {
        let (status, made) = local.send(Method::POST, "/game/machines", &make(wanted)).await;
        assert_eq!(status, 200);
        let region = made["region"].as_str().unwrap();
        assert!(region == got || wanted.ends_with("eu"), "{wanted} gave {region}");
        assert!(!["ewr", "iad"].contains(&region));
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_list_is_filtered_by_state_region_and_metadata() {
    let local = Local::start().await;
    let mut marked = config("red");
    marked["metadata"] = json!({ "pool": "blue", "fly_process_group": "game" });
    let body = json!({ "region": "cdg", "config": marked, "skip_launch": true });
    let (_, made) = local.send(Method::POST, "/game/machines", &body).await;
    let id = made["id"].as_str().unwrap();
    local.wait_for(id, "stopped").await;
    let count = async |query: &str| local.get(&format!("/game/machines?{query}")).await.1.as_array().unwrap().len();
    assert_eq!(count("").await, 3);
    assert_eq!(count("metadata.pool=blue").await, 1);
    assert_eq!(count("metadata.pool=red").await, 0);
    assert_eq!(count("region=cdg&state=stopped").await, 2);
    assert_eq!(count("region=ewr,cdg&state=started,suspended").await, 0);
    let (_, summary) = local.get("/game/machines?summary=true&region=cdg").await;
    for machine in summary.as_array().unwrap() {
        assert!(machine["state"].is_string());
        assert!(["config", "events", "checks", "host_status"].iter().all(|name| machine.get(name).is_none()));
    }
    local.delete(&format!("/game/machines/{id}?force=true")).await;
    local.wait_for(id, "destroyed").await;
    local.set(json!({ "destroyed_shows_ms": 0 })).await;
    assert_eq!((count("").await, count("include_deleted=true").await), (2, 3));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn an_update_restarts_what_runs_and_leaves_the_rest_stopped() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    let (_, before) = local.get(&path).await;
    local.set(json!({ "replace_ms": 300 })).await;
    let (status, updated) = local.send(Method::POST, &path, &json!({ "config": config("red") })).await;
    assert_eq!((status, &updated["state"]), (200, &"replacing".into()));
    assert_ne!(updated["instance_id"], before["instance_id"]);
    let words = "failed_precondition: machine getting replaced, refusing to start";
    assert_eq!(local.post(&format!("{path}/start")).await, (412, json!({ "error": words })));
    local.wait_for(&id, "stopped").await;

    let directive = format!("app=game;instance={id}");
    let red = local.seen("/", &directive).await;
    assert_eq!(red["env"]["COLOUR"], "red");
    let guarded = json!({ "config": config("blue"), "current_version": before["instance_id"] });
    let conflict = json!({ "error": "aborted: machine update failed due to concurrent update" });
    assert_eq!(local.send(Method::POST, &path, &guarded).await, (409, conflict));
    let guarded = json!({ "config": config("blue"), "current_version": updated["instance_id"] });
    assert_eq!(local.send(Method::POST, &path, &guarded).await.0, 200);
    local.wait_for(&id, "started").await;
    let blue = local.seen("/", &directive).await;
    assert_eq!(blue["env"]["COLOUR"], "blue");
    assert_ne!(red["pid"], blue["pid"]);
    assert_ne!(red["env"]["FLY_MACHINE_VERSION"], blue["env"]["FLY_MACHINE_VERSION"]);

    let unlaunched = json!({ "config": config("green"), "skip_launch": true });
    local.send(Method::POST, &path, &unlaunched).await;
    local.wait_for(&id, "stopped").await;
    for fixed in ["name", "region"] {
        let mut other = unlaunched.clone();
        other[fixed] = "other".into();
        let (status, error) = local.send(Method::POST, &path, &other).await;
        assert_eq!(status, 400);
        assert!(error["error"].as_str().unwrap().contains(fixed), "{error}");
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_machine_that_runs_is_destroyed_only_by_force_and_is_then_gone() {
    let local = Local::start_with(|config| config.settings.destroyed_shows_ms = 700).await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    let pid = local.seen("/", &format!("app=game;instance={id}")).await["pid"].as_u64().unwrap();
    let words = "failed_precondition: unable to destroy machine, not currently stopped, suspended, failed or created";
    assert_eq!(local.delete(&path).await, (412, json!({ "error": words })));
    assert!(runs(pid));
    assert_eq!(local.delete(&format!("{path}?kill=true")).await, (200, json!({ "ok": true })));
    local.wait_for(&id, "destroyed").await;
    assert!(gone(pid).await);
    assert_eq!(local.state(&id).await, "destroyed");
    let words = "failed_precondition: unable to start machine from current state: 'destroyed'";
    assert_eq!(local.post(&format!("{path}/start")).await, (412, json!({ "error": words })));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(local.get(&path).await, (404, json!({ "error": "not_found: machine not found" })));
    let response = local.ask("/", &format!("app=game;instance={id}")).send().await.unwrap();
    assert_eq!(response.status(), 503, "nor is it reached");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn an_app_can_be_made_and_runs_what_its_image_names() {
    let local = Local::start().await;
    let (status, made) = local.send(Method::POST, "", &json!({ "app_name": "third", "network": "apart" })).await;
    assert_eq!((status, &made["id"]), (201, &"third".into()));
    let taken = json!({ "error": "Validation failed: Name has already been taken", "status": "name_taken" });
    assert_eq!(local.send(Method::POST, "", &json!({ "name": "third" })).await, (422, taken));
    assert_eq!(local.send(Method::POST, "", &json!({ "name": "no good" })).await.0, 400);
    assert_eq!(local.get("/third").await.1["network"], "apart");
    let (_, all) = local.get("?org_slug=local").await;
    assert_eq!((&all["total_apps"], all["apps"].as_array().unwrap().len()), (&3.into(), 3));

    let (status, error) = local.send(Method::POST, "/third/machines", &json!({ "config": { "image": "nginx" } })).await;
    assert_eq!((status, error["error"].as_str().unwrap().contains("nginx")), (400, true));
    let (_, machine) = local.send(Method::POST, "/third/machines", &json!({ "config": config("red") })).await;
    let id = machine["id"].as_str().unwrap();
    let path = format!("/third/machines/{id}");
    assert_eq!(local.get(&format!("{path}/wait?state=started")).await.0, 200);
    assert_eq!(local.delete("/third").await.0, 412);
    assert_eq!(local.delete("/third?force=true").await.0, 202);
    assert_eq!(local.get("/third").await, (404, json!({ "error": "not_found: app not found" })));
    assert_eq!(local.get(&path).await.0, 404);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn metadata_changes_without_a_new_version() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    let version = local.get(&path).await.1["instance_id"].clone();
    for (method, metadata) in
        [(Method::PUT, json!({ "a": "1", "b": "2" })), (Method::PATCH, json!({ "b": null, "c": "" }))]
    {
        let body = json!({ "metadata": metadata, "machine_version": version });
        assert_eq!(local.send(method, &format!("{path}/metadata"), &body).await, (204, Value::Null));
    }
    assert_eq!(local.send(Method::POST, &format!("{path}/metadata/d"), &json!({ "value": "4" })).await.0, 204);
    let (_, all) = local.get(&format!("{path}/metadata")).await;
    assert_eq!((&all["a"], all.get("b"), all.get("c"), &all["d"]), (&"1".into(), None, None, &"4".into()));
    assert_eq!(local.get(&format!("{path}/metadata/d")).await, (200, json!({ "value": "4" })));
    assert_eq!(local.delete(&format!("{path}/metadata/d")).await.0, 204);
    assert_eq!(local.get(&format!("{path}/metadata/d")).await.0, 404);
    let late = json!({ "metadata": {}, "machine_version": "older" });
    assert_eq!(local.send(Method::PATCH, &format!("{path}/metadata"), &late).await.0, 412);
    assert_eq!(local.send(Method::PATCH, &format!("{path}/metadata"), &json!({ "metadata": 1 })).await.0, 400);
    let (_, machine) = local.get(&path).await;
    assert_eq!((&machine["instance_id"], &machine["config"]["metadata"]["a"]), (&version, &"1".into()));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_lease_keeps_everybody_else_from_changing_the_machine() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let path = format!("/game/machines/{id}");
    assert_eq!(local.get(&format!("{path}/lease")).await.0, 404);
    let wanted = json!({ "ttl": 30, "description": "deploying" });
    let (status, taken) = local.send(Method::POST, &format!("{path}/lease"), &wanted).await;
    assert_eq!(
        (status, &taken["status"], &taken["data"]["description"]),
        (201, &"success".into(), &"deploying".into())
    );
    let nonce = taken["data"]["nonce"].as_str().unwrap();
    assert_eq!(local.get(&format!("{path}/lease")).await.1["data"]["nonce"], nonce);

    for (method, end) in [
        (Method::POST, "/start"),
        (Method::POST, "/stop"),
        (Method::POST, "/suspend"),
        (Method::POST, "/restart"),
        (Method::POST, "/cordon"),
        (Method::POST, "/lease"),
        (Method::POST, ""),
        (Method::DELETE, ""),
        (Method::DELETE, "/lease"),
    ] {
        let (status, error) = local.send(method, &format!("{path}{end}"), &json!({ "config": config("red") })).await;
        assert_eq!((status, &error["status"], &error["code"]), (409, &"error".into(), &"invalid".into()), "{end}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("machine ID {id} lease currently held by ")), "{message}");
        assert!(message.contains(", expires at 20"), "{message}");
    }
    let metadata = json!({ "metadata": { "a": "1" } });
    assert_eq!(local.send(Method::PATCH, &format!("{path}/metadata"), &metadata).await.0, 204, "it is not guarded");
    // The edge is somebody else, too.
    let replay = local.ask("/", &format!("app=game;instance={id};timeout=300ms;fallback=force_self"));
    assert!(crate::support::seen(replay).await["headers"]["fly-replay-failed"].is_string());

    let holder = |method: Method, end: &str| {
        answer(local.api(method, &format!("{path}{end}")).header("fly-machine-lease-nonce", nonce))
    };
    assert_eq!(holder(Method::POST, "/start").await.0, 200);
    let (status, again) = holder(Method::POST, "/lease?ttl=1").await;
    assert_eq!((status, &again["data"]["nonce"]), (201, &nonce.into()), "refreshed");
    assert_eq!(holder(Method::DELETE, "/lease").await.0, 200);
    assert_eq!(local.post(&format!("{path}/cordon")).await.0, 200);

    local.post(&format!("{path}/lease?ttl=1")).await;
    assert_eq!(local.post(&format!("{path}/stop")).await.0, 409);
    let start = std::time::Instant::now();
    while local.post(&format!("{path}/stop")).await.0 == 409 {
        assert!(start.elapsed() < PATIENCE, "a lease ends by itself");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    local.fly.shutdown().await;
}

#[tokio::test]
async fn who_asks_too_often_is_refused() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    local.set(json!({ "rate_limits": "on" })).await;
    let path = format!("/game/machines/{id}/start");
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(local.post(&path).await.0);
    }
    assert_eq!(statuses[..3].iter().filter(|status| **status == 429).count(), 0, "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    let refused = local.post(&path).await;
    assert_eq!(refused, (429, json!({ "error": "rate limit exceeded" })));
    for _ in 0..8 {
        assert_eq!(local.get(&format!("/game/machines/{id}")).await.0, 200);
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(local.post(&path).await.0, 200);
    local.fly.shutdown().await;
}
