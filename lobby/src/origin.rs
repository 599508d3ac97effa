//! Whether a request comes from a page of ours, from no page at all (bots, curl), or from a page of somebody else.
//!
//! Path: `join_http` and `gameserver_routes` ask [`foreign`] before a request may cost anything → 403 with [`ForeignPage`]'s sentence.
//! Invariants: pure; no page of another site starts a machine, takes a seat or uses up its visitors' allowance; a link on
//! another site, followed by a person, is welcome.
//! Never: trusts a header that a page could have written: browsers write `Origin` and `Sec-Fetch-*` themselves.

use axum::http::{HeaderMap, HeaderName, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// Longest part of a foreign header that is repeated in a sentence. Policy: the rest is left out.
const SHOWN_MAX_CHARS: usize = 100;

/// What gave a foreign page away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignPage {
    header: HeaderName,
    value: String,
}

impl ForeignPage {
    /// For whoever wrote that page.
    pub fn sentence(&self) -> String {
        let Self { header, value } = self;
        let right = if header == header::ORIGIN { "this host's own" } else { "same-origin" };
        format!(
            "Pages of other sites may not do this: the header \"{header}\" is \"{value}\"; it must be {right}, or missing."
        )
    }
}

/// The sign that another site's page sent this. `allowed` are origins beside the request's own host, as browsers write
/// them (`https://example.com`).
pub(crate) fn foreign(headers: &HeaderMap, allowed: &[String]) -> Option<ForeignPage> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text(&header::ORIGIN);
    if origin.is_some_and(|origin| allowed.iter().any(|name| name.eq_ignore_ascii_case(origin))) {
        return None;
    }
    match (origin, text(&SEC_FETCH_SITE)) {
        // Counts first: not all browsers take wss:// and https:// of one host for one site.
        (Some(origin), _) if is_own(origin, headers) => None,
        // "none" is a person: the address bar, a bookmark.
        (_, Some("same-origin" | "none")) | (None, None) => None,
        (Some(origin), _) => Some(ForeignPage { header: header::ORIGIN, value: excerpt(origin) }),
        (None, Some(site)) => Some(ForeignPage { header: SEC_FETCH_SITE, value: excerpt(site) }),
    }
}

/// Whether a person goes to this address in a window of its own, wherever the link was; a frame is not one.
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|said| said == value);
    is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document")
}

/// The host that the client named, and the scheme where a proxy tells it: TLS ends before us.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some((scheme, name)), Some(host)) = (origin.split_once("://"), text("host")) else { return false };
    let is_scheme = text("x-forwarded-proto").is_none_or(|proto| proto.eq_ignore_ascii_case(scheme));
    is_scheme && without_usual_port(name, scheme).eq_ignore_ascii_case(without_usual_port(host, scheme))
}

/// Browsers leave the usual port out; others may write it.
fn without_usual_port<'a>(host: &'a str, scheme: &str) -> &'a str {
    let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    host.strip_suffix(usual).unwrap_or(host)
}

/// As much of a header as a sentence repeats.
pub(crate) fn excerpt(value: &str) -> String {
    value.chars().take(SHOWN_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn own_pages_and_whoever_is_no_page_come_in() {
        for pairs in [
            &[][..],
            &[("host", "a.example")],
            &[("host", "a.example"), ("origin", "https://a.example")],
            &[("host", "a.example"), ("x-forwarded-proto", "https"), ("origin", "https://A.example")],
            &[("host", "a.example:443"), ("origin", "https://a.example")],
            &[("host", "127.0.0.1:8080"), ("x-forwarded-proto", "http"), ("origin", "http://127.0.0.1:8080")],
            // What the browser itself says counts more than names: a proxy before ours may have changed the host.
            &[("host", "inside"), ("origin", "https://a.example"), ("sec-fetch-site", "same-origin")],
            &[("host", "a.example"), ("sec-fetch-site", "none")],
            &[("host", "a.example"), ("origin", "https://a.example"), ("sec-fetch-site", "cross-site")],
            &[("host", "a.example"), ("sec-fetch-site", "cross-site"), ("origin", "https://friends.example")],
        ] {
            assert_eq!(foreign(&sent(pairs), &["https://friends.example".to_owned()]), None, "{pairs:?}");
        }
    }

    #[test]
    fn pages_of_others_are_told_by_what_their_browser_says() {
        for (pairs, header) in [
            (&[("host", "a.example"), ("origin", "https://evil.example")][..], "origin"),
            (&[("host", "a.example"), ("origin", "null")], "origin"),
            (&[("host", "a.example"), ("origin", "https://a.example:444")], "origin"),
            (&[("host", "a.example"), ("origin", "https://a.example.evil.example")], "origin"),
            (&[("host", "a.example"), ("x-forwarded-proto", "https"), ("origin", "http://a.example")], "origin"),
            (&[("origin", "https://a.example")], "origin"),
            (&[("host", "a.example"), ("sec-fetch-site", "cross-site")], "sec-fetch-site"),
            (&[("host", "a.example"), ("sec-fetch-site", "same-site")], "sec-fetch-site"),
            (&[("host", "a.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")], "origin"),
        ] {
            let foreign = foreign(&sent(pairs), &[]).unwrap_or_else(|| panic!("{pairs:?} came in"));
            assert_eq!(foreign.header.as_str(), header, "{pairs:?}");
            assert!(foreign.sentence().contains(&foreign.value) && foreign.sentence().ends_with('.'));
        }
    }

    #[test]
    fn a_followed_link_is_a_navigation_and_a_frame_is_not() {
        for (mode, dest, expected) in [
            ("navigate", "document", true),
            ("navigate", "iframe", false),
            ("no-cors", "image", false),
            ("websocket", "empty", false),
        ] {
            let headers = sent(&[("sec-fetch-mode", mode), ("sec-fetch-dest", dest)]);
            assert_eq!(is_navigation(&headers), expected, "{mode} {dest}");
        }
        assert!(!is_navigation(&HeaderMap::new()));
    }
}
