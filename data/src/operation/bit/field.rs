//! Fields of up to 64 bits at any place in a slice.

/// The bits from `offset` on, right-aligned. Bits beyond the slice are 0.
pub(crate) fn get(bytes: &[u8], offset: usize, bits: usize) -> u64 {
    if bits == 0 {
        return 0;
    }
    let first = offset / 8;
    let last = (offset + bits - 1) / 8;
    let mut value = 0_u128;
    for index in first..=last {
        value = (value << 8) | u128::from(bytes.get(index).copied().unwrap_or(0));
    }
    let below = (last + 1) * 8 - (offset + bits);
    // At most 9 bytes were read, and the mask leaves 64 bits.
    ((value >> below) & mask(bits)) as u64
}

/// Puts the low `bits` of `value` at `offset`. Bits beyond the slice are dropped.
pub(crate) fn put(bytes: &mut [u8], offset: usize, bits: usize, value: u64) {
    if bits == 0 {
        return;
    }
    let first = offset / 8;
    let last = (offset + bits - 1) / 8;
    let below = (last + 1) * 8 - (offset + bits);
    let mut mask = mask(bits) << below;
    let mut value = (u128::from(value) << below) & mask;
    for index in (first..=last).rev() {
        if let Some(byte) = bytes.get_mut(index) {
            // The low byte of each.
            let keep = !(mask as u8);
            *byte = (*byte & keep) | (value as u8);
        }
        mask >>= 8;
        value >>= 8;
    }
}

/// So many low bits.
pub(crate) fn mask(bits: usize) -> u128 {
    (1_u128 << bits.min(64)) - 1
}

/// The value as two's complement of so many bits.
pub(crate) fn sign_extended(value: u64, bits: usize) -> i64 {
    let unused = 64_usize.saturating_sub(bits);
    (value.cast_signed() << unused) >> unused
}
