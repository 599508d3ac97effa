//! Every limit of the wire, with its unit last and its policy beside it.

/// Longest message a client may send. Policy: close with `BadMessage`.
pub const CLIENT_MESSAGE_MAX_BYTES: usize = 2048;
/// What a client may send without a message becoming complete: the longest, and as much again for the heads of its
/// frames. Nobody here fragments, but a proxy may. Policy: close with `BadMessage`.
pub const CLIENT_MESSAGE_WIRE_MAX_BYTES: usize = 2 * CLIENT_MESSAGE_MAX_BYTES;
/// Longest control message a server sends (the welcome with its chat history is the largest). Policy: asserted at encode.
pub const SERVER_MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// Longest frame a client accepts. Policy: the client refuses and reconnects.
pub const FRAME_MAX_BYTES: usize = 256 * 1024;
/// Longest call sign, in bytes of UTF-8. Policy: cut at a character when sanitised.
pub const NAME_MAX_BYTES: usize = 24;
/// Longest chat line, in bytes of UTF-8. Policy: refuse the line, tell the sender.
pub const CHAT_MAX_BYTES: usize = 240;
/// Chat lines a newcomer sees. Policy: older ones are forgotten.
pub const CHAT_HISTORY_MAX_LINES: usize = 100;
/// Profiles asked for, or answered, in one message. Policy: refuse the message.
pub const ROSTER_MAX_ENTRIES: usize = 64;
/// Log entries in one frame; the rest wait for the next. Policy: delay.
pub const FRAME_ENTRIES_MAX_COUNT: usize = 32;
/// Longest encoded log entry. Policy: asserted at encode.
pub const ENTRY_MAX_BYTES: usize = 512;
/// Longest body of an operation that is the kind's. Policy: refuse the message.
pub const OPERATION_MAX_BYTES: usize = 1024;
/// Ticks one frame may cover before whole cells are sent instead. Policy: whole cells.
pub const FRAME_SPAN_MAX_TICKS: u32 = 64;
/// Last tick of a room's clock, 414 days in. Policy: frames beyond it are refused by clients.
pub const TICK_MAX: u32 = u32::MAX / 2;
/// Longest ticket or token in its text form. Policy: refuse.
pub const TOKEN_MAX_BYTES: usize = 256;
/// Longest kind's part of a welcome. Policy: refuse the welcome.
pub const WELCOME_KIND_MAX_BYTES: usize = 8 * 1024;
/// Longest save of a room: half as much again as 50,000 members take. Policy: it is neither written nor read.
pub const SNAPSHOT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Length of an instance or room name in a path. Policy: 404.
pub const PATH_NAME_MAX_BYTES: usize = 64;

/// Time a socket has for its hello. Policy: close with `HelloTimeout`.
pub const HELLO_TIMEOUT_MS: u64 = 5_000;
/// Longest time a client may say nothing. Policy: close with `Silent`.
pub const SILENCE_MAX_MS: u64 = 10_000;
/// Clients acknowledge at least this often. Policy: frames pause when the window fills.
pub const ACK_INTERVAL_MAX_MS: u64 = 100;
/// A session whose window has room gets a frame at least this often, news or not. Policy: a frame is sent.
pub const FRAME_INTERVAL_MAX_MS: u64 = 100;
/// Ticks that may be on their way without acknowledgement. Policy: the session's frames pause; their suffix grows.
pub const WINDOW_MAX_TICKS: u32 = 60;
/// From this age of the oldest unacknowledged frame on, frames get rarer. Policy: a tick more between two of them for
/// every four ticks of age.
pub const WINDOW_EASY_TICKS: u32 = 36;
/// Longest time a frame may stay without acknowledgement. Policy: close with `TooSlow`.
pub const UNACKNOWLEDGED_MAX_MS: u64 = 10_000;
/// How long a member stays when its socket is lost. Policy: the session ends.
pub const RESUME_GRACE_MS: u64 = 15_000;
/// How long a join ticket is valid. Policy: refuse with `BadTicket`.
pub const TICKET_TTL_S: u64 = 60;
/// How long a replay state is valid. Policy: 403.
pub const REPLAY_TTL_S: u64 = 30;
