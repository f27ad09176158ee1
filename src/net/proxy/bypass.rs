//! Which hosts are reached without the proxy.

use super::address::split_host_port;
use std::net::IpAddr;

/// Hosts, domains and networks that are reached without the proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct Bypass {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// One literal address.
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    /// A name and everything below it, in lower case, without dots at its ends.
    Domain {
        name: String,
        port: Option<u16>,
    },
    Everything,
    /// The addresses whose first `bits` bits are these.
    Network {
        address: IpAddr,
        bits: u32,
    },
}

impl Bypass {
    /// Adds what an entry means; nothing for an empty one.
    ///
    /// # Errors
    ///
    /// The entry is neither a host nor a domain nor a network.
    pub(super) fn add(&mut self, entry: &str) -> Result<(), ()> {
        let entry = entry.trim();
        if !entry.is_empty() {
            self.rules.push(Rule::parse(entry).ok_or(())?);
        }
        Ok(())
    }

    /// Returns whether this target is reached without the proxy.
    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        self.rules.iter().any(|rule| match rule {
            Rule::Address { address: of, port: at } => address == Some(*of) && at.is_none_or(|at| at == port),
            Rule::Domain { name: of, port: at } => {
                address.is_none() && is_within(&name, of) && at.is_none_or(|at| at == port)
            }
            Rule::Everything => true,
            Rule::Network { address: of, bits } => address.is_some_and(|address| shares_bits(address, *of, *bits)),
        })
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Rule::Everything);
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
            let bits = if bits.bytes().all(|b| b.is_ascii_digit()) { bits.parse().ok()? } else { return None };
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Rule::Network { address, bits });
        }
        let (host, port) = split_host_port(entry)?;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Rule::Address { address: address.to_canonical(), port });
        }
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(&host);
        let name = name.trim_matches('.').to_ascii_lowercase();
        (!name.is_empty() && !name.contains('*')).then_some(Rule::Domain { name, port })
    }
}

/// Returns whether `name` is `domain` or below it.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

fn shares_bits(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let differs = a.to_bits() ^ n.to_bits();
            differs.leading_zeros() >= bits
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let differs = a.to_bits() ^ n.to_bits();
            differs.leading_zeros() >= bits
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
