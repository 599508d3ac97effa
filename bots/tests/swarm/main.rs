//! The program as a person starts it, against a real room behind a small stand-in for lobby and gameserver.

#![allow(clippy::unwrap_used, reason = "clippy's own exception covers test functions, not what they call")]

mod stand_in;

use serde_json::Value;
use stand_in::{INSTANCE, LobbyMode, SECRET, StandIn};
use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// No run of these tests is longer.
const RUN_MAX: Duration = Duration::from_secs(40);

fn bots(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bots"));
    command.args(words.split_whitespace()).env_remove("AERODROME_SECRET").kill_on_drop(true);
    command
}

async fn run(command: &mut Command) -> Output {
    timeout(RUN_MAX, command.output()).await.expect("the run ends in time").unwrap()
}

fn json_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}.json", std::process::id()))
}

fn read_and_remove(path: &PathBuf) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Five bots flew faultlessly.
fn assert_is_fine(report: &Value) {
    let names: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names.join(" "),
        "bytes_per_player_per_s checksum_mismatches decode_errors disconnects frame_interval_ms frames \
         input_to_state_ms joined picture_older_than players seconds"
    );
    for (name, value) in
        [("players", 5), ("joined", 5), ("disconnects", 0), ("decode_errors", 0), ("checksum_mismatches", 0)]
    {
        assert_eq!(report[name], value, "{name} in {report}");
    }
    assert!(report["frames"].as_u64().unwrap() > 100, "{report}");
    assert!(report["bytes_per_player_per_s"].as_f64().unwrap() > 100.0, "{report}");
    for name in ["p50", "p99"] {
        assert!(report["frame_interval_ms"][name].as_f64().unwrap() > 1.0, "{report}");
        assert!(report["input_to_state_ms"][name].as_f64().unwrap() > 1.0, "{report}");
    }
    assert!(report["frame_interval_ms"]["max"].is_f64());
    for age in ["100_ms", "250_ms", "1000_ms"] {
        assert!((0.0..1.0).contains(&report["picture_older_than"][age].as_f64().unwrap()), "{report}");
    }
}

/// Whoever only closed the tab is resumed; both is no disconnect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bots_that_stay_for_a_while_come_back() {
    let stand_in = StandIn::start(LobbyMode::Normal).await;
    let file = json_file("stay");
    let words = format!("--lobby {} --players 5 --seconds 5 --stay 1 --json {}", stand_in.url(), file.display());
    let output = run(&mut bots(&words)).await;
    assert!(output.status.success(), "{}", printed(&output));
    let report = read_and_remove(&file);
    assert_eq!((&report["joined"], &report["disconnects"]), (&Value::from(5), &Value::from(0)), "{report}");
    assert!(stand_in.join_bodies().len() >= 10, "each came twice at least");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_bots_join_through_the_lobby_fly_and_leave() {
    let stand_in = StandIn::start(LobbyMode::Normal).await;
    let file = json_file("lobby");
    let words = format!("--lobby {} --players 5 --seconds 3 --json {}", stand_in.url(), file.display());
    let output = run(&mut bots(&words)).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains("players in                   5 of 5"), "{}", printed(&output));
    assert_is_fine(&read_and_remove(&file));
    assert_eq!(stand_in.goodbyes().await, 5);
    assert_eq!(
        stand_in.join_bodies(),
        vec![r#"{"kind":"arena","region":"cdg"}"#; 5],
        "the first of the board that has room"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_talk_in_a_lounge_and_read_what_they_say() {
    let stand_in = StandIn::start(LobbyMode::Normal).await;
    let file = json_file("lounge");
    let words = format!("--lobby {} --kind lounge --players 5 --seconds 8 --say-every 2", stand_in.url());
    let output = run(&mut bots(&format!("{words} --json {}", file.display()))).await;
    assert!(output.status.success(), "{}", printed(&output));
    let report = read_and_remove(&file);
    for (name, value) in [("joined", 5), ("disconnects", 0), ("decode_errors", 0), ("lines_declined", 0)] {
        assert_eq!(report[name], value, "{name} in {report}");
    }
    let [said, read] = ["lines_said", "lines_read"].map(|name| report[name].as_u64().unwrap());
    assert!((5..=40).contains(&said) && read > 3 * said, "{report}");
    let delay = report["said_to_read_ms"]["p50"].as_f64().unwrap();
    assert!(delay < 2_000.0, "the next beat tells it: {report}");
    assert_eq!(stand_in.join_bodies(), vec![r#"{"kind":"lounge","region":"cdg"}"#; 5]);
    assert_eq!((stand_in.goodbyes().await, stand_in.addresses()), (5, vec!["127.0.0.1".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mix_comes_from_several_addresses_and_tells_of_each_kind() {
    let stand_in = StandIn::start(LobbyMode::Normal).await;
    let file = json_file("mix");
    let words = format!("--lobby {} --mix arena=3,lounge=200 --seconds 2 --json {}", stand_in.url(), file.display());
    let output = run(&mut bots(&words)).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains("lounge\nplayers in                   200 of 200"), "{}", printed(&output));
    let report = read_and_remove(&file);
    assert_eq!((&report["arena"]["joined"], &report["lounge"]["joined"]), (&3.into(), &200.into()), "{report}");
    assert_eq!((&report["arena"]["disconnects"], &report["lounge"]["disconnects"]), (&0.into(), &0.into()), "{report}");
    assert!(report["arena"]["frames"].as_u64().unwrap() > 50 && report["lounge"]["lines_declined"] == 0, "{report}");
    assert_eq!(stand_in.addresses(), ["127.0.0.1", "127.0.0.2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn straight_to_a_gameserver_they_sign_for_themselves() {
    let stand_in = StandIn::start(LobbyMode::Normal).await;
    let file = json_file("direct");
    let url = stand_in.url();
    let words =
        format!("--direct {url} --instance {INSTANCE} --players 5 --seconds 2 --quiet --json {}", file.display());
    let output = run(bots(&words).env("AERODROME_SECRET", SECRET)).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert_is_fine(&read_and_remove(&file));
    assert!(stand_in.join_bodies().is_empty(), "no lobby was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lobby_that_asks_to_wait_is_obeyed() {
    let stand_in = StandIn::start(LobbyMode::Busy).await;
    let output =
        run(&mut bots(&format!("--lobby {} --instance {INSTANCE} --players 3 --seconds 1", stand_in.url()))).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains("3 of 3"), "{}", printed(&output));
    assert_eq!(printed(&output).matches("Too many joins came").count(), 1, "{}", printed(&output));
    assert!(stand_in.join_bodies().iter().all(|body| body.contains(INSTANCE)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_bot_gets_in_the_lobbys_reason_is_printed() {
    let stand_in = StandIn::start(LobbyMode::Refusing).await;
    let output = run(&mut bots(&format!("--lobby {} --region xyz --players 2 --seconds 1", stand_in.url()))).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("2 × There is no region"), "{}", printed(&output));
    assert!(printed(&output).contains("Nobody could join."), "{}", printed(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_socket_is_counted_and_replaced() {
    let stand_in = StandIn::start(LobbyMode::Normal).await;
    let file = json_file("lost");
    let words = format!("--lobby {} --players 5 --seconds 4 --json {}", stand_in.url(), file.display());
    let mut command = bots(&words);
    let (output, ()) = tokio::join!(run(&mut command), async {
        stand_in.wait_for_players(5).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        stand_in.cut_one();
    });
    assert!(output.status.success(), "{}", printed(&output));
    let report = read_and_remove(&file);
    assert_eq!((&report["joined"], &report["disconnects"]), (&5.into(), &1.into()), "{report}");
    assert_eq!(report["checksum_mismatches"], 0);
    assert_eq!(stand_in.join_bodies().len(), 6);
    assert_eq!(stand_in.goodbyes().await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_early_and_still_reports() {
    let stand_in = StandIn::start(LobbyMode::Normal).await;
    let mut command = bots(&format!("--lobby {} --players 2 --seconds 600", stand_in.url()));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    stand_in.wait_for_players(2).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let id = child.id().expect("it still runs").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let output = timeout(RUN_MAX, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains("2 of 2"), "{}", printed(&output));
    assert_eq!(stand_in.goodbyes().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_lobby_is_said_plainly() {
    // Bound and not listening, it refuses everybody and stays ours.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let output = run(&mut bots(&format!("--lobby http://127.0.0.1:{port} --players 1 --seconds 1"))).await;
    assert_eq!(output.status.code(), Some(1));
    let sentence = format!("Nothing answers at http://127.0.0.1:{port}; is `make run` running?\n");
    assert_eq!(printed(&output), sentence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_arguments_exit_with_2() {
    for words in [
        "--players 5 --seconds 3",
        "--lobby http://127.0.0.1:1 --players 0 --seconds 3",
        "--direct http://127.0.0.1:1 --instance m1 --players 1 --seconds 1",
    ] {
        let output = run(&mut bots(words)).await;
        assert_eq!(output.status.code(), Some(2), "{words}: {}", printed(&output));
    }
}
