//! Keeps pages of other sites out where no token does.
//!
//! Any page in a browser on this machine, or behind its firewall, may send requests here. It cannot hide who it
//! is: its browser names it in `Origin`, and a name that was made to point here stands in `Host`.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

/// Whether a request asks for this service by a name that no page of another site can have: an address,
/// `localhost`, or the host of `public_url`. A request without `Host` is from no browser.
#[must_use]
pub fn asks_for_us(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let public = public_url.and_then(authority_of).map(name_of);
    host.to_str().is_ok_and(|host| {
        let name = name_of(host);
        is_unmistakable(name) || public.is_some_and(|public| public.eq_ignore_ascii_case(name))
    })
}

/// Whether a request comes from no page, or from one of our own.
#[must_use]
pub fn comes_from_us(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let page = origin.to_str().ok().and_then(authority_of);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    page.is_some_and(|page| host == Some(page) && is_unmistakable(name_of(page)))
}

/// `host:port` of a URL.
fn authority_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// The host without its port, and an IPv6 address without its brackets.
fn name_of(authority: &str) -> &str {
    if let Some((address, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    authority.rsplit_once(':').map_or(authority, |(name, _)| name)
}

/// Whether nobody can make this name point elsewhere than it says.
fn is_unmistakable(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(named: &[(&'static str, &str)]) -> HeaderMap {
        named.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_name_that_anybody_could_point_here_is_not_ours() {
        for (host, ours) in [
            ("127.0.0.1:8686", true),
            ("[::1]:8686", true),
            ("LocalHost:8686", true),
            ("192.0.2.7", true),
            ("lapwing.example.org", true),
            ("lapwing.example.org:443", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8686", false),
            ("localhost.evil.example", false),
            ("example.org", false),
            ("", false),
        ] {
            let asked = headers(&[("host", host)]);
            assert_eq!(asks_for_us(&asked, Some("https://Lapwing.example.org/console")), ours, "{host}");
        }
        assert!(!asks_for_us(&headers(&[("host", "lapwing.example.org")]), None));
        assert!(asks_for_us(&HeaderMap::new(), None), "no browser leaves it out");
    }

    #[test]
    fn only_our_own_pages_come_from_us() {
        for (origin, host, ours) in [
            ("http://127.0.0.1:8686", "127.0.0.1:8686", true),
            ("http://localhost:8686", "localhost:8686", true),
            ("http://localhost:3000", "localhost:8686", false),
            ("https://evil.example", "127.0.0.1:8686", false),
            ("http://evil.example:8686", "evil.example:8686", false),
            ("null", "127.0.0.1:8686", false),
        ] {
            assert_eq!(comes_from_us(&headers(&[("origin", origin), ("host", host)])), ours, "{origin} at {host}");
        }
        assert!(comes_from_us(&headers(&[("host", "evil.example")])), "senders of logs are no pages");
    }
}
