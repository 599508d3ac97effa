//! Whether memory grows: an hour of bots that come, talk, go and come back, on the programs as people run them.
//!
//! Path: [`run`] starts the local Fly of this program's folder, which starts lobby and gameservers, and the bots → every
//! 10 s the memory of each process, also as lines of a file → the least of each tenth of the time after the warm-up → a
//! line through these, its slope and the slope's error.
//! Invariants: every process is one of its own, so what grows is somebody's; a machine that slept for a part of the time
//! has no slope; what was started is ended.
//! Why the least: what is under way comes and goes by megabytes on a busy machine; what was left behind stays.

use crate::{
    line::slope,
    report::{Aim, Figures, Progress},
    serve,
};
use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{
    process::{Child, Command},
    time::{interval, sleep, timeout},
};

const BOTS_COUNT: u32 = 300;
/// Of the arena: all are in one, since between machines they would go to and fro, and memory with them.
const PLACES_COUNT: u32 = 400;
/// How long a bot stays: 2.5 joins a second, half of what the lobby allows one address.
const STAY_S: u32 = 120;
/// Longest a program may run. Policy: none comes near.
const RUN_MAX_S: u32 = 24 * 60 * 60;
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// Pools, caches and histories fill up in this time, which does not count; of short runs a sixth.
const WARM_UP: Duration = Duration::from_secs(600);
/// The least of each is a point of the line.
const PARTS_COUNT: usize = 10;
/// Policy: the command fails, unless twice the slope's error is more than it is above this.
const GROWTH_MAX_KB_PER_HOUR: f64 = 100.0;
/// Until the local Fly says where it is, and until a program that was told to end has ended. Policy: the measurement fails.
const READY_MAX: Duration = Duration::from_secs(60);
const END_MAX: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// What the local Fly prints before its address.
const READY: &str = "Aerodrome is ready: ";

/// Measures for so many minutes.
///
/// # Errors
/// When a program is missing, does not start, or ends.
pub(crate) fn run(progress: &Progress, minutes: u32) -> anyhow::Result<Figures> {
    tokio::runtime::Runtime::new()?.block_on(measure(progress, Duration::from_secs(60) * minutes))
}

async fn measure(progress: &Progress, time: Duration) -> anyhow::Result<Figures> {
    let programs = std::env::current_exe()?.parent().context("this program lies nowhere")?.to_owned();
    let folder = programs.with_file_name("soak");
    fs::create_dir_all(&folder)?;
    let kinds = serve::kinds(|arena| (arena.members, arena.sockets_per_address) = (PLACES_COUNT, PLACES_COUNT));
    let words = ["--port", "0", "--api-port", "0"];
    let mut fly = Program::start(&programs, &folder, "fly-local", &words, &[("KINDS", &kinds)])?;
    let url = fly.address().await?;
    let (count, stay, most) = (BOTS_COUNT.to_string(), STAY_S.to_string(), RUN_MAX_S.to_string());
    let report = folder.join("bots.json");
    let json = report.to_str().context("the folder's name is no text")?;
    let words = ["--lobby", &url, "--region", "ewr", "--players", &count, "--stay", &stay, "--seconds", &most];
    let mut bots =
        Program::start(&programs, &folder, "bots", &[&words[..], &["--quiet", "--json", json]].concat(), &[])?;
    let mut samples = File::create(folder.join("samples.csv"))?;
    writeln!(samples, "seconds,process,pid,{}", FIELDS.map(|(_, name)| name).join(","))?;

    let (mut all, began, mut timer) = (Vec::<Watched>::new(), Instant::now(), interval(SAMPLE_INTERVAL));
    while began.elapsed() < time {
        timer.tick().await;
        progress.say(&format!("soak: minute {} of {}", began.elapsed().as_secs() / 60, time.as_secs() / 60));
        let own = [fly.id()?, bots.id()?];
        for pid in own.into_iter().chain(machines(&url).await?) {
            look(&mut all, pid, began.elapsed().as_secs_f64(), &mut samples)?;
        }
    }
    bots.end(Signal::SIGINT).await?;
    fly.end(Signal::SIGTERM).await?;
    let mut figures = figures(&all, time.as_secs_f64());
    let bots: Value = serde_json::from_str(&fs::read_to_string(report)?)?;
    for key in ["joined", "disconnects", "checksum_mismatches"] {
        figures.add(key, bots[key].as_f64().context("the bots' report reads differently")?, Aim::None);
    }
    Ok(figures)
}

/// A program that this one started; it ends with it.
struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// What it prints goes into a file.
    fn start(
        programs: &Path,
        folder: &Path,
        name: &'static str,
        words: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let log = folder.join(name).with_extension("log");
        let output = File::create(&log)?;
        let child = Command::new(programs.join(name))
            .args(words)
            .envs(variables.iter().copied())
            // Its configuration is in files of the repository.
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} does not start: it is built with `cargo build --release -p {name}`"))?;
        Ok(Self { name, child, log })
    }

    /// What it says of where it is.
    async fn address(&mut self) -> anyhow::Result<String> {
        let began = Instant::now();
        while began.elapsed() < READY_MAX {
            self.id()?;
            let said = fs::read_to_string(&self.log)?;
            if let Some(address) = said.lines().find_map(|line| line.strip_prefix(READY)) {
                return Ok(address.to_owned());
            }
            sleep(LOOK_INTERVAL).await;
        }
        bail!("{} does not get ready, see {}", self.name, self.log.display())
    }

    /// Its process, if that has not ended.
    fn id(&mut self) -> anyhow::Result<u32> {
        let ended = self.child.try_wait()?;
        let id = self.child.id().filter(|_| ended.is_none());
        id.with_context(|| format!("{} has ended, see {}", self.name, self.log.display()))
    }

    /// In an orderly way.
    async fn end(mut self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.id()? as i32), signal)?;
        let status = timeout(END_MAX, self.child.wait()).await.context("it does not end")??;
        ensure!(status.success(), "{} failed, see {}", self.name, self.log.display());
        Ok(())
    }
}

/// The processes of the machines that run.
async fn machines(url: &str) -> anyhow::Result<Vec<u32>> {
    let state: Value = reqwest::get(format!("{url}/_fly/api/state")).await?.json().await?;
    let machines = state["machines"].as_array().context("the local Fly tells no machines")?;
    Ok(machines.iter().filter_map(|machine| machine["pid"].as_u64()).map(|pid| pid as u32).collect())
}

/// What is read of `/proc/…/smaps_rollup`, KB (1024 bytes), and its name here.
const FIELDS: [(&str, &str); 3] = [("Rss:", "rss_kb"), ("Pss:", "pss_kb"), ("Anonymous:", "anonymous_kb")];

/// A process that is or was there.
struct Watched {
    name: String,
    pid: u32,
    /// Seconds since the beginning, and the values of [`FIELDS`].
    samples: Vec<(f64, [f64; FIELDS.len()])>,
}

/// Takes a sample of a process; one that has ended meanwhile is nothing to worry about here.
fn look(all: &mut Vec<Watched>, pid: u32, at_s: f64, lines: &mut File) -> anyhow::Result<()> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let (Ok(name), Ok(memory)) = (read("comm"), read("smaps_rollup")) else { return Ok(()) };
    let values = FIELDS.map(|(field, _)| {
        let line = memory.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(f64::NAN)
    });
    writeln!(lines, "{at_s:.1},{},{pid},{}", name.trim(), values.map(|value| value.to_string()).join(","))?;
    let found = all.iter().position(|watched| watched.pid == pid);
    let at = found.unwrap_or_else(|| {
        let namesakes = all.iter().filter(|other| other.name.starts_with(name.trim())).count();
        let number = if namesakes == 0 { String::new() } else { format!("_{}", namesakes + 1) };
        all.push(Watched { name: format!("{}{number}", name.trim()), pid, samples: Vec::new() });
        all.len() - 1
    });
    all[at].samples.push((at_s, values));
    Ok(())
}

fn figures(all: &[Watched], time_s: f64) -> Figures {
    let mut figures = Figures::default();
    let warm_up_s = WARM_UP.as_secs_f64().min(time_s / 6.0);
    let late_s = 3.0 * SAMPLE_INTERVAL.as_secs_f64();
    for Watched { name, samples, .. } in all {
        let (first, last) =
            (samples.first().map_or(time_s, |sample| sample.0), samples.last().map_or(0.0, |sample| sample.0));
        if first > warm_up_s + late_s || last < time_s - late_s {
            figures.note(format!("{name} ran from second {first:.0} to {last:.0} only."));
            continue;
        }
        for (at, (_, field)) in FIELDS.iter().enumerate() {
            let counted: Vec<_> = samples.iter().filter(|(at_s, _)| *at_s >= warm_up_s).collect();
            let parts = counted.chunks(counted.len().div_ceil(PARTS_COUNT));
            let least = parts.filter_map(|part| part.iter().min_by(|a, b| a.1[at].total_cmp(&b.1[at])));
            let points: Vec<_> = least.map(|(at_s, values)| (at_s / 3600.0, values[at])).collect();
            let (growth, error) = slope(&points);
            let is_told = growth <= GROWTH_MAX_KB_PER_HOUR || growth - 2.0 * error > GROWTH_MAX_KB_PER_HOUR;
            let aim = if at == 0 && is_told { Aim::AtMost(GROWTH_MAX_KB_PER_HOUR) } else { Aim::None };
            figures.add(format!("{name}.{field}"), points.last().map_or(0.0, |point| point.1), Aim::None);
            figures.add(format!("{name}.{field}_per_hour"), growth, aim);
            figures.add(format!("{name}.{field}_per_hour_error"), error, Aim::None);
        }
    }
    figures.note(format!(
        "{BOTS_COUNT} bots for {:.0} min, each there for {STAY_S} s at a time; a sample every {} s; a line through the least of \
         each of {PARTS_COUNT} parts of the time after the first {:.0} min, with its standard error; no aim where that is too \
         large to tell. target/soak has the samples and what the programs said.",
        time_s / 60.0,
        SAMPLE_INTERVAL.as_secs(),
        warm_up_s / 60.0
    ));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(name: &str, from_s: u32, to_s: u32, kb_per_s: f64) -> Watched {
        let sample = |s: u32| (f64::from(s), [5_000.0 + f64::from(s.max(600)) * kb_per_s; 3]);
        Watched { name: name.to_owned(), pid: 1, samples: (from_s..=to_s).step_by(10).map(sample).collect() }
    }

    #[test]
    fn what_grows_after_the_warm_up_is_told() {
        let steady = figures(&[watched("lobby", 0, 3600, 0.02)], 3600.0);
        assert_eq!(steady.missed().count(), 0);
        let grows = figures(&[watched("lobby", 0, 3600, 0.02), watched("bots", 10, 3590, 0.03)], 3600.0);
        assert_eq!(grows.missed().collect::<Vec<_>>(), ["bots.rss_kb_per_hour"]);
    }

    #[test]
    fn what_comes_and_goes_is_no_growth() {
        let mut busy = watched("bots", 0, 3600, 0.0);
        for (at, (_, values)) in busy.samples.iter_mut().enumerate() {
            values[0] += (at * at % 97 * 40) as f64;
        }
        assert_eq!(figures(&[busy], 3600.0).missed().count(), 0);
    }

    #[test]
    fn what_was_there_for_a_part_of_the_time_has_no_slope() {
        let parts = figures(&[watched("lobby", 0, 1800, 1.0), watched("gameserver", 1800, 3600, 1.0)], 3600.0);
        assert_eq!(parts.missed().count(), 0);
    }
}
