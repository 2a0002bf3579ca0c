//! Order statistics of a handful of figures.

/// The value below which this share of the figures lies; 0.5 is the median.
pub(crate) fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    assert!(!sorted.is_empty(), "nothing was measured");
    let last = (sorted.len() - 1) as f64;
    sorted[(last * share).round() as usize]
}

/// `median (10 % .. 90 %)` with this many decimals.
pub(crate) fn spread(figures: &[f64], decimals: usize) -> String {
    format!(
        "{:+.decimals$} ({:+.decimals$} .. {:+.decimals$})",
        quantile(figures, 0.5),
        quantile(figures, 0.1),
        quantile(figures, 0.9)
    )
}
