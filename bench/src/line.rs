//! The straight line through measured points, by least squares.

/// Its slope, and the slope's standard error as if the points scattered independently; no error of two points.
pub(crate) fn slope(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let mean = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let products = points.iter().map(|point| (point.0 - mean.0) * (point.1 - mean.1)).sum::<f64>();
    let squares = points.iter().map(|point| (point.0 - mean.0).powi(2)).sum::<f64>();
    let slope = products / squares;
    let residuals = points.iter().map(|point| (point.1 - mean.1 - slope * (point.0 - mean.0)).powi(2)).sum::<f64>();
    (slope, (residuals / (n - 2.0).max(1.0) / squares).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_has_its_slope() {
        let (slope, error) = slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((slope - 2.0).abs() < 1e-12 && error < 1e-12, "{slope} ± {error}");
    }

    #[test]
    fn what_scatters_has_an_error() {
        let (slope, error) = slope(&[(0.0, 0.0), (1.0, 2.0), (2.0, 2.0), (3.0, 4.0)]);
        assert!((slope - 1.2).abs() < 1e-12 && (error - 0.282_843).abs() < 1e-6, "{slope} ± {error}");
    }
}
