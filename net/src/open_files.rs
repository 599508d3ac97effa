//! Lets the process have as many connections open as it admits: systems begin with few open files, and allow more.
//!
//! Never: fails. Where the system does not allow enough, a line in the log says so, and the last who come are not heard.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Open files beside the connections that are admitted: of HTTP, workers and store.
const OTHER_FILES_COUNT: u64 = 2048;

/// Asks for as many open files as so many connections need.
pub(crate) fn allow_for(connections: u32) {
    let wanted = u64::from(connections) + OTHER_FILES_COUNT;
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let more = wanted.min(hard);
        if soft < more { setrlimit(Resource::RLIMIT_NOFILE, more, hard).map(|()| more) } else { Ok(soft) }
    });
    match allowed {
        Ok(allowed) if allowed >= wanted => {}
        Ok(allowed) => tracing::warn!(
            allowed,
            wanted,
            "the system allows fewer open files than there may be connections: raise its limit (ulimit -Hn)"
        ),
        Err(error) => tracing::warn!(%error, wanted, "the system does not say how many files may be open"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_are_allowed_as_the_system_lets_and_never_fewer_than_before() {
        let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        allow_for(1);
        allow_for(u32::MAX);
        let (after, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(after >= before && (after == hard || after >= u64::from(u32::MAX)));
    }
}
