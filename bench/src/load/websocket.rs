//! WebSocket frames (RFC 6455) as the load needs them: found in place in what was read, appended to what is written.
//!
//! Invariants: nothing is copied or allocated to read a message; a frame that is not there completely is `None`.
//! Never: fragmented messages and extensions, which no server here uses: they are errors.

use std::ops::Range;

/// Frame types.
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Payload lengths that say where the real length is: in the next 2 or the next 8 bytes.
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;

/// A whole frame at the beginning of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    /// Where the payload is; its end is the frame's end.
    pub(crate) payload: Range<usize>,
}

/// The frame at the beginning of `bytes`, `None` when it is not all there.
///
/// # Errors
/// A sentence when it is none that a server here would send.
pub(crate) fn first_frame(bytes: &[u8]) -> Result<Option<Frame>, &'static str> {
    let [head, length, rest @ ..] = bytes else { return Ok(None) };
    if head & 0xf0 != FIN {
        return Err("The server sent a fragment or used an extension.");
    }
    if length & MASKED != 0 {
        return Err("The server masked a frame.");
    }
    let (start, length) = match *length {
        LENGTH_IN_2 => {
            let Some((length, _)) = rest.split_first_chunk() else { return Ok(None) };
            (4, u64::from(u16::from_be_bytes(*length)))
        }
        LENGTH_IN_8 => {
            let Some((length, _)) = rest.split_first_chunk() else { return Ok(None) };
            (10, u64::from_be_bytes(*length))
        }
        length => (2, u64::from(length)),
    };
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(start));
    let end = end.ok_or("The server sent a frame of an impossible length.")?;
    Ok((bytes.len() >= end).then_some(Frame { opcode: head & 0x0f, payload: start..end }))
}

/// Appends a client's frame, masked with `key` as clients must.
pub(crate) fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8], key: [u8; 4]) {
    out.push(FIN | opcode);
    match payload.len() {
        length @ 0..126 => out.push(MASKED | length as u8),
        length @ 126..=0xffff => {
            out.push(MASKED | LENGTH_IN_2);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | LENGTH_IN_8);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Appends a server's frame.
pub(crate) fn push_unmasked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(FIN | opcode);
    match payload.len() {
        length @ 0..126 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(LENGTH_IN_2);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(LENGTH_IN_8);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_lengths_are_found_when_complete() {
        for length in [0, 1, 125, 126, 200, 65_535, 65_536, 100_000] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut bytes = Vec::new();
            push_unmasked(&mut bytes, BINARY, &payload);
            for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                assert_eq!(first_frame(&bytes[..cut]), Ok(None), "{length} cut to {cut}");
            }
            bytes.push(7);
            let frame = first_frame(&bytes).unwrap().unwrap();
            assert_eq!((frame.opcode, &bytes[frame.payload.clone()]), (BINARY, &payload[..]));
            assert_eq!(frame.payload.end, bytes.len() - 1);
        }
    }

    #[test]
    fn masking_twice_gives_the_payload_back() {
        let mut bytes = Vec::new();
        push_masked(&mut bytes, TEXT, b"hello", [1, 2, 3, 4]);
        assert_eq!(bytes[..6], [0x81, 0x85, 1, 2, 3, 4]);
        let mut twice = Vec::new();
        push_masked(&mut twice, TEXT, &bytes[6..], [1, 2, 3, 4]);
        assert_eq!(&twice[6..], b"hello");
    }

    #[test]
    fn what_no_server_here_sends_is_refused() {
        assert!(first_frame(&[BINARY, 0]).is_err(), "a fragment");
        assert!(first_frame(&[FIN | 0x40 | BINARY, 0]).is_err(), "an extension");
        assert!(first_frame(&[FIN | BINARY, MASKED]).is_err(), "a mask");
        assert!(first_frame(&[&[FIN | BINARY, LENGTH_IN_8][..], &[0xff; 8]].concat()).is_err(), "a length");
    }
}
