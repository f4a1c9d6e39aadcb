//! Pure: slows down clients that guess secrets. Each address has a token bucket, which only wrong guesses use up:
//! requests with the right secret are never limited.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::between;

/// How many wrong guesses an address may make at once.
const BURST: f64 = 10.0;
/// How long it takes until an address may make one more.
const REFILL: Duration = Duration::from_secs(6);
/// Most addresses remembered.
const ADDRESSES: usize = 10_000;

/// The buckets of all addresses.
#[derive(Debug, Default)]
pub struct Guard {
    buckets: HashMap<IpAddr, Bucket>,
}

/// How many guesses an address had left at a time.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Guard {
    /// Counts a wrong guess. Returns how long the address must wait if it has made too many.
    pub fn wrong(&mut self, from: IpAddr, now: Timestamp) -> Option<Duration> {
        let from = network(from);
        if self.buckets.len() >= ADDRESSES && !self.buckets.contains_key(&from) {
            self.forget(now);
        }
        let bucket = self.buckets.entry(from).or_insert(Bucket { left: BURST, at: now });
        bucket.left = bucket.grown(now);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            None
        } else {
            Some(REFILL.mul_f64(1.0 - bucket.left))
        }
    }

    /// Makes room: forgets the addresses whose buckets are full again, or else all of them.
    fn forget(&mut self, now: Timestamp) {
        self.buckets.retain(|_, bucket| bucket.grown(now) < BURST);
        if self.buckets.len() >= ADDRESSES {
            self.buckets.clear();
        }
    }
}

impl Bucket {
    fn grown(&self, now: Timestamp) -> f64 {
        (self.left + between(self.at, now).as_secs_f64() / REFILL.as_secs_f64()).min(BURST)
    }
}

/// The unit that is limited: an IPv4 address, or the /64 network that an IPv6 host has to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn ten_guesses_then_one_every_six_seconds() {
        let mut guard = Guard::default();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        let at = |second: i64| from_millis(second * 1000);
        for guess in 0..10 {
            assert_eq!(guard.wrong(from, at(0)), None, "{guess}");
        }
        assert_eq!(guard.wrong(from, at(0)), Some(Duration::from_secs(6)));
        assert_eq!(guard.wrong("192.0.2.2".parse().unwrap(), at(0)), None);
        assert_eq!(guard.wrong(from, at(6)), None);
        assert!(guard.wrong(from, at(6)).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_guesser() {
        assert_eq!(network("2001:db8::1".parse().unwrap()), network("2001:db8::2".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn memory_is_bounded() {
        let mut guard = Guard::default();
        for number in 0..30_000_u32 {
            guard.wrong(IpAddr::V4(number.into()), from_millis(0));
        }
        assert!(guard.buckets.len() <= ADDRESSES);
    }
}
