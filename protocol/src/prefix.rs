//! Canonical prefix codes: symbols in as few bits as their lengths say, decoded by one look into a table.
//!
//! Path: code lengths (data, see [`crate::ROW_TABLES`]) → [`PrefixCode::new`] → `put` and `get`.
//! Source of the canonical form: RFC 1951 §3.2.2; codes are stored with their first bit lowest, as [`crate::bits`] reads.
//! Invariants: lengths that do not fill the code space exactly are refused, so every bit pattern means something.

use crate::{
    DecodeError,
    bits::{BitReader, BitWriter},
};

/// Longest code. Policy: other lengths are refused. (It is also the size of the lookup table: 2^10 entries.)
pub const CODE_MAX_BITS: u8 = 10;

/// A prefix code over symbols 0, 1, 2 …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixCode {
    /// Per symbol: code and its length.
    codes: Vec<(u16, u8)>,
    /// By the next `longest` bits: symbol and its code's length.
    lookup: Vec<(u16, u8)>,
    longest: u8,
}

impl PrefixCode {
    /// The code with these lengths, one per symbol. A single symbol takes 0 bits.
    ///
    /// Returns `None` if the lengths make no complete code or one is above [`CODE_MAX_BITS`].
    pub fn new(lengths: &[u8]) -> Option<Self> {
        let longest = *lengths.iter().max()?;
        if longest > CODE_MAX_BITS || lengths.len() > 1 << longest {
            return None;
        }
        let space = 1u32 << longest;
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|symbol| (lengths[*symbol], *symbol));
        let mut codes = vec![(0, 0); lengths.len()];
        let mut lookup = vec![(0, 0); space as usize];
        // The next code, as a number of `longest` bits with the first bit highest.
        let mut next = 0;
        for symbol in order {
            let length = lengths[symbol];
            let step = space >> length;
            if next + step > space || (length == 0 && lengths.len() > 1) {
                return None;
            }
            let code = reversed(next >> (longest - length), length);
            codes[symbol] = (code as u16, length);
            (0..step).for_each(|rest| lookup[(code | rest << length) as usize] = (symbol as u16, length));
            next += step;
        }
        (next == space).then_some(Self { codes, lookup, longest })
    }

    /// Appends a symbol. Panics if the code has no such symbol.
    #[inline]
    pub fn put(&self, bits: &mut BitWriter, symbol: usize) {
        let (code, length) = self.code_of(symbol);
        bits.put(u32::from(code), u32::from(length));
    }

    /// The next symbol.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end.
    #[inline]
    pub fn get(&self, reader: &mut BitReader<'_>) -> Result<usize, DecodeError> {
        let next = reader.peek() & ((1 << self.longest) - 1);
        let (symbol, length) = self.lookup[next as usize];
        reader.skip(u32::from(length))?;
        Ok(usize::from(symbol))
    }

    /// A symbol's code, first bit lowest, and how many bits that is.
    #[inline]
    pub fn code_of(&self, symbol: usize) -> (u16, u8) {
        self.codes[symbol]
    }
}

fn reversed(code: u32, bits: u8) -> u32 {
    code.reverse_bits().checked_shr(32 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SPEC A7.3.
    #[test]
    fn short_codes_are_short_and_one_symbol_is_free() {
        let code = PrefixCode::new(&[2, 1, 3, 3]).unwrap();
        let mut bits = BitWriter::new();
        for symbol in [1, 1, 0, 3, 2] {
            code.put(&mut bits, symbol);
        }
        assert_eq!(bits.bit_len(), 1 + 1 + 2 + 3 + 3);
        let bytes = bits.into_bytes();
        let mut reader = BitReader::new(&bytes);
        assert_eq!([1, 1, 0, 3, 2].map(Ok), [(); 5].map(|()| code.get(&mut reader)));
        let only = PrefixCode::new(&[0]).unwrap();
        assert_eq!((only.get(&mut BitReader::new(&[])), only.code_of(0)), (Ok(0), (0, 0)));
    }

    #[test]
    fn lengths_that_are_no_code_are_refused() {
        for wrong in [&[][..], &[1], &[1, 1, 1], &[1, 2], &[0, 1], &[11; 2048], &[2, 2, 2]] {
            assert_eq!(PrefixCode::new(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn every_string_of_bits_is_read_and_writes_the_same(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let code = PrefixCode::new(&[3, 3, 2, 2, 3, 4, 4]).unwrap();
            let mut reader = BitReader::new(&bytes);
            let mut bits = BitWriter::new();
            while let Ok(symbol) = code.get(&mut reader) {
                code.put(&mut bits, symbol);
            }
            let whole = bits.bit_len() / 8;
            prop_assert_eq!(&bits.into_bytes()[..whole], &bytes[..whole]);
        }
    }
}
