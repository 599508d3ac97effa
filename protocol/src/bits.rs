//! Bits to bytes and back: least significant bit first, padded with zeros to a whole byte at the end.
//!
//! Invariants: a reader never reads past its slice; what a writer wrote, a reader reads back.

use crate::DecodeError;

/// Appends values of 0 to 32 bits to a byte vector.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    bit_len: usize,
}

impl BitWriter {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the low `bits` bits of `value`, 0 ≤ `bits` ≤ 32. Asserts that `value` fits.
    pub fn put(&mut self, value: u32, bits: u32) {
        assert!(bits <= 32 && u64::from(value) < 1 << bits, "{value} does not fit {bits} bits");
        let (mut value, mut bits) = (value, bits);
        while bits > 0 {
            let used = (self.bit_len % 8) as u32;
            if used == 0 {
                self.bytes.push(0);
            }
            let taken = (8 - used).min(bits);
            let last = self.bytes.last_mut().expect("a byte was pushed when the last one was full");
            *last |= ((value & ((1u32 << taken) - 1)) << used) as u8;
            value = if taken == 32 { 0 } else { value >> taken };
            bits -= taken;
            self.bit_len += taken as usize;
        }
    }

    /// Appends one bit.
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

    /// Appends all bits of another writer, without its padding.
    pub fn append(&mut self, other: &BitWriter) {
        for (i, byte) in other.bytes.iter().enumerate() {
            let bits = (other.bit_len - i * 8).min(8) as u32;
            self.put(u32::from(*byte), bits);
        }
    }

    /// Bits written so far.
    pub fn bit_len(&self) -> usize {
        self.bit_len
    }

    /// The bytes, the last one padded with zero bits.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
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

    /// The next `bits` bits, 0 ≤ `bits` ≤ 32.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left; the position then stays.
    pub fn get(&mut self, bits: u32) -> Result<u32, DecodeError> {
        if self.position + bits as usize > self.bytes.len() * 8 {
            return Err(DecodeError::Truncated);
        }
        let (mut value, mut done) = (0u32, 0u32);
        while done < bits {
            let used = (self.position % 8) as u32;
            let taken = (8 - used).min(bits - done);
            let byte = u32::from(self.bytes[self.position / 8]) >> used;
            value |= (byte & ((1u32 << taken) - 1)) << done;
            done += taken;
            self.position += taken as usize;
        }
        Ok(value)
    }

    /// The next bit.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end.
    pub fn get_bit(&mut self) -> Result<bool, DecodeError> {
        Ok(self.get(1)? == 1)
    }

    /// The next count, at most `max`; `field` names it in the error.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], or [`DecodeError::OutOfRange`] above `max`.
    pub fn get_count(&mut self, max: u32, field: &'static str) -> Result<u32, DecodeError> {
        let mut extra = 0;
        while !self.get_bit()? {
            extra += 1;
            if extra > 30 {
                return Err(DecodeError::OutOfRange(field));
            }
        }
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
            appended.append(&w);
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
