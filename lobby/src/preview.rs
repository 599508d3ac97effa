//! Tells people from link previews, crawlers and browsers that prefetch.
//!
//! Path: `gameserver_routes` asks [`visitor`] before a request may cost anything → a small page with a picture, or 503.
//! Invariants: pure; no preview and no prefetch starts a machine, nor reaches one that runs. A program that does not name
//! itself counts as a person.

use axum::http::{HeaderMap, Method, header};

/// Words in the user agents of previews and crawlers, in lower case. Most of them call themselves some "bot".
const PREVIEW_WORDS: [&str; 16] = [
    "bot",
    "crawl",
    "spider",
    "preview",
    "facebookexternalhit",
    "facebookcatalog",
    "meta-external",
    "whatsapp/",
    "embedly",
    "iframely",
    "vkshare",
    "kakaotalk-scrap",
    "mastodon/",
    "slack-imgproxy",
    "pinterest/0.",
    "google-pagerenderer",
];
/// A maker of phones, which people use.
const NO_BOT: &str = "cubot";

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Somebody who wants to play, or a program on their behalf.
    Person,
    /// It shows the link to people, or only asks whether it leads anywhere.
    Preview,
    /// A browser fetches what its person may open later.
    Prefetch,
}

/// Who sends these headers.
pub(crate) fn visitor(method: &Method, headers: &HeaderMap) -> Visitor {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_lowercase();
    let purposes = [text("sec-purpose"), text("purpose"), text("x-purpose"), text("x-moz")];
    // "preview" is Safari's word for it.
    if purposes.iter().any(|purpose| ["prefetch", "prerender", "preview"].iter().any(|word| purpose.contains(word))) {
        return Visitor::Prefetch;
    }
    let agent = text(header::USER_AGENT.as_str()).replace(NO_BOT, "");
    if method == Method::HEAD || PREVIEW_WORDS.iter().any(|word| agent.contains(word)) {
        Visitor::Preview
    } else {
        Visitor::Person
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn visitor_with(name: &str, value: &str) -> Visitor {
        let name: HeaderName = name.parse().unwrap();
        visitor(&Method::GET, &HeaderMap::from_iter([(name, value.parse().unwrap())]))
    }

    #[test]
    fn previews_and_crawlers_are_told_by_their_names() {
        for agent in [
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Slack-ImgProxy (+https://api.slack.com/robots)",
            "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
            "Twitterbot/1.0",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "meta-externalagent/1.1",
            "WhatsApp/2.23.20.0 A",
            "TelegramBot (like TwitterBot)",
            "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0) Chrome/116.0 Safari/537.36",
            "Mozilla/5.0 (Macintosh) AppleWebKit/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
            "http.rb/5.1.1 (Mastodon/4.2.0; +https://mastodon.example/)",
            "Baiduspider/2.0",
            "SomeCrawler/1.0",
        ] {
            assert_eq!(visitor_with("user-agent", agent), Visitor::Preview, "{agent}");
        }
    }

    #[test]
    fn people_and_plain_programs_are_none() {
        for agent in [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
            "Mozilla/5.0 (Linux; Android 11; CUBOT X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605.1.15 Mobile/15E148 [FBAN/FBIOS;FBAV/480.0]",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605.1.15 Mobile/15E148 [Pinterest/iOS]",
            "curl/8.5.0",
            "aerodrome-lobby/0.1.0",
            "",
        ] {
            assert_eq!(visitor_with("user-agent", agent), Visitor::Person, "{agent}");
        }
        assert_eq!(visitor(&Method::GET, &HeaderMap::new()), Visitor::Person);
    }

    #[test]
    fn browsers_that_fetch_ahead_say_so() {
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ] {
            assert_eq!(visitor_with(name, value), Visitor::Prefetch, "{name}: {value}");
        }
    }

    #[test]
    fn a_head_request_wants_no_room() {
        assert_eq!(visitor(&Method::HEAD, &HeaderMap::new()), Visitor::Preview);
    }
}
