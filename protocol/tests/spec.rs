//! The session's part of the wire against its text (`SPEC.md`): the text's tables say what the code does.

use hmac::{Hmac, KeyInit, Mac};
use protocol::{
    close::CloseReason,
    codec, limits,
    room::Kind,
    token::{Grant, Key, Resume, Role},
};
use sha2::Sha256;

const TEXT: &str = include_str!("../SPEC.md");
const SECRET: &str = "only for this test, long enough";

/// The cells of the first table behind a rule, without its head.
fn table(rule: &str) -> Vec<Vec<&'static str>> {
    let (_, behind) = TEXT.split_once(&format!("* **{rule}** ")).expect("the text has the rule");
    let lines = behind.lines().skip_while(|line| !line.starts_with("  | "));
    let cells = |line: &'static str| line.trim().trim_matches('|').split('|').map(str::trim).collect();
    lines.take_while(|line| line.starts_with("  | ")).skip(2).map(cells).collect()
}

/// SPEC S1.3.
#[test]
fn values_are_encoded_as_the_text_says() {
    let numbers: [(u64, &[u8]); 8] = [
        (0, &[0]),
        (250, &[250]),
        (251, &[251, 251, 0]),
        (65_535, &[251, 255, 255]),
        (65_536, &[252, 0, 0, 1, 0]),
        (0xffff_ffff, &[252, 255, 255, 255, 255]),
        (0x1_0000_0000, &[253, 0, 0, 0, 0, 1, 0, 0, 0]),
        (u64::MAX, &[253, 255, 255, 255, 255, 255, 255, 255, 255]),
    ];
    for (number, bytes) in numbers {
        assert_eq!(codec::encode(&number), bytes);
        if let Ok(short) = u32::try_from(number) {
            assert_eq!(codec::encode(&short), bytes);
        }
        if let Ok(short) = u16::try_from(number) {
            assert_eq!(codec::encode(&short), bytes);
        }
    }
    assert_eq!(codec::encode(&255_u8), [255], "a byte is a byte");
    for (number, folded) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (-125, 249), (125, 250)] {
        assert_eq!(codec::encode(&number), [folded]);
    }
    assert_eq!(codec::encode(&i32::MIN), [252, 255, 255, 255, 255]);
    assert_eq!(codec::encode(&(true, false, None::<u8>, Some(7_u8))), [1, 0, 0, 1, 7]);
    assert_eq!(codec::encode(&("é", vec![300_u16, 1])), [2, 0xc3, 0xa9, 2, 251, 44, 1, 1]);
}

/// SPEC S1.4.
#[test]
fn the_text_lists_the_limits_of_the_code() {
    let limits = [
        limits::CLIENT_MESSAGE_MAX_BYTES,
        limits::TOKEN_MAX_BYTES,
        limits::CHAT_MAX_BYTES,
        limits::NAME_MAX_BYTES,
        limits::CHAT_MAX_BYTES,
        limits::ROSTER_MAX_ENTRIES,
        limits::SERVER_MESSAGE_MAX_BYTES,
        limits::FRAME_MAX_BYTES,
        limits::ENTRY_MAX_BYTES,
        limits::OPERATION_MAX_BYTES,
        limits::WELCOME_KIND_MAX_BYTES,
        limits::FRAME_ENTRIES_MAX_COUNT,
        limits::CHAT_HISTORY_MAX_LINES,
    ];
    let told = table("S1.4").into_iter().map(|cells| {
        let number = cells[1].split(' ').next().expect("a number").replace(',', "");
        number.parse::<usize>().expect("it is a number")
    });
    assert_eq!(told.collect::<Vec<_>>(), limits);
}

/// SPEC S2.2.
#[test]
fn the_text_lists_every_kind() {
    let kinds = Kind::ALL.map(|kind| (kind.number().to_string(), format!("`{}`", kind.word())));
    let told = table("S2.2").into_iter().map(|cells| (cells[0].to_owned(), cells[1].to_owned()));
    assert_eq!(told.collect::<Vec<_>>(), kinds);
}

/// What the text has signed: each part behind its length.
fn mac(parts: &[&str]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
    for part in parts {
        hmac.update(&(part.len() as u64).to_le_bytes());
        hmac.update(part.as_bytes());
    }
    hmac.finalize().into_bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SPEC S3.3, S3.4, S3.7, S3.8, S3.9 and S11.1.
#[test]
fn tokens_say_and_sign_what_the_text_lists() {
    let key = Key::new(SECRET).expect("it is long enough");
    for (grant, word) in Grant::ALL.into_iter().zip(["watch", "enter", "move", "open"]) {
        for (role, name) in Role::ALL.into_iter().zip(["reader", "member", "moderator", "host", "designer"]) {
            let signed = mac(&["ticket", "m1", "arena-m1", word, "2748", "1700000060", name]);
            let ticket = key.sign_ticket(("m1", "arena"), (grant, role), 0xabc, 1_700_000_000);
            assert_eq!(ticket, format!("{word}.abc.1700000060.{name}.{signed}"));
            let resume = key.sign_resume("arena-m1", Resume { epoch: 3, member: 7, generation: 2, role });
            assert_eq!(resume, format!("3.7.2.{name}.{}", mac(&["resume", "arena-m1", "3", "7", "2", name])));
        }
    }
    assert_eq!(key.sign_host("arena-p-a"), mac(&["host", "arena-p-a"]));
    assert!(Role::ALL.is_sorted(), "each may do what those before it do");
    let replay = key.sign_replay("m1", "/gameserver/m1/arena", 1_700_000_000, 1);
    let signed = mac(&["replay", "m1", "/gameserver/m1/arena", "1700000000", "1"]);
    assert_eq!(replay, format!("1700000000.1.{signed}"));
}

/// SPEC S9.1.
#[test]
fn the_text_lists_every_close_code() {
    let codes = CloseReason::ALL.map(|reason| format!("{} `{reason:?}`", reason.code()));
    let told: Vec<_> = table("S9.1").into_iter().map(|cells| cells[0]).collect();
    assert_eq!(told, codes);
}
