//! The pool of machines as `assets/fleet.toml` wants it.
//!
//! Path: [`Pools::parse`] reads the file once at the start; the board lists its regions, `placement` grows up to its limits,
//! `provision` makes it so.
//! Invariants: pure data; every region is one that Fly has, and is named once.

use crate::regions;
use serde::Deserialize;

/// Most machines a region may ask for. Policy: the file is refused, because it is more likely a slip than a wish.
const REGION_MACHINES_MAX_COUNT: u32 = 100;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pools {
    /// Most machines of the app, all regions together.
    pub machines_max: u32,
    /// One entry a region.
    #[serde(rename = "pool")]
    pub regions: Vec<Pool>,
}

/// What one region is to have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Region code.
    pub region: String,
    /// Machines that are always there.
    pub machines: u32,
    /// Machines it may grow to.
    pub machines_max: u32,
}

impl Pools {
    /// Reads the text of such a file.
    ///
    /// # Errors
    /// A sentence that names the field and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pools: Self = toml::from_str(text).map_err(|error| format!("The fleet file is not valid: {error}"))?;
        for (index, pool) in pools.regions.iter().enumerate() {
            let Pool { region, machines, machines_max } = pool;
            if regions::find(region).is_none() {
                return Err(format!("The fleet file names a region that Fly does not have: \"{region}\"."));
            }
            if pools.regions[..index].iter().any(|other| other.region == *region) {
                return Err(format!("The fleet file names the region \"{region}\" twice."));
            }
            if machines > machines_max || *machines_max > REGION_MACHINES_MAX_COUNT {
                return Err(format!(
                    "The fleet file gives \"{region}\" machines = {machines} and machines_max = {machines_max}; \
                     machines may be at most machines_max, and that at most {REGION_MACHINES_MAX_COUNT}."
                ));
            }
        }
        let always: u32 = pools.regions.iter().map(|pool| pool.machines).sum();
        if always > pools.machines_max {
            return Err(format!(
                "The fleet file wants {always} machines always and machines_max = {}; that must be at least {always}.",
                pools.machines_max
            ));
        }
        Ok(pools)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A sentence that names the file or the field.
    pub fn load(path: &str) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("The fleet file {path} cannot be read: {error}."))?;
        Self::parse(&text)
    }

    /// The file this program was built with.
    pub fn built_in() -> Self {
        Self::parse(include_str!("../../assets/fleet.toml")).expect("a test reads the file that is built in")
    }

    /// What this region is to have; nothing for one that is not in the file.
    pub fn find(&self, region: &str) -> Option<&Pool> {
        self.regions.iter().find(|pool| pool.region == region)
    }
}

/// The first name of a region's machines, `<region>-1` to `<region>-<count>`, that is not taken. Names are unique in the
/// app, so lobbies that create at the same time cannot create more than this.
pub fn free_name<'a>(region: &str, count: u32, taken: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let mut names = (1..=count).map(|number| format!("{region}-{number}"));
    names.find(|name| !taken.clone().any(|other| other == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_in_order_and_end() {
        let taken = ["ewr-1", "ewr-3", "cdg-2"];
        assert_eq!(free_name("ewr", 4, taken.into_iter()).as_deref(), Some("ewr-2"));
        assert_eq!(free_name("cdg", 1, taken.into_iter()).as_deref(), Some("cdg-1"));
        assert_eq!(free_name("ewr", 1, taken.into_iter()), None);
    }

    #[test]
    fn the_file_of_this_repository_is_good() {
        let pools = Pools::built_in();
        assert!(pools.find("ewr").is_some_and(|pool| pool.machines <= pool.machines_max));
        assert_eq!(pools.find("syd"), None);
    }

    #[test]
    fn a_bad_file_is_told_which_field_is_wrong() {
        let pool = |region: &str, machines: u32, max: u32| {
            format!("[[pool]]\nregion = \"{region}\"\nmachines = {machines}\nmachines_max = {max}\n")
        };
        for (text, word) in [
            (pool("ewr", 1, 2), "machines_max"),
            (format!("machines_max = 9\n{}", pool("zzz", 1, 2)), "\"zzz\""),
            (format!("machines_max = 9\n{0}{0}", pool("ewr", 1, 2)), "twice"),
            (format!("machines_max = 9\n{}", pool("ewr", 3, 2)), "machines = 3"),
            (format!("machines_max = 9\n{}", pool("ewr", 1, 101)), "at most 100"),
            (format!("machines_max = 1\n{}{}", pool("ewr", 1, 2), pool("cdg", 1, 2)), "at least 2"),
            (format!("machines_max = 9\nmachine_max = 8\n{}", pool("ewr", 1, 2)), "machine_max"),
        ] {
            let sentence = Pools::parse(&text).unwrap_err();
            assert!(sentence.contains(word), "{text}: {sentence}");
        }
    }
}
