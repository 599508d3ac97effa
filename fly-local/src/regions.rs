//! Where regions are, and how long a byte takes between two of them.
//!
//! Path: `assets/regions.json` → [`Regions`] → one-way delays for the proxy, aliases for Fly-Replay.
//! Invariants: the delay is symmetric and a pure function of two places.
//! Never: measures anything; every number is an estimate from the great circle.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

const EARTH_RADIUS_KM: f64 = 6371.0;
/// Round trip inside one region: the last mile to the edge and the hop to the machine.
const BASE_ROUND_TRIP_MS: f64 = 4.0;
/// Light in glass covers about 200 km in a millisecond.
const FIBRE_KM_PER_MS: f64 = 200.0;
/// Cables do not follow the great circle; 1.3 gives New York-Paris 80 ms and New York-Tokyo 145 ms.
const ROUTE_STRETCH: f64 = 1.3;

/// Every region Fly has or had, by code.
#[derive(Debug, Clone)]
pub(crate) struct Regions(BTreeMap<String, Location>);

#[derive(Debug, Clone, Deserialize)]
struct Location {
    code: String,
    name: String,
    geo_region: String,
    deprecated: bool,
    latitude: f64,
    longitude: f64,
}

impl Regions {
    /// Reads the JSON list of regions.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("The list of regions {} cannot be read.", path.display()))?;
        Self::parse(&text).with_context(|| format!("The list of regions {} is not valid.", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let places: Vec<Location> = serde_json::from_str(text)?;
        Ok(Self(places.into_iter().map(|place| (place.code.clone(), place)).collect()))
    }

    /// Whether `code` names a region.
    pub(crate) fn knows(&self, code: &str) -> bool {
        self.0.contains_key(code)
    }

    /// How long a byte travels from `from` to `to`. Unknown regions count as being at the same place.
    pub(crate) fn one_way(&self, from: &str, to: &str) -> Duration {
        let distance_km = match (self.0.get(from), self.0.get(to)) {
            (Some(a), Some(b)) => great_circle_km(a, b),
            _ => 0.0,
        };
        let round_trip_ms = BASE_ROUND_TRIP_MS + 2.0 * distance_km * ROUTE_STRETCH / FIBRE_KM_PER_MS;
        Duration::from_secs_f64(round_trip_ms / 2.0 / 1000.0)
    }

    /// Whether the region `code` is meant by `wanted`: a code itself or one of Fly's aliases.
    /// Which regions an alias covers is inferred from geography; Fly does not document it.
    pub(crate) fn matches(&self, wanted: &str, code: &str) -> bool {
        if wanted == code || wanted == "any" {
            return true;
        }
        let Some(place) = self.0.get(code) else { return false };
        match wanted {
            "us" | "usa" => place.name.ends_with("(US)"),
            "na" => place.geo_region == "north_america",
            "sa" => place.geo_region == "south_america",
            "eu" => place.geo_region == "europe",
            "apac" => place.geo_region == "asia_pacific",
            _ => false,
        }
    }

    /// The codes that `wanted` means: a code itself, or the open regions of an alias, those nearest to `from` first.
    pub(crate) fn meant_by(&self, wanted: &str, from: &str) -> Vec<&str> {
        if let Some(place) = self.0.get(wanted) {
            return vec![&place.code];
        }
        let is_meant = |place: &&Location| !place.deprecated && self.matches(wanted, &place.code);
        let mut codes: Vec<_> = self.0.values().filter(is_meant).map(|place| place.code.as_str()).collect();
        codes.sort_by_key(|code| self.one_way(from, code));
        codes
    }

    /// Where a region is, in words.
    pub(crate) fn place(&self, code: &str) -> &str {
        self.0.get(code).map_or("", |place| &place.name)
    }
}

/// The haversine formula.
fn great_circle_km(a: &Location, b: &Location) -> f64 {
    let (lat_a, lat_b) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half_lat = (lat_b - lat_a) / 2.0;
    let half_lon = (b.longitude - a.longitude).to_radians() / 2.0;
    let chord = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * chord.sqrt().asin()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn regions() -> Regions {
        Regions::parse(include_str!("../../assets/regions.json")).unwrap()
    }

    fn round_trip_ms(to: &str) -> f64 {
        regions().one_way("ewr", to).as_secs_f64() * 2000.0
    }

    #[test]
    fn latency_from_new_jersey_is_believable() {
        assert!((3.0..6.0).contains(&round_trip_ms("ewr")));
        assert!((70.0..85.0).contains(&round_trip_ms("cdg")), "{}", round_trip_ms("cdg"));
        assert!((140.0..160.0).contains(&round_trip_ms("nrt")), "{}", round_trip_ms("nrt"));
        assert_eq!(regions().one_way("cdg", "ewr"), regions().one_way("ewr", "cdg"));
    }

    #[test]
    fn an_alias_means_its_open_regions_nearest_first() {
        let regions = regions();
        assert_eq!(regions.meant_by("nrt", "ewr"), ["nrt"]);
        assert_eq!(regions.meant_by("us", "ewr")[..2], ["ewr", "iad"]);
        assert!(!regions.meant_by("any", "ewr").contains(&"atl"), "atl is closed");
        assert!(regions.meant_by("xxx", "ewr").is_empty());
    }

    #[test]
    fn aliases_cover_their_continent() {
        let regions = regions();
        for (alias, code, expected) in [
            ("us", "ewr", true),
            ("usa", "yyz", false),
            ("na", "yyz", true),
            ("eu", "cdg", true),
            ("apac", "nrt", true),
            ("sa", "gru", true),
            ("any", "jnb", true),
            ("cdg", "cdg", true),
            ("cdg", "ewr", false),
        ] {
            assert_eq!(regions.matches(alias, code), expected, "{alias} {code}");
        }
    }
}
