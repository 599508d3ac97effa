//! Servers under test: each a child process, this program itself, so that its CPU time and memory are its own.
//!
//! Path: [`Child::start`] runs `bench serve-KIND …` → [`run`] there starts that kind and prints its address → the parent
//! reads [`Child::usage`] and [`Child::rss_bytes`].
//! Invariant: a child ends when its parent drops it, and when its parent ends, however that happens: its stdin closes.
//! Until then each line there is a budget for the ticks of a gameserver ([`Child::set_tick_budget`]).

use crate::{axum_tasks, fixed_engine, load::Handshake, raw_server, stopwatch::unix_time};
use anyhow::{Context, bail, ensure};
use catalogue::{Catalogue, Entry};
use net::{Config, Server};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use protocol::{
    room::Kind,
    token::{Grant, Key, Role},
};
use session::governor::Budget;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    ops::Sub,
    process::{Command, Stdio},
};
use tokio::sync::mpsc;

/// What a gameserver under test is told; the load signs with it what the lobby would have signed.
const SECRET: &str = "only for measurements";
const INSTANCE: &str = "bench";
const ROOM: &str = "arena";
/// Linux tells CPU time in this unit, whatever the machine.
const CPU_UNIT_US: f64 = 10_000.0;

/// A server in a process of its own.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    address: SocketAddr,
}

/// CPU time of a process, all threads together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Outside the kernel. The kernel tells the two apart by samples (250 a second), so this needs seconds to mean much;
    /// the sum of both is exact.
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
}

impl Usage {
    /// Of this process, the load.
    ///
    /// # Errors
    /// On a system without `/proc`.
    pub(crate) fn own() -> anyhow::Result<Self> {
        Self::of("self")
    }

    fn of(process: &str) -> anyhow::Result<Self> {
        let stat = read_proc(process, "stat")?;
        // The second field is a name in brackets, which may hold anything. `utime` and `stime` are the 14th and 15th.
        let after_name = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let mut times = after_name.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
        let (user, system) = times.next().zip(times.next()).context("/proc/…/stat reads differently here")?;
        Ok(Self { user_us: user * CPU_UNIT_US, system_us: system * CPU_UNIT_US })
    }

    /// Both kinds.
    pub(crate) fn us(self) -> f64 {
        self.user_us + self.system_us
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { user_us: self.user_us - other.user_us, system_us: self.system_us - other.system_us }
    }
}

impl Child {
    /// Starts `bench serve-KIND …` with these variables, and waits for its address.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program has no path")?;
        let mut process = Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server under test does not start")?;
        let stdout = process.stdout.take().context("a child without an output")?;
        let mut child = Self { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        child.address = line.trim().parse().context("the server under test said no address")?;
        Ok(child)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a tick of the gameserver may cost this.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn set_tick_budget(&mut self, us: u32) -> anyhow::Result<()> {
        let stdin = self.process.stdin.as_mut().context("a child without an input")?;
        writeln!(stdin, "{us}").context("the server under test has ended")
    }

    /// It stands still from now on, or goes on.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn set_paused(&self, is_paused: bool) -> anyhow::Result<()> {
        let signal = if is_paused { Signal::SIGSTOP } else { Signal::SIGCONT };
        kill(Pid::from_raw(self.process.id() as i32), signal).context("the server under test has ended")
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(&self.process.id().to_string())
    }

    /// Resident memory.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn rss_bytes(&self) -> anyhow::Result<f64> {
        let status = read_proc(&self.process.id().to_string(), "status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        Ok(kilobytes.context("/proc/…/status reads differently here")? * 1024.0)
    }
}

fn read_proc(process: &str, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{process}/{file}")).context("the server under test has ended")
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's side: serves `kind` until the parent is gone.
///
/// # Errors
/// When there is no such kind, or it does not start.
pub(crate) fn run(kind: &str, arguments: &[String]) -> anyhow::Result<()> {
    let (say_budget, budgets) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        // Reading ends with the parent.
        for us in std::io::stdin().lines().map_while(Result::ok).filter_map(|line| line.parse().ok()) {
            // Only a gameserver listens.
            let _ = say_budget.send(us);
        }
        std::process::exit(0);
    });
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<usize>().ok());
    if kind == "serve-raw" {
        return raw_server::serve(number(0).context("serve-raw takes a message's length")?, say_address);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match kind {
            "serve-gameserver" => keep(Server::start(Config::from_env()?).await?, budgets).await,
            "serve-fixed" => {
                let length = number(0).context("serve-fixed takes a frame's length")?;
                keep(fixed_engine::start(config()?, length).await?, budgets).await
            }
            "serve-tasks" => {
                axum_tasks::serve(number(0).context("serve-tasks takes a frame's length")?, say_address).await
            }
            _ => bail!("There is no \"{kind}\" to serve."),
        }
    })
}

/// Lets a server run for good.
async fn keep(server: Server, mut budgets: mpsc::UnboundedReceiver<u32>) -> anyhow::Result<()> {
    say_address(server.address());
    while let Some(us) = budgets.recv().await {
        server.set_tick_budget(Budget::of_tick(us)).await;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn say_address(address: SocketAddr) {
    println!("{address}");
}

/// The environment of a gameserver under test, on a free port.
pub(crate) const ENVIRONMENT: [(&str, &str); 4] =
    [("AERODROME_SECRET", SECRET), ("FLY_MACHINE_ID", INSTANCE), ("BIND", "127.0.0.1"), ("PORT", "0")];

/// The same as a configuration.
///
/// # Errors
/// Never.
pub(crate) fn config() -> anyhow::Result<Config> {
    Config::from_lookup(|name| ENVIRONMENT.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

/// The catalogue of kinds, as `KINDS` takes it, with another entry for the room under test.
pub(crate) fn kinds(change: impl FnOnce(&mut Entry)) -> String {
    let mut kinds = Catalogue::built_in();
    change(&mut kinds[Kind::Arena]);
    kinds.to_ron()
}

/// A socket to the room under test, as Fly's edge would have replayed the request.
pub(crate) fn upgrade() -> Handshake {
    upgrade_to(ROOM)
}

/// A socket to this room.
pub(crate) fn upgrade_to(room: &str) -> Handshake {
    let path = format!("/gameserver/{INSTANCE}/{room}");
    let state = key().sign_replay(INSTANCE, &path, unix_time().as_secs(), 0);
    let source = format!("instance={INSTANCE};region=local;t={};state={state}", unix_time().as_micros());
    Handshake::Upgrade { path, headers: vec![("fly-replay-src".to_owned(), source)] }
}

/// A ticket for the room under test, as the lobby would sign it; a server takes each number once.
pub(crate) fn ticket(number: usize) -> String {
    ticket_to(ROOM, number)
}

/// A ticket for this room.
pub(crate) fn ticket_to(room: &str, number: usize) -> String {
    key().sign_ticket((INSTANCE, room), (Grant::Enter, Role::Member), number as u64, unix_time().as_secs())
}

fn key() -> Key {
    Key::new(SECRET).expect("the secret is long enough")
}

/// Lets this process and its children open this many files.
///
/// # Errors
/// A sentence that says what to do when the system does not allow it.
pub(crate) fn allow_files(wanted: u64) -> anyhow::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)?;
    }
    ensure!(
        soft.max(hard) >= wanted,
        "This needs {wanted} open files, and a process here may have {hard}. Allow more: `ulimit -Hn {wanted}`, as root."
    );
    Ok(())
}
