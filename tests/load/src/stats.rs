//! Arithmetic on what the rounds of a comparison gave.

/// The middle of the values, or the mean of the two in the middle; `None` without any.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
        (1, _, Some(middle)) => Some(*middle),
        (0, Some(below), Some(above)) => Some((below + above) / 2.0),
        _ => None,
    }
}

/// The median of the ratios of each round's measurement to its reference. Rounds alternate, so that what slows the
/// machine for a while slows both halves of a pair, and an outlier is one pair among several.
///
/// Pairs whose reference is not positive are left out.
pub fn median_ratio(pairs: &[(f64, f64)]) -> Option<f64> {
    let ratios: Vec<f64> = pairs
        .iter()
        .filter(|(_, reference)| *reference > 0.0)
        .map(|(measured, reference)| measured / reference)
        .collect();
    median(&ratios)
}

/// A pseudo-random number below `bound` (0 when `bound` is 0) that depends on nothing but `index`: the same run asks the
/// same questions, in an order that no cache can guess. The mixing steps are those of SplitMix64.
pub fn scatter(index: u64, bound: usize) -> usize {
    let mut z = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = u128::from(z ^ (z >> 31));
    usize::try_from((mixed * bound as u128) >> 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn a_ratio_pairs_the_rounds_and_one_disturbed_round_does_not_count() {
        // The whole machine was at half speed in the second round, and the third was disturbed in one half.
        let pairs = [(600.0, 1000.0), (300.0, 500.0), (100.0, 1000.0)];
        assert_eq!(median_ratio(&pairs), Some(0.6));
        assert_eq!(median_ratio(&[(1.0, 0.0)]), None);
    }

    #[test]
    fn scattered_numbers_stay_below_the_bound_and_reach_everything() {
        let seen: std::collections::BTreeSet<_> = (0..1_000).map(|n| scatter(n, 64)).collect();
        assert_eq!((seen.len(), seen.last().copied()), (64, Some(63)));
        assert_eq!(scatter(7, 0), 0);
    }
}
