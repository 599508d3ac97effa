//! Bits to bytes and back: least significant bit first, padded with zeros to a whole byte at the end.
//!
//! Invariants: a reader never reads past its slice; what a writer wrote, a reader reads back. Both move a machine word
//! at a time, since every row of every frame passes through here.

use crate::DecodeError;

/// Appends values of 0 to 32 bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill a word yet, fewer than 64.
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that goes on behind these bytes, which count as written.
    pub fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Appends the low `bits` bits of `value`, 0 ≤ `bits` ≤ 32. Asserts that `value` fits.
    #[inline]
    pub fn put(&mut self, value: u32, bits: u32) {
        assert!(bits <= 32 && u64::from(value) < 1 << bits, "{value} does not fit {bits} bits");
        self.push(u64::from(value), bits);
    }

    /// Appends the low `bits` bits of `value`, 0 ≤ `bits` ≤ 64; those above must be 0.
    #[inline]
    pub fn put_word(&mut self, value: u64, bits: u32) {
        debug_assert!(bits <= 64 && value.checked_shr(bits).unwrap_or(0) == 0, "{value} does not fit {bits} bits");
        self.push(value, bits);
    }

    #[inline]
    fn push(&mut self, value: u64, bits: u32) {
        let taken = self.pending_bits;
        self.pending |= value << taken;
        self.pending_bits += bits;
        if self.pending_bits >= 64 {
            self.bytes.extend_from_slice(&self.pending.to_le_bytes());
            self.pending_bits -= 64;
            // What did not fit: nothing when the word was empty before.
            self.pending = value.checked_shr(64 - taken).unwrap_or(0);
        }
    }

    /// Appends one bit.
    #[inline]
    pub fn put_bit(&mut self, value: bool) {
        self.put(u32::from(value), 1);
    }

    /// Appends an Elias gamma code of `value + 1`: small numbers are short (0 takes 1 bit, 1 and 2 take 3).
    pub fn put_count(&mut self, value: u32) {
        assert!(value < u32::MAX >> 1, "counts stay below 2^31");
        let coded = value + 1;
        let extra = 31 - coded.leading_zeros();
        self.put(0, extra);
        self.put_bit(true);
        self.put(coded & !(1 << extra), extra);
    }

    /// Appends a finished string of bits.
    #[inline]
    pub fn append(&mut self, other: &Bits) {
        self.put_word(other.word, other.len.min(64));
        if other.len > 64 {
            self.append_rest(other);
        }
    }

    fn append_rest(&mut self, other: &Bits) {
        let mut left = other.len.saturating_sub(64);
        for bytes in other.rest.chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let bits = left.min(64);
            self.put_word(u64::from_le_bytes(word), bits);
            left -= bits;
        }
    }

    /// Bits written so far.
    #[inline]
    pub fn bit_len(&self) -> usize {
        self.bytes.len() * 8 + self.pending_bits as usize
    }

    /// What was written, which ends on its last bit.
    pub fn finish(self) -> Bits {
        let len = self.bit_len() as u32;
        if len < 64 {
            return Bits { word: self.pending, rest: Vec::new(), len };
        }
        let mut bytes = self.into_bytes();
        let rest = bytes.split_off(8);
        Bits { word: u64::from_le_bytes(bytes.try_into().expect("64 bits are 8 bytes")), rest, len }
    }

    /// The bytes, the last one padded with zero bits.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let pending = self.pending.to_le_bytes();
        self.bytes.extend_from_slice(&pending[..self.pending_bits.div_ceil(8) as usize]);
        self.bytes
    }
}

/// A string of bits that does not change any more; it may be joined to others without padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    /// The first 64: most strings are no longer, and need no memory of their own.
    word: u64,
    /// The others.
    rest: Vec<u8>,
    len: u32,
}

impl Bits {
    /// How many.
    #[inline]
    pub fn bit_len(&self) -> usize {
        self.len as usize
    }

    /// All of them, if they fit a word.
    #[inline]
    pub fn as_word(&self) -> Option<u64> {
        (self.len <= 64).then_some(self.word)
    }
}

/// Reads what a [`BitWriter`] wrote.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next 32 bits without taking them; beyond the end there are zeros.
    #[inline]
    pub fn peek(&self) -> u32 {
        let at = self.position / 8;
        let word = match self.bytes.get(at..at + 8) {
            Some(word) => u64::from_le_bytes(word.try_into().expect("8 bytes")),
            None => {
                let mut word = [0; 8];
                let left = self.bytes.get(at..).unwrap_or_default();
                word[..left.len()].copy_from_slice(left);
                u64::from_le_bytes(word)
            }
        };
        (word >> (self.position % 8)) as u32
    }

    /// Takes `bits` bits.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left; the position then stays.
    #[inline]
    pub fn skip(&mut self, bits: u32) -> Result<(), DecodeError> {
        let next = self.position + bits as usize;
        if next > self.bytes.len() * 8 {
            return Err(DecodeError::Truncated);
        }
        self.position = next;
        Ok(())
    }

    /// The next `bits` bits, 0 ≤ `bits` ≤ 32.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left; the position then stays.
    #[inline]
    pub fn get(&mut self, bits: u32) -> Result<u32, DecodeError> {
        let value = self.peek();
        self.skip(bits)?;
        Ok((u64::from(value) & ((1 << bits) - 1)) as u32)
    }

    /// The next bit.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end.
    #[inline]
    pub fn get_bit(&mut self) -> Result<bool, DecodeError> {
        Ok(self.get(1)? == 1)
    }

    /// The next count, at most `max`; `field` names it in the error.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], or [`DecodeError::OutOfRange`] above `max`.
    pub fn get_count(&mut self, max: u32, field: &'static str) -> Result<u32, DecodeError> {
        let extra = self.peek().trailing_zeros();
        if extra > 30 {
            self.skip(31)?;
            return Err(DecodeError::OutOfRange(field));
        }
        self.skip(extra + 1)?;
        let value = (self.get(extra)? | 1 << extra) - 1;
        if value > max { Err(DecodeError::OutOfRange(field)) } else { Ok(value) }
    }

    /// Skips the padding to the next whole byte and returns how many bytes have been read.
    pub fn align(&mut self) -> usize {
        self.position = self.position.next_multiple_of(8);
        self.position / 8
    }

    /// The bytes after the current whole byte (aligns first).
    pub fn rest(&mut self) -> &'a [u8] {
        &self.bytes[self.align()..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_back(values in prop::collection::vec((any::<u32>(), 0u32..=32), 0..200)) {
            let values: Vec<_> = values.into_iter()
                .map(|(v, bits)| (if bits == 32 { v } else { v & ((1u32 << bits) - 1) }, bits)).collect();
            let mut w = BitWriter::new();
            let mut appended = BitWriter::new();
            appended.put(1, 3);
            for (v, bits) in &values { w.put(*v, *bits); w.put_count(*v >> 2); }
            let w = w.finish();
            appended.append(&w);
            prop_assert_eq!(w.as_word().is_some(), w.bit_len() <= 64);
            prop_assert_eq!(appended.bit_len(), w.bit_len() + 3);
            let bytes = appended.into_bytes();
            let mut r = BitReader::new(&bytes);
            prop_assert_eq!(r.get(3), Ok(1));
            for (v, bits) in &values {
                prop_assert_eq!(r.get(*bits), Ok(*v));
                prop_assert_eq!(r.get_count(u32::MAX, "count"), Ok(*v >> 2));
            }
            prop_assert!(r.rest().is_empty());
        }

        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut r = BitReader::new(&bytes);
            while r.get_count(1000, "count").is_ok() && r.get(7).is_ok() {}
        }
    }
}
