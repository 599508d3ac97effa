//! What a machine finds when it boots: an empty root disk, a port, and Fly's environment.
//!
//! Path: the supervisor calls [`boot`] on every cold start.
//! Invariants: nothing of an earlier run is left on the root disk, which is working directory and `TMPDIR`; secrets win
//! over the configuration's `env`, Fly's own names over both; a port is one machine's alone while its process runs.
//! Never: decides when.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use crate::child::Process;
use crate::machine_state::{Identity, View};

/// Empties the root disk and runs the program on a port of its own.
pub(crate) fn boot(identity: &Identity, view: &View) -> std::io::Result<Process> {
    if identity.root.exists() {
        std::fs::remove_dir_all(&identity.root)?;
    }
    std::fs::create_dir_all(&identity.root)?;
    let port = reserve_port()?;
    let prefix = format!("[{} {} {}]", identity.app.name, identity.region, identity.id);
    let env = environment(identity, view, port.local_addr()?);
    Process::spawn(&identity.program, &identity.root, &env, &prefix, port)
}

/// A port of loopback that no other program is given by chance while this socket is held, and on which a child can
/// listen: bound and not listening, it stands in the way only of whoever does not set `SO_REUSEADDR`, as servers do, and
/// of the kernel's choice of free ports.
///
/// # Errors
/// When no port is free.
pub fn reserve_port() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(socket)
}

/// As on Fly, apart from `BIND`, `PORT` and `TMPDIR`: here all machines share one host.
fn environment(identity: &Identity, view: &View, address: SocketAddr) -> BTreeMap<String, String> {
    let app = &identity.app;
    let spec = &view.spec;
    let mut env = spec.env().clone();
    env.extend(app.secrets.clone());
    let group = spec.metadata().get("fly_process_group").cloned().unwrap_or_else(|| "app".into());
    for (name, value) in [
        ("FLY_APP_NAME", app.name.clone()),
        ("FLY_MACHINE_ID", identity.id.clone()),
        ("FLY_ALLOC_ID", identity.id.clone()),
        ("FLY_REGION", identity.region.clone()),
        ("FLY_PUBLIC_IP", "::1".into()),
        ("FLY_PRIVATE_IP", private_ip(&identity.id)),
        ("FLY_IMAGE_REF", spec.image().to_owned()),
        ("FLY_MACHINE_VERSION", view.version.clone()),
        ("FLY_PROCESS_GROUP", group),
        ("FLY_VM_MEMORY_MB", spec.memory_mb().to_string()),
        ("PRIMARY_REGION", app.primary_region.clone()),
        ("BIND", address.ip().to_string()),
        ("PORT", address.port().to_string()),
        ("TMPDIR", identity.root.display().to_string()),
    ] {
        env.insert(name.to_owned(), value);
    }
    env
}

/// An address of the shape Fly's private network has; nothing listens there.
pub(crate) fn private_ip(id: &str) -> String {
    format!("fdaa:0:1:a7b:{}:{}:{}:2", &id[..4], &id[4..8], &id[8..12])
}

/// The name of the app whose image `image` is, such as `game` in `registry.fly.io/game:deployment-1`.
pub(crate) fn app_of_image(image: &str) -> &str {
    let repository = image.rsplit('/').next().unwrap_or(image);
    repository.split([':', '@']).next().unwrap_or(repository)
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::app::image_ref;

    #[test]
    fn an_image_names_its_app() {
        assert_eq!(app_of_image(&image_ref("game")), "game");
        assert_eq!(app_of_image("registry.fly.io/game:deployment-1@sha256:ff"), "game");
        assert_eq!(app_of_image("game"), "game");
    }

    #[tokio::test]
    async fn a_reserved_port_waits_for_its_server() {
        let port = reserve_port().unwrap();
        let address = port.local_addr().unwrap();
        let taken = TcpSocket::new_v4().unwrap().bind(address).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens yet");
        let server = TcpListener::bind(address).await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), server.accept());
        assert_eq!(client.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    }
}
