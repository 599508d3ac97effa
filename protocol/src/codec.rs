//! The one place that knows how plain data becomes bytes: bincode, standard configuration (little endian, varint).
//!
//! Invariant: a decoder stops at its limit, which also bounds what a forged length can make it allocate.

use crate::DecodeError;
use serde::{Serialize, de::DeserializeOwned};

/// The value's bytes.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).expect("plain data always encodes")
}

/// Decodes a value from the start of these bytes, whatever follows; also returns how many bytes it took.
///
/// # Errors
/// [`DecodeError::Malformed`].
pub fn decode_first<T: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<MAX>();
    bincode::serde::decode_from_slice(bytes, config).map_err(|_| DecodeError::Malformed)
}

/// Decodes exactly these bytes, at most `MAX` of them.
///
/// # Errors
/// [`DecodeError::TooLong`], [`DecodeError::Truncated`], [`DecodeError::TrailingBytes`] or [`DecodeError::Malformed`].
pub fn decode<T: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX {
        return Err(DecodeError::TooLong);
    }
    match bincode::serde::decode_from_slice(bytes, bincode::config::standard().with_limit::<MAX>()) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok(_) => Err(DecodeError::TrailingBytes),
        Err(bincode::error::DecodeError::UnexpectedEnd { .. }) => Err(DecodeError::Truncated),
        Err(_) => Err(DecodeError::Malformed),
    }
}
