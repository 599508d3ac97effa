//! The life of machines, seen through the Machines API and the process table.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Local, answer, gone, runs};
use serde_json::json;

#[tokio::test]
async fn a_machine_is_shown_as_the_real_api_shows_it() {
    let local = Local::start().await;
    let (status, app) = local.get("/game").await;
    assert_eq!((status, &app["name"], &app["organization"]["slug"]), (200, &"game".into(), &"local".into()));
    let (_, list) = local.get("/game/machines").await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    let (_, stopped) = local.get("/game/machines?state=stopped&region=cdg,nrt").await;
    assert_eq!(stopped.as_array().unwrap().len(), 1);
    let machine = &stopped[0];
    let id = machine["id"].as_str().unwrap();
    assert!(id.len() == 14 && id.chars().all(|c| c.is_ascii_hexdigit()));
    assert_eq!((&machine["region"], &machine["state"]), (&"cdg".into(), &"stopped".into()));
    assert_eq!(machine["config"]["services"][0]["autostart"], true);
    assert_eq!(machine["config"]["restart"], json!({ "policy": "on-failure", "max_retries": 2 }));
    assert_eq!(machine["config"]["stop_config"], json!({ "signal": "SIGTERM", "timeout": "1s" }));
    assert_eq!(machine["events"][0]["type"], "launch");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn errors_have_the_real_apis_words() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let anonymous = local.http.get(format!("http://{}/v1/apps/game", local.fly.api()));
    assert_eq!(answer(anonymous).await, (401, json!({ "error": "Authenticate: token validation error" })));
    assert_eq!(local.get("/nobody/machines").await.0, 404);
    let (status, body) = local.post("/game/machines/gone/start").await;
    assert_eq!((status, body), (404, json!({ "error": "not_found: machine not found" })));
    let (status, body) = local.get(&format!("/game/machines/{id}/wait?state=started&timeout=1")).await;
    let words = "deadline_exceeded: machine failed to reach desired state, started, currently stopped";
    assert_eq!((status, body), (408, json!({ "error": words })));
    assert_eq!(local.get(&format!("/game/machines/{id}/wait?state=happy")).await.0, 400);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn start_and_stop_move_a_machine_through_its_states() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let (status, body) = local.post(&format!("/game/machines/{id}/start")).await;
    assert_eq!((status, &body["previous_state"]), (200, &"stopped".into()));
    local.wait_for(&id, "started").await;
    let (status, body) = local.post(&format!("/game/machines/{id}/start")).await;
    assert_eq!((status, &body["previous_state"]), (200, &"started".into()));

    let stop = local.api(reqwest::Method::POST, &format!("/game/machines/{id}/stop"));
    assert_eq!(answer(stop.json(&json!({ "signal": "SIGINT" }))).await.0, 200);
    local.wait_for(&id, "stopped").await;
    let (_, machine) = local.get(&format!("/game/machines/{id}")).await;
    assert_eq!(machine["events"][0]["request"]["exit_event"]["requested_stop"], true);
    assert_eq!(machine["events"][1]["status"], "stopping");
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_machine_that_ignores_its_signal_is_killed_after_the_grace() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let pid = local.seen("/", &format!("app=game;instance={id}")).await["pid"].as_u64().unwrap();
    local.ask("/deafen", &format!("app=game;instance={id}")).send().await.unwrap();
    let start = Instant::now();
    local.post(&format!("/game/machines/{id}/stop")).await;
    assert_eq!(local.post(&format!("/game/machines/{id}/start")).await.0, 412);
    local.wait_for(&id, "stopped").await;
    assert!(start.elapsed() >= Duration::from_millis(900), "the grace is a second: {:?}", start.elapsed());
    assert!(!runs(pid));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_clean_exit_leaves_it_stopped_until_the_next_request_wakes_it() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id}");
    let first = local.seen("/", &directive).await["pid"].clone();
    local.ask("/exit/0", &directive).send().await.unwrap();
    local.wait_for(&id, "stopped").await;
    let second = local.seen("/", &directive).await["pid"].clone();
    assert_ne!(first, second);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn a_failure_is_restarted_a_bounded_number_of_times() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id}");
    let mut pids = Vec::new();
    for _ in 0..3 {
        pids.push(local.seen("/", &directive).await["pid"].as_u64().unwrap());
        local.ask("/exit/3", &directive).send().await.unwrap();
        assert!(gone(*pids.last().unwrap()).await);
    }
    pids.dedup();
    assert_eq!(pids.len(), 3);
    local.wait_for(&id, "stopped").await;
    let (_, machine) = local.get(&format!("/game/machines/{id}")).await;
    let exit = &machine["events"][0]["request"];
    assert_eq!((&exit["exit_event"]["exit_code"], &exit["restart_count"]), (&3.into(), &2.into()));
    local.fly.shutdown().await;
}

#[tokio::test]
async fn the_environment_is_flys() {
    let local = Local::start().await;
    let id = local.game_machine("cdg").await;
    let game = local.seen("/", &format!("app=game;instance={id}")).await["env"].clone();
    for (name, value) in [
        ("FLY_APP_NAME", "game"),
        ("FLY_MACHINE_ID", &id),
        ("FLY_ALLOC_ID", &id),
        ("FLY_REGION", "cdg"),
        ("FLY_PROCESS_GROUP", "app"),
        ("PRIMARY_REGION", "ewr"),
        ("LOG_FORMAT", "text"),
        ("BIND", "127.0.0.1"),
    ] {
        assert_eq!(game[name], value, "{name}");
    }
    for name in ["FLY_PUBLIC_IP", "FLY_PRIVATE_IP", "FLY_IMAGE_REF", "FLY_MACHINE_VERSION", "FLY_VM_MEMORY_MB", "PORT"]
    {
        assert!(game[name].is_string(), "{name}");
    }
    assert!(game.get("FLY_API_TOKEN").is_none(), "machines hold no API token");
    let lobby = local.seen("/", "").await["env"].clone();
    assert_eq!(lobby["FLY_API_TOKEN"], local.fly.token());
    assert_eq!(lobby["FLY_API_HOSTNAME"], format!("http://{}", local.fly.api()));
    assert_eq!(lobby["PUBLIC_URL"], format!("http://{}", local.fly.edge()));
    assert_eq!(lobby["AERODROME_SECRET"], game["AERODROME_SECRET"]);
    local.fly.shutdown().await;
}

#[tokio::test]
async fn nobody_wakes_a_machine_while_the_fleet_ends() {
    let local = Local::start().await;
    let id = local.game_machine("ewr").await;
    let directive = format!("app=game;instance={id};timeout=5s");
    local.seen("/", &directive).await;
    local.ask("/deafen", &directive).send().await.unwrap();
    // While the deaf machine uses up its grace, a request asks for the one that sleeps.
    let sleeper = local.game_machine("cdg").await;
    let url = format!("http://{}/v1/apps/game/machines/{sleeper}/start", local.fly.api());
    let start = local.http.post(url).bearer_auth(local.fly.token());
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        start.send().await.map(|response| response.status().as_u16())
    });
    local.fly.shutdown().await;
    assert_eq!(late.await.unwrap().unwrap(), 500);
}

#[tokio::test]
async fn shutdown_leaves_no_child_and_dropping_leaves_none_either() {
    for graceful in [true, false] {
        let local = Local::start().await;
        let id = local.game_machine("ewr").await;
        let lobby = local.seen("/", "").await["pid"].as_u64().unwrap();
        let game = local.seen("/", &format!("app=game;instance={id}")).await["pid"].as_u64().unwrap();
        if graceful {
            local.fly.shutdown().await;
            assert!(!runs(lobby) && !runs(game));
        } else {
            drop(local);
            assert!(gone(lobby).await && gone(game).await);
        }
    }
}

#[tokio::test]
async fn a_port_in_use_gets_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut config = crate::support::config();
    config.port = port;
    let error = fly_local::FlyLocal::start(config).await.unwrap_err().to_string();
    let other = port.checked_add(1).unwrap_or(port - 1);
    let expected =
        format!("Port {port} is in use by another program. Stop it, or choose another one: make run PORT={other}");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_missing_program_gets_a_sentence() {
    let config = crate::support::config();
    std::fs::remove_file(config.bin_dir.as_ref().unwrap().join("gameserver")).unwrap();
    let error = fly_local::FlyLocal::start(config).await.unwrap_err().to_string();
    assert!(error.starts_with("The program `gameserver` is missing from "), "{error}");
}

#[tokio::test]
async fn a_lobby_that_fails_at_once_is_told_at_once() {
    let config = crate::support::config();
    let lobby = config.bin_dir.as_ref().unwrap().join("lobby");
    std::fs::remove_file(&lobby).unwrap();
    std::os::unix::fs::symlink("/bin/false", lobby).unwrap();
    let fly = fly_local::FlyLocal::start(config).await.unwrap();
    let start = Instant::now();
    let error = fly.ready(crate::support::PATIENCE).await.unwrap_err().to_string();
    assert!(error.starts_with("The lobby stopped while it was starting."), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    fly.shutdown().await;
}

/// The program itself: what it prints, and that its children end with it, however it ends.
#[tokio::test]
async fn children_end_with_the_program_even_if_it_is_killed() {
    for (signal, clean) in [("-TERM", true), ("-KILL", false)] {
        let config = crate::support::config();
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let mut fly = Command::new(env!("CARGO_BIN_EXE_fly-local"))
            .args(["--port", "0", "--api-port", "0", "--latency", "off", "--bin-dir"])
            .arg(config.bin_dir.as_ref().unwrap())
            .args(["--lobby-config", &path(&config.lobby_config), "--game-config", &path(&config.game_config)])
            .args(["--fleet", &path(&config.fleet), "--regions", &path(&config.regions)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(fly.stdout.take().unwrap()).lines();
        let ready =
            lines.map_while(Result::ok).find_map(|line| line.strip_prefix("Aerodrome is ready: ").map(str::to_owned));
        let seen =
            crate::support::seen(reqwest::Client::builder().no_proxy().build().unwrap().get(ready.unwrap())).await;
        let lobby = seen["pid"].as_u64().unwrap();
        assert!(runs(lobby));
        Command::new("kill").args([signal, &fly.id().to_string()]).status().unwrap();
        assert_eq!(fly.wait().unwrap().success(), clean);
        assert!(gone(lobby).await, "{signal}");
    }
}
