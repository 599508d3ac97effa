//! How bots get into a room: through the lobby as people do, or straight to a gameserver.
//!
//! Path: [`Entry::check_reachable`] once → [`Entry::request_grant`] per bot → [`Entry::connect`] per socket.
//! Invariant: every wait has an end, and every failure is a plain sentence.

use crate::{direct::Direct, grant::JoinGrant, lobby::Lobby, options::Options, progress::Progress, source};
use protocol::{
    limits::{FRAME_MAX_BYTES, SERVER_MESSAGE_MAX_BYTES},
    room::Kind,
};
use reqwest::Url;
use std::{io, net::IpAddr, time::Duration};
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, client::IntoClientRequest, handshake::client::Request, protocol::WebSocketConfig},
};

/// Longest wait for an open socket: the machine may have to wake first. Policy: the bot tries again.
const CONNECT_MAX_MS: u64 = 15_000;
/// Buffers per socket: most messages are a few hundred bytes, and there are many sockets.
const BUFFER_BYTES: usize = 4096;
const MESSAGE_MAX_BYTES: usize =
    if FRAME_MAX_BYTES > SERVER_MESSAGE_MAX_BYTES { FRAME_MAX_BYTES } else { SERVER_MESSAGE_MAX_BYTES };

/// An open connection to a room.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// See the module.
#[derive(Debug)]
pub(crate) enum Entry {
    /// As people do.
    Lobby(Lobby),
    /// For measuring one gameserver alone.
    Direct(Direct),
}

impl Entry {
    /// The way that the options name; `secret` is the shared signing secret, if the environment has one.
    ///
    /// # Errors
    /// A sentence about what the options lack.
    pub(crate) fn new(options: &Options, secret: Option<&str>) -> Result<Self, String> {
        match (&options.direct, &options.instance) {
            (Some(base), Some(instance)) => Direct::new(base, instance, secret).map(Self::Direct),
            _ => {
                let base = options.lobby.clone().ok_or("Name a lobby with --lobby.")?;
                let bots = options.groups().iter().map(|(_, players)| players).sum();
                Ok(Self::Lobby(Lobby::new(base, options.region.clone(), options.instance.clone(), bots)?))
            }
        }
    }

    /// Whether the lobby or gameserver answers.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(crate) async fn check_reachable(&self) -> anyhow::Result<()> {
        match self {
            Self::Lobby(lobby) => lobby.check_reachable().await,
            Self::Direct(direct) => direct.check_reachable().await,
        }
    }

    /// The address of the lobby, or of the gameserver.
    pub(crate) fn base(&self) -> &Url {
        match self {
            Self::Lobby(lobby) => lobby.base(),
            Self::Direct(direct) => direct.base(),
        }
    }

    /// A grant for bot `number`, to a room of this kind.
    ///
    /// # Errors
    /// The reason as the lobby says it.
    pub(crate) async fn request_grant(
        &self,
        kind: Kind,
        number: u32,
        progress: &Progress,
    ) -> Result<JoinGrant, String> {
        match self {
            Self::Lobby(lobby) => lobby.request_grant(kind, number, progress).await,
            Self::Direct(direct) => Ok(direct.sign_grant(kind)),
        }
    }

    /// Opens a socket for bot `number` to the grant's room.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) async fn connect(&self, number: u32, grant: &JoinGrant) -> Result<Socket, String> {
        let base = self.base();
        let replay = match self {
            Self::Lobby(_) => None,
            Self::Direct(direct) => Some(direct.replay_source(&grant.path)),
        };
        let request = request(base, &grant.path, replay)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(MESSAGE_MAX_BYTES))
            .max_frame_size(Some(MESSAGE_MAX_BYTES));
        let connecting = async {
            let stream = connect_from(source::of(base, number), base).await?;
            stream.set_nodelay(true)?;
            client_async_with_config(request, stream, Some(config)).await
        };
        match timeout(Duration::from_millis(CONNECT_MAX_MS), connecting).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(response))) => {
                Err(format!("The room answered {} instead of a socket.", response.status()))
            }
            Ok(Err(error)) => Err(format!("The socket could not be opened ({error}).")),
            Err(_) => Err("The socket did not open in time.".to_owned()),
        }
    }
}

/// A connection from this address of ours, if it matters which.
async fn connect_from(source: Option<IpAddr>, base: &Url) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(authority(base)).await };
    let target = lookup_host(authority(base)).await?.next().ok_or(io::ErrorKind::NotFound)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(target).await
}

/// `host:port`.
fn authority(base: &Url) -> String {
    let port = base.port_or_known_default().expect("http has a port of its own");
    format!("{}:{port}", base.host_str().expect("the options let nothing in without a host"))
}

fn request(base: &Url, path: &str, replay: Option<String>) -> Result<Request, String> {
    let mut request = format!("ws://{}{path}", authority(base))
        .into_client_request()
        .map_err(|error| format!("The lobby named a path that is none ({error})."))?;
    if let Some(replay) = replay {
        let value = replay.parse().map_err(|_| "The instance's name does not fit a header.".to_owned())?;
        request.headers_mut().insert("fly-replay-src", value);
    }
    Ok(request)
}
