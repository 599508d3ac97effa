//! Which of this machine's addresses a bot comes from: lobby and gameservers limit how often one may join, and how many
//! sockets it may have.
//!
//! Invariant: the first [`BOTS_PER_ADDRESS_COUNT`] come from wherever the system sends them from, as everybody does.

use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr};

/// Bots of one address: the lobby lets so many in at once, and every kind of room takes as many sockets of one. Policy:
/// the next ones come from the next address, where the way leads to this machine itself, which has 127.0.0.0/8.
pub(crate) const BOTS_PER_ADDRESS_COUNT: u32 = 200;

/// Where bot `number` comes from on its way to `base`; `None`: from wherever the system says.
pub(crate) fn of(base: &Url, number: u32) -> Option<IpAddr> {
    let further = number / BOTS_PER_ADDRESS_COUNT;
    (further > 0 && is_loopback(base)).then(|| Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + further).into())
}

/// What a person should know who sends so many bots there.
pub(crate) fn remark(base: &Url, bots: u32) -> Option<String> {
    (bots > BOTS_PER_ADDRESS_COUNT && !is_loopback(base)).then(|| {
        format!(
            "All {bots} bots come from one address, since {base} is not on this machine by 127.0.0.1: they may have to \
             wait, or be refused."
        )
    })
}

fn is_loopback(base: &Url) -> bool {
    base.host_str().and_then(|host| host.parse::<Ipv4Addr>().ok()).is_some_and(|host| host.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bots_share_an_address_of_this_machine() {
        let here = Url::parse("http://127.0.0.1:8080").unwrap();
        let of = |number| of(&here, number).map(|address| address.to_string());
        assert_eq!((of(0), of(BOTS_PER_ADDRESS_COUNT - 1)), (None, None));
        assert_eq!(of(BOTS_PER_ADDRESS_COUNT).as_deref(), Some("127.0.0.2"));
        assert_eq!(of(5 * BOTS_PER_ADDRESS_COUNT - 1).as_deref(), Some("127.0.0.5"));
        assert_eq!(remark(&here, 5_000), None);
    }

    #[test]
    fn elsewhere_all_come_from_one_address_and_a_person_is_told() {
        let away = Url::parse("http://192.0.2.1:8080").unwrap();
        assert_eq!(of(&away, 4_999), None);
        assert_eq!(remark(&away, BOTS_PER_ADDRESS_COUNT), None);
        assert!(remark(&away, BOTS_PER_ADDRESS_COUNT + 1).unwrap().contains("192.0.2.1"));
    }
}
