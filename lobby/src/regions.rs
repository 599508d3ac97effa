//! Where the regions are, and how far that makes them.
//!
//! Invariants: pure; the table is data compiled in (`assets/regions.json`).
//! Never: measures anything (the page does, where a machine is up).

use serde::Deserialize;
use std::sync::LazyLock;

/// What a player would notice first of a region: its name and its place on the globe.
#[derive(Debug, Clone, Deserialize)]
pub struct Region {
    /// Fly's code, an airport's.
    pub code: String,
    /// Town and country, such as "Paris, France".
    pub name: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

const EARTH_RADIUS_KM: f64 = 6371.0;
/// Light in glass fibre runs at two thirds of its speed in vacuum.
const FIBRE_KM_PER_MS: f64 = 200.0;
/// Cables follow coasts and cities: a usual path is longer than the great circle by about this factor.
const DETOUR_FACTOR: f64 = 1.4;
/// The last mile and the proxy, even within one region.
const LOCAL_MS: f64 = 5.0;

static REGIONS: LazyLock<Vec<Region>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../assets/regions.json")).expect("the table is part of this program")
});

/// The region with this code, also a deprecated one: machines may still live there.
pub fn find(code: &str) -> Option<&'static Region> {
    REGIONS.iter().find(|region| region.code == code)
}

impl Region {
    /// The name on the board: the town, or what players call the place.
    pub fn place(&self) -> &str {
        match self.code.as_str() {
            // The town is Secaucus; people know the state.
            "ewr" => "New Jersey",
            _ => self.name.split(',').next().unwrap_or(&self.name),
        }
    }

    /// Estimated round trip to `other` in whole milliseconds: `5 + 2 · 1.4 · great circle / 200 km per ms`.
    pub fn round_trip_ms(&self, other: &Self) -> u32 {
        let ms = LOCAL_MS + 2.0 * DETOUR_FACTOR * self.distance_km(other) / FIBRE_KM_PER_MS;
        ms.round() as u32
    }

    /// Great-circle distance (haversine formula).
    fn distance_km(&self, other: &Self) -> f64 {
        let (lat_a, lat_b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_lat = (lat_b - lat_a) / 2.0;
        let half_lon = (other.longitude - self.longitude).to_radians() / 2.0;
        let chord = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_near_what_people_measure() {
        let region = |code| find(code).unwrap();
        for (a, b, low, high) in
            [("ewr", "ewr", 5, 5), ("ewr", "cdg", 75, 100), ("ewr", "nrt", 145, 180), ("cdg", "nrt", 130, 240)]
        {
            let ms = region(a).round_trip_ms(region(b));
            assert!((low..=high).contains(&ms), "{a} to {b}: {ms} ms");
            assert_eq!(ms, region(b).round_trip_ms(region(a)));
        }
    }

    #[test]
    fn places_are_what_people_call_them() {
        let places = ["ewr", "cdg", "nrt"].map(|code| find(code).unwrap().place());
        assert_eq!(places, ["New Jersey", "Paris", "Tokyo"]);
        assert!(find("zzz").is_none());
    }
}
