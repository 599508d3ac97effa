//! One child process and what keeps it from outliving the local Fly.
//!
//! Path: the supervisor calls [`Process::spawn`] each time a machine boots; output lines come out on our own stdout,
//! with the machine's name in front.
//! Invariants: a child leads its own process group, so that a terminal's Ctrl-C reaches only fly-local, which then asks
//! every child in order; when a `Process` goes away, its group is killed; when fly-local itself is killed, a guard does
//! the same. The guard is a shell that waits on a pipe only fly-local holds: the end of the pipe is the end of us. It
//! needs no help from the child, unlike a pipe on the child's own stdin.
//! Never: decides whether to restart.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, ChildStdin, Command};

/// Waits for a line (the child ended, all is well) or for the end of the pipe (fly-local is gone), and then gives the
/// group named by `$0` two seconds to save what it can.
const GUARD_SCRIPT: &str = r#"read -r _ && exit 0; kill -s TERM -- "-$0"; sleep 2; kill -s KILL -- "-$0""#;

/// A running child with its process group and its guard.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
    guard: Child,
    guard_pipe: Option<ChildStdin>,
    /// Holds the port where the child listens, see `reserve_port`.
    port: TcpSocket,
}

impl Process {
    /// Starts `program` in `folder`. `env` is added to our own environment, from which everything Fly's was taken out.
    /// It says where to listen: on `port`, which is reserved as long as the process is.
    pub(crate) fn spawn(
        program: &Path,
        folder: &Path,
        env: &BTreeMap<String, String>,
        prefix: &str,
        port: TcpSocket,
    ) -> std::io::Result<Self> {
        let mut command = Command::new(program);
        command.current_dir(folder);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FLY_") {
                command.env_remove(name);
            }
        }
        command.envs(env).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = child.id().expect("a child that was not waited for has an id");
        forward_lines(child.stdout.take(), prefix.to_owned());
        forward_lines(child.stderr.take(), prefix.to_owned());
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD_SCRIPT, &id.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let guard_pipe = guard.stdin.take();
        let group = Pid::from_raw(i32::try_from(id).expect("process ids fit in 31 bits"));
        Ok(Self { child, group, guard, guard_pipe, port })
    }

    /// Id of the process, while it was not waited for.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Where the child listens or will listen.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.port.local_addr().ok()
    }

    /// Waits until the child has ended. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Sends a signal to the child's whole group. One that has ended already is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = killpg(self.group, signal);
    }

    /// After [`Self::wait`]: ends what the child left behind, and its guard.
    pub(crate) async fn clean_up(mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(mut pipe) = self.guard_pipe.take() {
            let _ = pipe.write_all(b"\n").await;
        }
        let _ = self.guard.wait().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only while the child was not waited for does its group still surely belong to it.
        if self.child.id().is_some() {
            self.signal(Signal::SIGKILL);
        }
        let _ = self.guard.start_kill();
    }
}

/// Copies lines to our stdout. Bytes that are no UTF-8 are shown as such rather than ending the copy: a full pipe would
/// stop the child.
fn forward_lines(output: Option<impl AsyncRead + Send + Unpin + 'static>, prefix: String) {
    let Some(output) = output else { return };
    tokio::spawn(async move {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            let _ = writeln!(std::io::stdout().lock(), "{prefix} {}", text.trim_end());
            line.clear();
        }
    });
}
