//! What the fleet takes on one machine: joins, warm and cold, the replay's hop, the proxy, the way to sleep.
//!
//! Path: the real lobby and gameserver behind the local Fly, without emulated latency → a pilot joins a sleeping machine,
//! leaves, and the machine sleeps again, [`JOINS`] times; then as many joins of a machine that is up; then plain requests
//! with and without the replay.
//! Invariants: a join counts from the question to the welcome; the boot that the local Fly emulates is told apart.
//! Never: Fly's own times, which nobody can know from here.

use crate::{
    report::{Aim, Figures, Progress},
    stopwatch::unix_time,
};
use anyhow::{Context, ensure};
use protocol::token::Key;
use rehearsal::{Cluster, ClusterConfig, Machine, Pilot, SECRET};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const JOINS: usize = 20;
const REQUESTS: usize = 200;
/// Connections that ask the proxy for the same file at once, and for how long.
const DOWNLOADS: usize = 8;
const DOWNLOAD_TIME: Duration = Duration::from_secs(3);
/// Longest until a machine sleeps: its rooms are empty for a second, then saved.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// The measurement.
pub(crate) fn run(progress: &Progress) -> anyhow::Result<Figures> {
    tokio::runtime::Runtime::new()?.block_on(measure(progress))
}

async fn measure(progress: &Progress) -> anyhow::Result<Figures> {
    let cluster = Cluster::start(&ClusterConfig { log: "error", ..ClusterConfig::default() }).await?;
    let mut figures = Figures::default();
    let (mut cold, mut asleep) = (Vec::new(), Vec::new());
    for number in 1..=JOINS {
        progress.say(&format!("fleet: cold join {number} of {JOINS}"));
        let (pilot, took) = join(&cluster).await?;
        cold.push(took);
        let id = pilot.grant.instance.clone();
        pilot.leave().await;
        asleep.push(ms(cluster.wait_for_state(&id, "stopped", SLEEP_MAX).await?));
    }
    let (host, _) = join(&cluster).await?;
    let mut warm = Vec::new();
    for number in 1..=JOINS {
        progress.say(&format!("fleet: warm join {number} of {JOINS}"));
        let (pilot, took) = join(&cluster).await?;
        warm.push(took);
        pilot.leave().await;
    }
    for (name, values) in [("join_cold", cold), ("join_warm", warm), ("last_socket_to_stopped", asleep)] {
        add_quantiles(&mut figures, name, values);
    }
    let settings: Value =
        serde_json::from_str(&cluster.request(reqwest::Method::GET, "/_fly/api/settings", None).await?.1)?;
    figures.add("emulated_boot_ms", settings["boot_ms"].as_f64().context("there is no boot_ms")?, Aim::None);
    progress.say("fleet: the replay's hop");
    let machine = cluster.machine(&host.grant.instance).await?;
    hop(&cluster, &machine, &mut figures).await?;
    progress.say("fleet: the proxy");
    figures.add("proxy_mb_per_s", throughput(&cluster, &host.grant.path).await?, Aim::None);
    figures.note(format!(
        "{JOINS} joins each, from the question to the welcome; rooms sleep after 1 s (30 s in production), which is part of \
         last_socket_to_stopped; hop: {REQUESTS} status requests through edge, lobby and replay, and straight to the \
         machine; proxy: {DOWNLOADS} connections download one file through the edge and a replay each time."
    ));
    cluster.shutdown().await;
    Ok(figures)
}

async fn join(cluster: &Cluster) -> anyhow::Result<(Pilot, f64)> {
    let began = Instant::now();
    let pilot = Pilot::join(cluster, "Guest", &json!({ "region": "ewr" })).await?;
    Ok((pilot, ms(began.elapsed())))
}

/// What a request costs more that goes through edge, lobby and replay than one to the machine itself.
async fn hop(cluster: &Cluster, machine: &Machine, figures: &mut Figures) -> anyhow::Result<()> {
    let (http, path) = (Client::new(), format!("/gameserver/{}/status", machine.id));
    let address = machine.address.context("the machine does not run")?;
    let state = Key::new(SECRET).expect("it is long enough").sign_replay(&machine.id, &path, unix_time().as_secs(), 0);
    let (mut through, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let answer = http.get(format!("{}{path}", cluster.url())).send().await?;
        ensure!(answer.status().is_success(), "the status was answered with {}", answer.status());
        answer.bytes().await?;
        through.push(ms(began.elapsed()));
        let began = Instant::now();
        let request = http.get(format!("http://{address}{path}"));
        let answer =
            request.header("fly-replay-src", format!("instance=x;region=ewr;t=1;state={state}")).send().await?;
        ensure!(answer.status().is_success(), "the machine itself answered with {}", answer.status());
        answer.bytes().await?;
        direct.push(ms(began.elapsed()));
    }
    add_quantiles(figures, "request_through_replay", through);
    add_quantiles(figures, "request_direct", direct);
    Ok(())
}

/// Megabytes a second of one file of the page, through the edge.
async fn throughput(cluster: &Cluster, path: &str) -> anyhow::Result<f64> {
    let (_, page) = cluster.request(reqwest::Method::GET, path, None).await?;
    let folder = path.rsplit_once('/').context("a path has a folder")?.0;
    let script = page.split('"').find(|text| text.ends_with(".js")).context("the page has no script")?;
    let name = script.rsplit_once('/').map_or(script, |(_, name)| name);
    let url = format!("{}{folder}/assets/{name}", cluster.url());
    let (http, began) = (Client::new(), Instant::now());
    let downloads = (0..DOWNLOADS).map(|_| async {
        let mut bytes = 0;
        while began.elapsed() < DOWNLOAD_TIME {
            bytes += http.get(&url).send().await?.error_for_status()?.bytes().await?.len();
        }
        anyhow::Ok(bytes)
    });
    let mut bytes = 0;
    for download in futures_util::future::join_all(downloads).await {
        bytes += download?;
    }
    Ok(bytes as f64 / began.elapsed().as_secs_f64() / 1e6)
}

fn add_quantiles(figures: &mut Figures, name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    for (quantile, share) in [("p50", 0.5), ("p95", 0.95)] {
        let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1;
        figures.add(format!("{name}_{quantile}_ms"), values[at], Aim::None);
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
