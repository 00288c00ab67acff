//! Sums that do not depend on the order of their terms, and that terms can leave again.
//!
//! Integers sum in 128 bits. Floats sum exactly, in a fixed-point number of 32-bit limbs that is as long as the terms need
//! (at most 67 limbs for all floats there are), and are rounded once, to the nearest float, ties to even.
//!
//! Invariant: what was added and then removed leaves no trace, so a sum that is kept up to date is bit for bit the sum of
//! what is there. Source: R. Neal, Fast Exact Summation Using Small and Large Superaccumulators (2015).

use value::Value;

use crate::evaluate::arithmetic::finite;

/// The place of the bit 2^0, bits above the lowest limb's lowest.
const UNIT: i32 = 34 * 32;
/// Additions after which limbs could overflow.
const ADDITIONS_MAX: u32 = 1 << 30;
const LIMB: i64 = 1 << 32;

/// A sum of integers and floats.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    ints: i128,
    exact: Exact,
    /// How many terms are floats.
    floats: u64,
    /// How many terms are infinite or no numbers.
    unbounded: u64,
}

/// Whether a term comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Add,
    Remove,
}

impl Turn {
    /// Counts one more or one less.
    pub fn count(self, count: &mut u64) {
        *count = match self {
            Turn::Add => count.saturating_add(1),
            Turn::Remove => count.saturating_sub(1),
        };
    }
}

impl Sum {
    /// Takes a number in or out; other values are no terms.
    pub fn turn(&mut self, value: &Value, turn: Turn) {
        match value {
            Value::Int(int) => {
                self.ints += if turn == Turn::Add { i128::from(*int) } else { -i128::from(*int) };
            }
            Value::Float(float) if float.is_finite() => {
                turn.count(&mut self.floats);
                self.exact.add(if turn == Turn::Add { *float } else { -*float });
            }
            Value::Float(_) => turn.count(&mut self.unbounded),
            _ => {}
        }
    }

    /// Returns SUM: an integer if all terms are and the sum fits; nothing beyond the range of floats.
    pub fn total(&self) -> Option<Value> {
        match i64::try_from(self.ints) {
            Ok(int) if self.floats == 0 && self.unbounded == 0 => Some(Value::Int(int)),
            _ => self.rounded().and_then(finite),
        }
    }

    /// Returns AVG.
    pub fn average(&self, count: u64) -> Option<Value> {
        self.rounded().and_then(|sum| finite(sum / count as f64))
    }

    fn rounded(&self) -> Option<f64> {
        if self.unbounded > 0 {
            return None;
        }
        if self.floats == 0 {
            return Some(self.ints as f64);
        }
        let mut exact = self.exact.clone();
        let (magnitude, negative) = (self.ints.unsigned_abs(), self.ints < 0);
        exact.add_bits(magnitude as u64, UNIT as usize, negative);
        exact.add_bits((magnitude >> 64) as u64, UNIT as usize + 64, negative);
        Some(exact.round())
    }
}

/// A fixed-point number: limb `i` counts 2^(32 (low + i) - `UNIT`).
#[derive(Clone, Debug, Default)]
struct Exact {
    limbs: Vec<i64>,
    low: usize,
    additions: u32,
}

impl Exact {
    fn add(&mut self, float: f64) {
        let bits = float.to_bits();
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        let (mantissa, exponent) = match exponent {
            0 => (fraction, -1074),
            _ => (fraction | 1 << 52, exponent - 1075),
        };
        self.add_bits(mantissa, (exponent + UNIT) as usize, float.is_sign_negative());
    }

    /// Adds or subtracts a whole number of 2^(place - `UNIT`).
    fn add_bits(&mut self, number: u64, place: usize, negative: bool) {
        if number == 0 {
            return;
        }
        if self.additions >= ADDITIONS_MAX {
            self.carry();
            self.additions = 0;
        }
        self.additions += 1;
        let (first, wide) = (place / 32, u128::from(number) << (place % 32));
        self.cover(first);
        for (offset, limb) in self.limbs[first - self.low..][..3].iter_mut().enumerate() {
            let part = (wide >> (32 * offset)) as u32;
            *limb += if negative { -i64::from(part) } else { i64::from(part) };
        }
    }

    /// Makes room for three limbs.
    fn cover(&mut self, first: usize) {
        if self.limbs.is_empty() {
            self.low = first;
        }
        if first < self.low {
            self.limbs.splice(0..0, std::iter::repeat_n(0, self.low - first));
            self.low = first;
        }
        let length = first + 3 - self.low;
        if self.limbs.len() < length {
            self.limbs.resize(length, 0);
        }
    }

    /// Brings all limbs but the last into 0 .. 2^32; the last keeps the sign.
    fn carry(&mut self) {
        let mut carry = 0;
        if let Some((last, others)) = self.limbs.split_last_mut() {
            for limb in others {
                let sum = *limb + carry;
                *limb = sum & (LIMB - 1);
                carry = sum >> 32;
            }
            *last += carry;
        }
        while let Some(last) = self.limbs.last_mut().filter(|last| **last >= LIMB || **last < -LIMB) {
            let rest = *last >> 32;
            *last &= LIMB - 1;
            self.limbs.push(rest);
        }
    }

    /// Returns the nearest float.
    fn round(mut self) -> f64 {
        self.carry();
        let negative = self.limbs.last().is_some_and(|last| *last < 0);
        if negative {
            self.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            self.carry();
        }
        let Some(top) = self.limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
        // Three limbs have 65 bits or more, of which a float keeps 53.
        let limb = |below: usize| top.checked_sub(below).map_or(0, |place| self.limbs[place] as u128);
        let wide = limb(0) << 64 | limb(1) << 32 | limb(2);
        let below = self.limbs[..top.saturating_sub(2)].iter().any(|limb| *limb != 0);
        let base = 32 * ((self.low + top) as i32 - 2) - UNIT;
        let highest = base + 127 - wide.leading_zeros() as i32;
        let lowest = (highest - 52).max(-1074);
        if lowest > 971 {
            return if negative { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        let cut = (lowest - base) as u32;
        let (mut mantissa, rest, half) = ((wide >> cut) as u64, wide & ((1 << cut) - 1), 1_u128 << (cut - 1));
        if rest > half || rest == half && (below || mantissa & 1 == 1) {
            mantissa += 1;
        }
        let power = match lowest {
            -1074..=-1023 => f64::from_bits(1 << (lowest + 1074)),
            _ => f64::from_bits(((lowest + 1023) as u64) << 52),
        };
        let magnitude = mantissa as f64 * power;
        if negative { -magnitude } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(terms: &[f64]) -> f64 {
        let mut sum = Sum::default();
        terms.iter().for_each(|term| sum.turn(&Value::Float(*term), Turn::Add));
        sum.rounded().expect("finite terms")
    }

    #[test]
    fn one_term_is_its_own_sum() {
        for term in [0.1, -0.1, 1.0, 5e-324, -5e-324, 1.5e-310, 2.3e-308, f64::MAX, f64::MIN, 1e300, -123.456e-200] {
            assert_eq!(sum(&[term]).to_bits(), term.to_bits(), "{term:e}");
        }
    }

    #[test]
    fn two_terms_are_rounded_like_one_addition() {
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                f64::from_bits(state ^ state >> 29)
            };
            let (a, b) = (next(), next());
            if a.is_finite() && b.is_finite() {
                assert_eq!(sum(&[a, b]), a + b, "{a:e} + {b:e}");
            }
        }
    }

    #[test]
    fn order_and_what_has_left_are_not_seen() {
        let mut terms = [1e300, 0.1, -1e300, 0.2, f64::MAX, 0.3, f64::MAX, -f64::MAX, -f64::MAX];
        let whole = sum(&terms);
        assert_eq!(whole, 0.6);
        terms.reverse();
        assert_eq!(sum(&terms).to_bits(), whole.to_bits());
        let mut kept = Sum::default();
        for term in [1e18, 0.7, -3e-300] {
            kept.turn(&Value::Float(term), Turn::Add);
        }
        for term in [1e18, -3e-300] {
            kept.turn(&Value::Float(term), Turn::Remove);
        }
        assert_eq!(kept.rounded(), Some(0.7));
        kept.turn(&Value::Float(0.7), Turn::Remove);
        assert_eq!(kept.total(), Some(Value::Int(0)));
    }

    #[test]
    fn integers_join_without_loss() {
        let mut sum = Sum::default();
        sum.turn(&Value::Int(i64::MAX), Turn::Add);
        sum.turn(&Value::Float(-9_223_372_036_854_775_808.0), Turn::Add);
        assert_eq!(sum.total(), Some(Value::Float(-1.0)));
    }
}
